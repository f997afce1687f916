package ruletest

import "slices"

// ordered holds the rules of a test file in order of evaluation.
type ordered struct {
	rules []*rule
	// opposite holds the rules with groups of equal rank in the opposite order.
	opposite []*rule
	// open holds pairs of groups whose order the file does not define and of which the second reads what the first
	// writes.
	open [][2]*ruleGroup
}

// ordered sorts the groups of the test file's rule files, with replacement, if not nil, in place of the file of its path.
//
// promtool evaluates groups in the order of group_eval_order; groups that it does not name have the rank of the first that
// it names, and groups of equal rank are in random order. Here, groups that others read come first where possible, then
// the order of the files decides: one of promtool's orders, and always the same.
func (f *file) ordered(files map[string]*ruleFile, replacement *ruleFile) *ordered {
	ranks := map[string]int{}
	for i, name := range f.order {
		ranks[name] = i
	}
	byRank := make([][]*ruleGroup, max(1, len(f.order)))
	for i, path := range f.rules {
		if slices.Contains(f.rules[:i], path) {
			continue
		}
		file := files[path]
		if replacement != nil && replacement.path == path {
			file = replacement
		}
		for _, g := range file.groups {
			byRank[ranks[g.name]] = append(byRank[ranks[g.name]], g)
		}
	}
	o := &ordered{}
	for _, groups := range byRank {
		sorted := o.sorted(groups)
		for _, g := range sorted {
			o.rules = append(o.rules, g.rules...)
		}
		for _, g := range slices.Backward(sorted) {
			o.opposite = append(o.opposite, g.rules...)
		}
	}
	return o
}

// sorted sorts groups of equal rank, and records which of them depend on each other.
func (o *ordered) sorted(groups []*ruleGroup) []*ruleGroup {
	if len(groups) < 2 {
		return groups
	}
	recorders := map[string][]int{} // groups by the metrics that they record
	for i, g := range groups {
		for _, r := range g.rules {
			if !r.alert && !slices.Contains(recorders[r.name], i) {
				recorders[r.name] = append(recorders[r.name], i)
			}
		}
	}
	reads := make([]map[int]bool, len(groups)) // which groups a group reads
	for i, g := range groups {
		reads[i] = map[int]bool{}
		for _, r := range g.rules {
			for _, name := range r.expr.names {
				for _, j := range recorders[name] {
					reads[i][j] = j != i
				}
			}
			for j, other := range groups {
				readsOther := func(o *rule) bool { return r.expr.reads(o.writes()) }
				if j != i && r.expr.reads(alertMetrics) && slices.ContainsFunc(other.rules, readsOther) {
					reads[i][j] = true
				}
			}
		}
	}
	for i := range groups {
		for j := range groups {
			if reads[i][j] {
				o.open = append(o.open, [2]*ruleGroup{groups[j], groups[i]})
			}
		}
	}
	var result []*ruleGroup
	placed := make([]bool, len(groups))
	for len(result) < len(groups) {
		next := -1
		for i := range groups {
			if placed[i] {
				continue
			}
			if next < 0 {
				next = i // where groups read each other, by the order of the files
			}
			waits := false
			for j, yes := range reads[i] {
				waits = waits || yes && !placed[j]
			}
			if !waits {
				next = i
				break
			}
		}
		placed[next] = true
		result = append(result, groups[next])
	}
	return result
}

// live returns the rules that can have a value or an error in the test: all but those that have neither without the
// series that they select, where neither the test's input nor other rules provide these. It also returns whether any of
// them selects ALERTS or ALERTS_FOR_STATE.
func (t *test) live(all []*rule) (live []*rule, alertsSelected bool) {
	there := map[string]bool{}
	for name := range t.input.byName {
		there[name] = true
	}
	isAwake := awake(all, there)
	alertsSelected = t.exprs.reads(alertMetrics)
	for i, r := range all {
		if isAwake[i] {
			live = append(live, r)
			alertsSelected = alertsSelected || r.expr.reads(alertMetrics)
		}
	}
	return live, alertsSelected
}

// awake tells of each rule whether it can have a value or an error where there are samples of these metrics, to which it
// adds what the rules write.
func awake(all []*rule, there map[string]bool) []bool {
	isAwake := make([]bool, len(all))
	for changed := true; changed; {
		changed = false
		for i, r := range all {
			if isAwake[i] || r.expr.inert && !r.expr.finds(there) {
				continue
			}
			isAwake[i], changed = true, true
			for _, name := range r.writes() {
				there[name] = true
			}
		}
	}
	return isAwake
}

// finds reports whether the expression may select one of these metrics.
func (s selection) finds(there map[string]bool) bool {
	return s.any && len(there) > 0 || slices.ContainsFunc(s.names, func(name string) bool { return there[name] })
}

// differences returns the rules that differ between two versions of a file, after parsing.
func differences(a, b *ruleFile) []*rule {
	var different []*rule
	for i := range max(len(a.groups), len(b.groups)) {
		var ga, gb *ruleGroup
		var ra, rb []*rule
		if i < len(a.groups) {
			ga, ra = a.groups[i], a.groups[i].rules
		}
		if i < len(b.groups) {
			gb, rb = b.groups[i], b.groups[i].rules
		}
		same := ga != nil && gb != nil && ga.name == gb.name && ga.offset == gb.offset && ga.limit == gb.limit && len(ra) == len(rb)
		for j := range max(len(ra), len(rb)) {
			if same && ra[j].equal(rb[j]) {
				continue
			}
			if j < len(ra) {
				different = append(different, ra[j])
			}
			if j < len(rb) {
				different = append(different, rb[j])
			}
		}
	}
	return different
}

func (r *rule) equal(o *rule) bool {
	return r.alert == o.alert && r.name == o.name && r.expr.text == o.expr.text && r.hold == o.hold && r.keepFiring == o.keepFiring &&
		r.labels.Hash() == o.labels.Hash() && r.annotations.Hash() == o.annotations.Hash()
}

// affects reports whether the rules that differ can affect the result of the test: they can have a value in either
// version.
func (t *test) affects(different []*rule, before, after *ordered) bool {
	for _, version := range []*ordered{before, after} {
		live, _ := t.live(version.rules)
		if slices.ContainsFunc(live, func(r *rule) bool { return slices.Contains(different, r) }) {
			return true
		}
	}
	return false
}
