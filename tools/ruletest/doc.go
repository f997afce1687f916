// Package ruletest runs unit tests of Prometheus rules: the files that `promtool test rules` runs, with the same
// verdicts, many times faster.
//
// Rules, PromQL, templates, the series notation and the alert state machine are Prometheus's own. What is ours is the
// storage, in memory, and the order of the work. promtool goes from time to time, and at each evaluates all rules; so
// does the evaluation in steps (run.go). Mostly another one does (columns.go), which goes from rule to rule and
// evaluates each over the whole test with few range queries. It gives the same verdict, because
//
//   - it is used only where no rule reads what itself or a later rule writes, no selector looks ahead (@, negative
//     offset) and no group has a query_offset: then what a rule sees at a time is what has been written up to that time,
//     whether or not more is there already;
//   - a range query gives at each of its times what an instant query gives, and one that stays within the limit of
//     samples shows that each of those would;
//   - an error of any rule fails a test, also of one that nobody asserts on. So every rule that can have a value or an
//     error is evaluated. Left out are those whose expression has neither while all that it selects is missing, where the
//     test gives none of that and no other rule writes it. The alerts of a rule that no assertion looks at are not
//     followed, where their labels show that no two can be the same, the group has no limit, and nothing selects ALERTS;
//   - an alert's annotations are expanded only where they are compared: to expand them raises no error and has no effect;
//   - whatever is out of the ordinary (an error, native histograms, a series written by two rules, or given and written,
//     two alerts that could be the same) ends it, and the test is run again in steps.
//
// Nothing is evaluated after the last moment that is asserted on, and tests run on all processors: they share only what
// nobody changes.
package ruletest
