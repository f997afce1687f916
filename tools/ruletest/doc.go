// Package ruletest runs unit tests of Prometheus rules: the files that `promtool test rules` runs, with the same
// verdicts, many times faster.
//
// Rules, PromQL, templates, the series notation and the alert state machine are Prometheus's own. promtool goes from time
// to time and evaluates all rules at each, over Prometheus's storage; bytime.go does the same. Most tests run in byrule.go,
// which goes from rule to rule and evaluates each over the whole test with a few range queries, over series in memory. The
// verdict is the same, because
//
//   - it is used only where no rule reads what it or a later rule writes, no selector looks ahead (@, negative offset)
//     and no group has a query_offset: a rule then sees the same at each time, whether or not later samples exist already;
//   - a range query gives at each of its times what an instant query gives, and if it stays within the sample limit, each
//     instant query would;
//   - an error of any rule fails a test, so every rule that can have a value or an error is evaluated. Left out are rules
//     whose expression has neither without the series that it selects, where the test and the other rules write none of
//     them. Alerts that no assertion looks at are not tracked, if their labels differ, the group has no limit, and nothing
//     selects ALERTS;
//   - an alert's annotations are expanded only where they are compared: expanding them has no error and no effect;
//   - anything unusual (an error, native histograms, a series written by two rules or both given and written, two alerts
//     with labels that could be equal) ends it, and the test runs again time by time.
//
// Nothing is evaluated after the last time that is asserted on. Tests run in parallel: they share only immutable data.
package ruletest
