package ruletest

import (
	"cmp"
	"slices"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// Coverage is the states of rules that tests have asserted on.
type Coverage struct {
	Rules []RuleCoverage // in the order of files, groups and rules
}

// RuleCoverage is the coverage of one rule: for an alerting rule, the states in which an alert_rule_test asserts on it;
// for a recording rule, whether it had a value in any test.
type RuleCoverage struct {
	File, Group, Rule                string
	Alert                            bool
	Firing, Pending, Quiet, Resolved bool
	CanPend                          bool // it has a for
	Always                           bool // it fires for any input, so it is never quiet
	Recorded                         bool
}

// Points returns how many of a rule's states were seen, and how many there are.
func (c RuleCoverage) Points() (seen, all int) {
	states := []bool{c.Recorded}
	if c.Alert {
		states = []bool{c.Firing}
		if !c.Always {
			states = append(states, c.Quiet, c.Resolved)
		}
		if c.CanPend {
			states = append(states, c.Pending)
		}
	}
	for _, state := range states {
		if state {
			seen++
		}
	}
	return seen, len(states)
}

// Percent is the share of all rules' states that were seen; 100 without rules.
func (c *Coverage) Percent() float64 {
	seen, all := 0, 0
	for _, r := range c.Rules {
		s, a := r.Points()
		seen, all = seen+s, all+a
	}
	if all == 0 {
		return 100
	}
	return 100 * float64(seen) / float64(all)
}

// coverage is the coverage of one run. The methods of a nil one do nothing.
type coverage struct {
	rules map[*evaluate.Rule]RuleCoverage
}

// observe records which recording rules had a value, and the states of alerting rules that a test asserts on.
func (c *coverage) observe(r *run) {
	if c == nil {
		return
	}
	for _, rule := range r.rules.All() {
		if r.result.Recorded(rule) {
			c.rules[rule] = RuleCoverage{Recorded: true}
		}
	}
	for _, a := range r.AlertTests {
		at := r.at(r.slotOf(a))
		for _, rule := range r.result.Watch {
			if rule.Name != a.Alertname {
				continue
			}
			seen := c.rules[rule]
			switch state := r.result.At(rule, at); {
			case len(state.Firing) > 0:
				seen.Firing = true
			case len(state.Pending) > 0:
				seen.Pending = true
			case slices.ContainsFunc(r.result.States(rule), func(s evaluate.State) bool { return len(s.Firing) > 0 && s.At.Before(at) }):
				seen.Resolved = true
			default:
				seen.Quiet = true
			}
			c.rules[rule] = seen
		}
	}
}

// coverage adds up the coverage of all runs.
func (s *Suite) coverage(runs []*coverage) *Coverage {
	total := map[*evaluate.Rule]RuleCoverage{}
	for _, run := range runs {
		for r, one := range run.rules {
			sum := total[r]
			sum.Firing, sum.Pending = sum.Firing || one.Firing, sum.Pending || one.Pending
			sum.Quiet, sum.Resolved = sum.Quiet || one.Quiet, sum.Resolved || one.Resolved
			sum.Recorded = sum.Recorded || one.Recorded
			total[r] = sum
		}
	}
	c := &Coverage{}
	for _, path := range s.RuleFiles() {
		for _, g := range s.ruleFiles[path].groups {
			for _, r := range g.Rules {
				sum := total[r]
				sum.File, sum.Group, sum.Rule, sum.Alert = path, g.Name, r.Name, r.Alerting
				sum.CanPend, sum.Always = r.For > 0, r.Alerting && r.Expr.Always
				c.Rules = append(c.Rules, sum)
			}
		}
	}
	slices.SortStableFunc(c.Rules, func(a, b RuleCoverage) int { return cmp.Compare(a.File, b.File) })
	return c
}
