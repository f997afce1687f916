package promql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// joined is a result of two sides that match.
type joined struct {
	Facts
	// alike says that matching is by all labels, so that two series that match have the same.
	alike bool
}

// join matches the two sides of "and", of an arithmetic operator or of a comparison.
func (a *Analysis) join(e *parser.BinaryExpr, left, right Facts) joined {
	if left.Empty || right.Empty {
		return joined{Facts: Facts{Labels: left.Labels, Values: left.Values, Empty: true}}
	}
	j, ok := a.match(e, left, right)
	j.Empty = !ok
	j.Present = ok && left.Present && right.Present && a.sameSeries(e.VectorMatching, left, right)
	return j
}

// match finds what the labels of a result are; it reports and returns false where no two series match.
func (a *Analysis) match(e *parser.BinaryExpr, left, right Facts) (joined, bool) {
	m := e.VectorMatching
	j := joined{Facts: left}
	agreed := map[string]value{}
	for _, name := range matchedNames(m, left.Labels, right.Labels) {
		l, r := left.Labels.value(name), right.Labels.value(name)
		if a.by == Usual && m.On && l.isMissing() != r.isMissing() {
			l, r = l.usual("it is matched on"), r.usual("it is matched on")
		}
		both, ok := l.meet(r)
		if !ok {
			a.mismatch(e, name, l, r)
			return j, false
		}
		agreed[name] = both
	}
	a.uselessMatching(e, left, right)
	a.uselessJoin(e)
	a.ambiguous(e)
	j.alike = a.isAlike(m, left.Labels, right.Labels)
	j.Labels = resultLabels(m, left.Labels, right.Labels, agreed, e.Op.IsSetOperator())
	return j, true
}

// mismatch reports a label by which no two series match.
func (a *Analysis) mismatch(e *parser.BinaryExpr, name string, l, r value) {
	effect := "so they never match"
	if e.Op == parser.LUNLESS {
		effect = "so unless never leaves anything out"
	}
	a.report(Matching, e, e.LHS, e.RHS, "the left side of %s has %s and the right side has %s, %s", operator(e), l.describe(name), r.describe(name), effect)
	all := a.known.reasons[part{e, a.by}]
	all[len(all)-1].Label, all[len(all)-1].Differ = name, !l.isMissing() && !r.isMissing()
}

// operator writes an operator with its matching.
func operator(e *parser.BinaryExpr) string {
	m := e.VectorMatching
	switch {
	case m == nil || !m.On && len(m.MatchingLabels) == 0:
		return e.Op.String()
	case m.On:
		return fmt.Sprintf("%s on (%s)", e.Op, strings.Join(m.MatchingLabels, ", "))
	}
	return fmt.Sprintf("%s ignoring (%s)", e.Op, strings.Join(m.MatchingLabels, ", "))
}

// matchedNames are the labels that have to be equal on both sides, as far as anything is known of them.
func matchedNames(m *parser.VectorMatching, left, right Labels) []string {
	if m.On {
		return slices.Sorted(slices.Values(m.MatchingLabels))
	}
	return slices.DeleteFunc(left.names(right), func(name string) bool {
		return name == model.MetricNameLabel || slices.Contains(m.MatchingLabels, name)
	})
}

// isAlike reports whether matching is by all labels that a series can have, but for its name.
func (a *Analysis) isAlike(m *parser.VectorMatching, left, right Labels) bool {
	if !m.On {
		return !slices.ContainsFunc(m.MatchingLabels, func(name string) bool { return left.May(name) || right.May(name) })
	}
	for _, side := range []Labels{left, right} {
		names, known := side.Only()
		if !known || slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(m.MatchingLabels, name) }) {
			return false
		}
	}
	return true
}

// resultLabels are the labels of a result, given what both sides agree on.
func resultLabels(m *parser.VectorMatching, left, right Labels, agreed map[string]value, set bool) Labels {
	many, one := left, right
	if m.Card == parser.CardOneToMany {
		many, one = right, left
	}
	r := Labels{open: many.open, lacks: many.lacks, of: map[string]value{}}
	for name := range many.of {
		r.of[name] = many.value(name)
	}
	for name, v := range agreed {
		r.of[name] = v
	}
	if !m.On && many.open && !one.open { // what the one side cannot have, the other has not, where it matches
		r.open = false
		for _, name := range m.MatchingLabels {
			r.of[name] = many.value(name)
		}
		if v, ok := many.of[model.MetricNameLabel]; ok {
			r.of[model.MetricNameLabel] = v
		} else {
			r.of[model.MetricNameLabel] = value{}
		}
	}
	switch {
	case set:
	case m.Card == parser.CardOneToOne && m.On:
		r = r.keeping(m.MatchingLabels)
	case m.Card == parser.CardOneToOne:
		r = r.without(m.MatchingLabels...)
	default:
		for _, name := range m.Include {
			r = r.with(name, one.value(name))
		}
	}
	return r
}

// Apart reports whether no series of the one expression has the same labels as one of the other, names aside.
func Apart(one, other parser.Expr, known *Known) bool {
	l, r := Analyze(one, known, Usual).Of(one).Labels, Analyze(other, known, Usual).Of(other).Labels
	return slices.ContainsFunc(l.names(r), func(name string) bool {
		_, ok := l.value(name).meet(r.value(name))
		return !ok && name != model.MetricNameLabel
	})
}
