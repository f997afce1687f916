package evaluate

import (
	"maps"
	"slices"
)

// Rules are rules in order of evaluation. They are immutable.
type Rules struct {
	compiler *Compiler
	rules    []*Rule
}

// Rules returns the rules of groups, which are evaluated in this order.
func (c *Compiler) Rules(groups []*Group) *Rules {
	r := &Rules{compiler: c}
	for _, g := range groups {
		r.rules = append(r.rules, g.Rules...)
	}
	return r
}

// All returns the rules in order of evaluation.
func (r *Rules) All() []*Rule { return r.rules }

// Only returns the rules that keep reports true for.
func (r *Rules) Only(keep func(*Rule) bool) *Rules {
	return &Rules{compiler: r.compiler, rules: slices.DeleteFunc(slices.Clone(r.rules), func(one *Rule) bool { return !keep(one) })}
}

// Order sorts groups so that those that others read come first where possible; else they stay in their order. It also
// returns pairs of groups of which the second reads what the first writes.
func Order(groups []*Group) (sorted []*Group, pairs [][2]*Group) {
	if len(groups) < 2 {
		return groups, nil
	}
	writers := map[string][]int{} // groups by the metrics that they write
	for i, g := range groups {
		for _, r := range g.Rules {
			for _, name := range r.writes() {
				if !slices.Contains(writers[name], i) {
					writers[name] = append(writers[name], i)
				}
			}
		}
	}
	reads := make([]map[int]bool, len(groups)) // which groups a group reads
	for i, g := range groups {
		reads[i] = map[int]bool{}
		for _, r := range g.Rules {
			for _, name := range r.Expr.Names {
				for _, j := range writers[name] {
					if j != i && !reads[i][j] && slices.ContainsFunc(groups[j].Rules, r.Expr.Reads) {
						reads[i][j] = true
					}
				}
			}
			for j := range groups {
				if r.Expr.Any && j != i && len(groups[j].Rules) > 0 {
					reads[i][j] = true
				}
			}
		}
	}
	for i := range groups {
		for j := range groups {
			if reads[i][j] {
				pairs = append(pairs, [2]*Group{groups[j], groups[i]})
			}
		}
	}
	placed := make([]bool, len(groups))
	for len(sorted) < len(groups) {
		next := -1
		for i := range groups {
			if placed[i] {
				continue
			}
			if next < 0 {
				next = i // where groups read each other, by the order given
			}
			waits := false
			for j := range reads[i] {
				waits = waits || !placed[j]
			}
			if !waits {
				next = i
				break
			}
		}
		placed[next] = true
		sorted = append(sorted, groups[next])
	}
	return sorted, pairs
}

// Live returns the rules that can have a value or an error where there are samples of these metrics: all but those that
// have neither without the series that they select, where neither these metrics nor those that other rules write are
// among them.
func (r *Rules) Live(metrics map[string]bool) *Rules {
	there := maps.Clone(metrics)
	isLive := make([]bool, len(r.rules))
	n := 0
	for changed := true; changed; {
		changed = false
		for i, one := range r.rules {
			if isLive[i] || one.Expr.inert && !one.Expr.finds(there) {
				continue
			}
			isLive[i], changed = true, true
			n++
			for _, name := range one.writes() {
				there[name] = true
			}
		}
	}
	if n == len(r.rules) {
		return r
	}
	return r.only(isLive)
}

func (r *Rules) only(take []bool) *Rules {
	some := &Rules{compiler: r.compiler}
	for i, one := range r.rules {
		if take[i] {
			some.rules = append(some.rules, one)
		}
	}
	return some
}

// Needed returns these rules, and those that they and the expressions depend on, through recorded series and ALERTS.
func (r *Rules) Needed(of []*Rule, exprs ...*Expression) *Rules {
	var needed Selection
	for _, e := range exprs {
		needed.Add(e.Selection)
	}
	take := make([]bool, len(r.rules))
	for grown := true; grown; {
		grown = false
		for i, one := range r.rules {
			if !take[i] && (slices.Contains(of, one) || needed.Reads(one)) {
				take[i], grown = true, true
				needed.Add(one.Expr.Selection)
			}
		}
	}
	return r.only(take)
}

// Dependent returns the rules whose results can differ where those that write these series do: the rules themselves, and
// what reads them, from rule to rule. The rules need not be among r.
func (r *Rules) Dependent(on []*Rule) []*Rule {
	var dependent []*Rule
	for grown := true; grown; {
		grown = false
		for _, one := range r.rules {
			if !slices.Contains(dependent, one) &&
				(slices.Contains(on, one) || one.Queries || one.Expr.readsAny(on) || one.Expr.readsAny(dependent)) {
				dependent, grown = append(dependent, one), true
			}
		}
	}
	return dependent
}
