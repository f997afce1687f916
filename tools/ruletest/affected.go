package ruletest

import (
	"slices"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// within reduces the test to what rules that differ, before and after, can change: the assertions on their alerts, on
// those that depend on them, and on expressions that select what any of these write. It also returns the rules that are
// needed for that, or nil if an expression cannot be parsed.
func (t *test) within(different []*evaluate.Rule, all *evaluate.Rules) (*test, *evaluate.Rules) {
	dependent := all.Dependent(different)
	changed := slices.Concat(different, dependent)
	isNamesake := func(r *evaluate.Rule) bool {
		return slices.ContainsFunc(changed, func(c *evaluate.Rule) bool { return c.Alerting == r.Alerting && c.Name == r.Name })
	}
	group := *t.testGroup
	group.AlertTests, group.ExprTests = nil, nil
	for _, one := range t.AlertTests {
		if slices.ContainsFunc(changed, func(r *evaluate.Rule) bool { return r.Alerting && r.Name == one.Alertname }) {
			group.AlertTests = append(group.AlertTests, one)
		}
	}
	reduced := &test{testGroup: &group, file: t.file, index: t.index, interval: t.interval, slots: t.slots, series: t.series, data: t.data}
	for i, one := range t.ExprTests {
		expr := t.exprTests[i]
		if expr == nil {
			return nil, nil // a PromQL error fails the test with or without the change
		}
		if slices.ContainsFunc(changed, expr.Reads) {
			group.ExprTests, reduced.exprTests = append(group.ExprTests, one), append(reduced.exprTests, expr)
		}
	}
	var needed []*evaluate.Rule
	for _, r := range all.All() {
		if isNamesake(r) {
			needed = append(needed, r)
		}
	}
	return reduced, all.Needed(needed, reduced.exprTests...)
}
