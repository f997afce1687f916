package ruletest

import "slices"

// affected is what a change of rules can change.
type affected struct {
	rules   []*rule  // whose result can differ
	metrics []string // that these rules write, before or after
	alerts  []string // names of those rules that are alerts, before or after
}

// affectedBy follows a change from rule to rule.
func affectedBy(different, all []*rule) affected {
	var a affected
	add := func(r *rule) {
		if r.alert {
			a.alerts = append(a.alerts, r.name)
		}
		a.metrics = append(a.metrics, r.writes()...)
	}
	for _, r := range different {
		add(r)
	}
	for grown := true; grown; {
		grown = false
		for _, r := range all {
			if !slices.Contains(a.rules, r) && (slices.Contains(different, r) || r.queries || r.expr.reads(a.metrics)) {
				a.rules = append(a.rules, r)
				add(r)
				grown = true
			}
		}
	}
	return a
}

// within reduces the run to what the affected rules need: the rules, those of the same names and what all of them read,
// and the assertions on their alerts and on expressions that select what they write. It returns nil if an expression
// cannot be parsed.
func (r *run) within(a affected) *run {
	group := *r.testGroup
	group.AlertTests, group.ExprTests = nil, nil
	for _, test := range r.AlertTests {
		if slices.Contains(a.alerts, test.Alertname) {
			group.AlertTests = append(group.AlertTests, test)
		}
	}
	var needed selection
	for i, test := range r.ExprTests {
		// A PromQL error fails the test with or without the change.
		if expr := r.exprTests[i]; expr == nil || expr.reads(a.metrics) {
			group.ExprTests = append(group.ExprTests, test)
			if expr == nil {
				return nil
			}
			needed.add(expr.selection)
		}
	}
	take := make([]bool, len(r.rules))
	for grown := true; grown; {
		grown = false
		for i, rule := range r.rules {
			if take[i] || !slices.Contains(a.rules, rule) && !(rule.alert && slices.Contains(a.alerts, rule.name)) &&
				!(!rule.alert && slices.Contains(a.metrics, rule.name)) && !needed.reads(rule.writes()) {
				continue
			}
			take[i], grown = true, true
			needed.add(rule.expr.selection)
		}
	}
	reduced := &run{engine: r.engine, alertsSelected: needed.reads(alertMetrics)}
	for i, rule := range r.rules {
		if take[i] {
			reduced.rules = append(reduced.rules, rule)
		}
	}
	reduced.test = &test{
		testGroup: &group, file: r.file, index: r.index, interval: r.interval, slots: r.slots, till: r.till,
		maxSamples: r.maxSamples, input: r.input, asserted: r.asserted, exprs: r.exprs,
	}
	return reduced
}
