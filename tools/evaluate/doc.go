// Package evaluate evaluates Prometheus rules over given series, in memory: many short evaluations, each of them cheap.
//
// Rules, PromQL, templates and the alert state machine are Prometheus's own. A server goes from time to time and
// evaluates all rules at each, over its storage; RunByTime does the same. RunByRule goes from rule to rule and evaluates
// each over the whole time with a few range queries, over series in memory. The result is the same, because
//
//   - it is used only where no rule reads what it or a later rule writes, no selector looks ahead (@, negative offset)
//     and no group has a query_offset: a rule then sees the same at each time, whether or not later samples exist already;
//   - a range query gives at each of its times what an instant query gives, and if it stays within the sample limit, each
//     instant query would;
//   - an error of any rule ends the run, so every rule that can have a value or an error is evaluated. Left out are rules
//     whose expression has neither without the series that it selects, where the input and the other rules hold none of
//     them. Alerts that are not watched are not tracked, if their labels differ, the group has no limit, and nothing
//     selects their ALERTS;
//   - an alert's annotations are expanded only when they are asked for: expanding them has no error and no effect;
//   - anything unusual (native histograms, a series written by two rules or both given and written, two alerts with labels
//     that could be equal) is ErrNeedsByTime.
//
// Compiled rules and input series are immutable: any number of runs share them.
package evaluate
