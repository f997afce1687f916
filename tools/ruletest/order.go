package ruletest

import (
	"slices"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// ordered holds the rules of a test file in order of evaluation.
type ordered struct {
	rules *evaluate.Rules
	// opposite holds the rules with groups of equal rank in the opposite order.
	opposite *evaluate.Rules
	// open holds pairs of groups whose order the file does not define and of which the second reads what the first
	// writes.
	open [][2]*evaluate.Group
}

// ordered sorts the groups of the test file's rule files, with replacement, if not nil, in place of the file of its path.
//
// promtool evaluates groups in the order of group_eval_order; groups that it does not name have the rank of the first that
// it names, and groups of equal rank are in random order. Here, groups that others read come first where possible, then
// the order of the files decides: one of promtool's orders, and always the same.
func (s *Suite) ordered(f *file, replacement *ruleFile) *ordered {
	ranks := map[string]int{}
	for i, name := range f.order {
		ranks[name] = i
	}
	byRank := make([][]*evaluate.Group, max(1, len(f.order)))
	for i, path := range f.rules {
		if slices.Contains(f.rules[:i], path) {
			continue
		}
		file := s.ruleFiles[path]
		if replacement != nil && replacement.path == path {
			file = replacement
		}
		for _, g := range file.groups {
			byRank[ranks[g.Name]] = append(byRank[ranks[g.Name]], g)
		}
	}
	var open [][2]*evaluate.Group
	var forward, backward []*evaluate.Group
	for _, groups := range byRank {
		sorted, pairs := evaluate.Order(groups)
		open = append(open, pairs...)
		forward = append(forward, sorted...)
		slices.Reverse(sorted)
		backward = append(backward, sorted...)
	}
	return &ordered{s.compiler.Rules(forward), s.compiler.Rules(backward), open}
}

// differences returns the rules that differ between two versions of a file, after parsing.
func differences(a, b *ruleFile) []*evaluate.Rule {
	var different []*evaluate.Rule
	for i := range max(len(a.groups), len(b.groups)) {
		var ga, gb *evaluate.Group
		var ra, rb []*evaluate.Rule
		if i < len(a.groups) {
			ga, ra = a.groups[i], a.groups[i].Rules
		}
		if i < len(b.groups) {
			gb, rb = b.groups[i], b.groups[i].Rules
		}
		same := ga != nil && gb != nil && ga.Name == gb.Name && ga.Offset == gb.Offset && ga.Limit == gb.Limit && len(ra) == len(rb)
		for j := range max(len(ra), len(rb)) {
			if same && ra[j].Equal(rb[j]) {
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

// affects reports whether the rules that differ can affect the result of the test: they can have a value in either
// version.
func (t *test) affects(different []*evaluate.Rule, before, after *ordered) bool {
	for _, version := range []*ordered{before, after} {
		live := version.rules.Live(t.data.Metrics()).All()
		if slices.ContainsFunc(live, func(r *evaluate.Rule) bool { return slices.Contains(different, r) }) {
			return true
		}
	}
	return false
}
