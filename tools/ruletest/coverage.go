package ruletest

import (
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/rules"
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
	rules map[*rule]RuleCoverage
}

func (c *coverage) reset() {
	if c != nil {
		clear(c.rules)
	}
}

// evaluated records that an alerting rule was evaluated.
func (c *coverage) evaluated(a *alerting) {
	if c != nil && a.active && !a.fired {
		a.fired = a.state() == rules.StateFiring
	}
}

// observe records the state of an alerting rule that a test asserts on.
func (c *coverage) observe(a *alerting) {
	if c == nil {
		return
	}
	seen := c.rules[a.rule]
	switch state := a.state(); {
	case state == rules.StateFiring:
		seen.Firing = true
	case state == rules.StatePending:
		seen.Pending = true
	case a.fired:
		seen.Resolved = true
	default:
		seen.Quiet = true
	}
	c.rules[a.rule] = seen
}

func (c *coverage) recorded(r *rule) {
	if c != nil {
		c.rules[r] = RuleCoverage{Recorded: true}
	}
}

// idle records the rules that were asserted on but not evaluated, because they could have no value.
func (c *coverage) idle(t *test, all, live []*rule) {
	if c == nil {
		return
	}
	for _, r := range all {
		if r.alert && len(t.asserted[r.name]) > 0 && !slices.Contains(live, r) {
			seen := c.rules[r]
			seen.Quiet = true
			c.rules[r] = seen
		}
	}
}

// coverage adds up the coverage of all runs.
func (s *Suite) coverage(runs []*coverage) *Coverage {
	total := map[*rule]RuleCoverage{}
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
			for _, r := range g.rules {
				sum := total[r]
				sum.File, sum.Group, sum.Rule, sum.Alert = path, g.name, r.name, r.alert
				sum.CanPend, sum.Always = r.hold > 0, r.alert && r.expr.always
				c.Rules = append(c.Rules, sum)
			}
		}
	}
	slices.SortStableFunc(c.Rules, func(a, b RuleCoverage) int { return cmp.Compare(a.File, b.File) })
	return c
}
