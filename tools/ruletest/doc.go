// Package ruletest runs unit tests of Prometheus rules: the files that `promtool test rules` runs, with the same
// verdicts, many times faster.
//
// Rules, PromQL, templates, the series notation and the alert state machine are Prometheus's own. Package evaluate runs
// the rules: most tests rule by rule, in memory, and those of which only promtool's way gives the verdict, such as one in
// which a rule fails, time by time.
//
// Nothing is evaluated after the last time that is asserted on. Tests run in parallel: they share only immutable data.
package ruletest
