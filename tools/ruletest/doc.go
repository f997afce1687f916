// Package ruletest runs unit tests of Prometheus rules: the files that `promtool test rules` runs, with the same
// verdicts, many times faster.
package ruletest
