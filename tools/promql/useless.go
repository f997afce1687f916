package promql

import (
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// reportUseless reports a part that makes no difference. Instead has the same results.
func (a *Analysis) reportUseless(at, what, instead parser.Expr, format string, args ...any) {
	a.report(Useless, at, what, what, format, args...)
	all := a.known.reasons[part{at, a.by}]
	all[len(all)-1].Instead = instead
}

// about names the label of the last reason of a part.
func (a *Analysis) about(at parser.Expr, label string) {
	all := a.known.reasons[part{at, a.by}]
	all[len(all)-1].Label = label
}

// uselessAggregation reports what an aggregation says to no effect: labels that what it aggregates has not, the aggregation
// itself where each group has one series, and the labels that it drops at once after they were made.
func (a *Analysis) uselessAggregation(e *parser.AggregateExpr, inner Facts) {
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO: // the labels stay
		return
	}
	if inner.Empty {
		return
	}
	if !e.Without {
		if missing := notIn(e.Grouping, inner.Labels); len(missing) > 0 {
			short := *e
			short.Grouping = slices.DeleteFunc(slices.Clone(e.Grouping), func(name string) bool { return slices.Contains(missing, name) })
			a.reportUseless(e, e, &short, "it groups by %s, but %s has %s", strings.Join(missing, ", "), Excerpt(e.Expr), inner.Labels)
			a.about(e, missing[0])
			return
		}
	}
	keeps := func(name string) bool { return slices.Contains(e.Grouping, name) != e.Without }
	a.uselessCopies(e, e.Expr, keeps, e.Op, func(instead parser.Expr) parser.Expr {
		short := *e
		short.Expr = instead
		return &short
	})
	switch e.Op {
	case parser.SUM, parser.AVG, parser.MIN, parser.MAX:
		// What a recording rule groups by may change, and the aggregation then makes a difference.
		names, ok := inner.single(keeps)
		if ok && len(a.known.recordings) > 0 {
			_, ok = Analyze(e.Expr, a.known.ofText(), a.by).Of(e.Expr).single(keeps)
		}
		if ok {
			a.reportUseless(e, e, e.Expr, "%s has one series for each %s already, of which %s makes the same", Excerpt(e.Expr), groups(names), e.Op)
			return
		}
	}
	a.uselessRelabeling(e, e.Expr, keeps, nil, func(instead parser.Expr) parser.Expr {
		short := *e
		short.Expr = instead
		return &short
	})
}

// single returns the labels of a result of which no two series are alike in those that an aggregation keeps.
func (f Facts) single(keeps func(string) bool) ([]string, bool) {
	names, known := f.Labels.Only()
	return names, known && f.isUnique() && !slices.ContainsFunc(names, func(name string) bool { return !keeps(name) })
}

// uselessCopies reports labels that group_left or group_right takes from the other side and that go at once.
func (a *Analysis) uselessCopies(top, expr parser.Expr, keeps func(string) bool, dropping parser.ItemType, around func(parser.Expr) parser.Expr) {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	if !ok || e.VectorMatching == nil || e.VectorMatching.Card == parser.CardOneToOne {
		return
	}
	dropped := slices.DeleteFunc(slices.Clone(e.VectorMatching.Include), keeps)
	if len(dropped) == 0 {
		return
	}
	short, matching := *e, *e.VectorMatching
	matching.Include = slices.DeleteFunc(slices.Clone(matching.Include), func(name string) bool { return slices.Contains(dropped, name) })
	short.VectorMatching = &matching
	a.reportUseless(top, e, around(&short), "%s is taken from the other side of %s, and %s drops it", strings.Join(dropped, ", "), e.Op, dropping)
}

// groups describes what there is one series for each of.
func groups(names []string) string {
	if len(names) == 0 {
		return "result"
	}
	return strings.Join(names, ", ")
}

// uselessJoin reports labels that the right side of and or unless takes from elsewhere, of which nothing is left in the
// result.
func (a *Analysis) uselessJoin(e *parser.BinaryExpr) {
	m := e.VectorMatching
	if e.Op != parser.LAND && e.Op != parser.LUNLESS {
		return
	}
	matched := func(name string) bool { return slices.Contains(m.MatchingLabels, name) == m.On }
	a.uselessCopies(e, e.RHS, matched, e.Op, func(instead parser.Expr) parser.Expr {
		short := *e
		short.RHS = instead
		return &short
	})
}

// notIn are the labels that no series has, by what made them: not those that a matcher asks for to be missing.
func notIn(names []string, l Labels) (missing []string) {
	for _, name := range names {
		if _, told := l.of[name]; !l.open && !told && name != model.MetricNameLabel && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// uselessRelabeling reports label_replace() and label_join() right below an aggregation that drops the label that they make.
// Used are the labels that those above read; around puts something in the place of expr.
func (a *Analysis) uselessRelabeling(top *parser.AggregateExpr, expr parser.Expr, keeps func(string) bool, used []string, around func(parser.Expr) parser.Expr) {
	e, ok := Bare(expr).(*parser.Call)
	if !ok || e.Func.Name != "label_replace" && e.Func.Name != "label_join" {
		return
	}
	label, sources := text(e, 1), []string{text(e, 3)}
	if e.Func.Name == "label_join" {
		sources = nil
		for i := 3; i < len(e.Args); i++ {
			sources = append(sources, text(e, i))
		}
	}
	if label != model.MetricNameLabel && !keeps(label) && !slices.Contains(used, label) {
		var instead parser.Expr
		if e == Bare(top.Expr) { // below another, it may keep apart two series that the other makes alike
			instead = around(e.Args[0])
		}
		a.reportUseless(top, e, instead, "%s() makes the label %s, which %s drops", e.Func.Name, label, top.Op)
		return
	}
	a.uselessRelabeling(top, e.Args[0], keeps, append(sources, used...), func(instead parser.Expr) parser.Expr {
		short := *e
		short.Args = slices.Clone(e.Args)
		short.Args[0] = instead
		return around(&short)
	})
}

// poisoned reports an aggregation that is NaN as soon as one of the rates that it divides by is 0.
func (a *Analysis) poisoned(e *parser.AggregateExpr) {
	switch e.Op {
	case parser.SUM, parser.AVG, parser.STDDEV, parser.STDVAR:
	default:
		return
	}
	q, ok := Bare(e.Expr).(*parser.BinaryExpr)
	for ok && (q.Op == parser.MUL || q.Op == parser.DIV) { // through a scale
		if _, number := Constant(q.LHS); number && q.Op == parser.MUL {
			q, ok = Bare(q.RHS).(*parser.BinaryExpr)
		} else if _, number := Constant(q.RHS); number {
			q, ok = Bare(q.LHS).(*parser.BinaryExpr)
		} else {
			break
		}
	}
	if !ok || q.Op != parser.DIV && q.Op != parser.MOD || !isRate(q.RHS) || !a.Of(q.RHS).Values.Has(0) {
		return
	}
	a.report(Poisoned, e, e, q.RHS, "%s is 0 while nothing happens, and one quotient that is NaN makes the %s of all NaN, of which no comparison holds", Excerpt(q.RHS), e.Op)
}

// isRate reports whether an expression is a rate or a sum of rates, which are 0 in quiet times.
func isRate(expr parser.Expr) bool {
	switch e := Bare(expr).(type) {
	case *parser.Call:
		return slices.Contains([]string{"rate", "increase", "irate"}, e.Func.Name)
	case *parser.AggregateExpr:
		return (e.Op == parser.SUM || e.Op == parser.MIN || e.Op == parser.MAX || e.Op == parser.AVG) && isRate(e.Expr)
	}
	return false
}

// uselessMatching reports labels to match on that neither side has, and those to copy that the one side has not.
func (a *Analysis) uselessMatching(e *parser.BinaryExpr, left, right Facts) {
	m := e.VectorMatching
	if m.On {
		both := notIn(notIn(m.MatchingLabels, left.Labels), right.Labels)
		if len(both) > 0 {
			short, matching := *e, *m
			matching.MatchingLabels = slices.DeleteFunc(slices.Clone(m.MatchingLabels), func(name string) bool { return slices.Contains(both, name) })
			short.VectorMatching = &matching
			a.reportUseless(e, e, &short, "%s matches by %s, but neither side has it: the left one has %s, the right one %s", operator(e), strings.Join(both, ", "), left.Labels, right.Labels)
			a.about(e, both[0])
		}
	}
	one, side := right, e.RHS
	if m.Card == parser.CardOneToMany {
		one, side = left, e.LHS
	}
	if missing := notIn(m.Include, one.Labels); len(missing) > 0 && m.Card != parser.CardOneToOne {
		a.reportUseless(e, side, nil, "%s is to be taken from %s, which has %s, so that the result has no such label", strings.Join(missing, ", "), Excerpt(side), one.Labels)
	}
}

// ambiguous reports a side that may have one series only for each of those that match, and that is grouped by more: it
// takes for granted that a label to group by has several values.
func (a *Analysis) ambiguous(e *parser.BinaryExpr) {
	m := e.VectorMatching
	sides := []parser.Expr{e.LHS, e.RHS}
	switch m.Card {
	case parser.CardManyToMany: // and, or, unless
		return
	case parser.CardManyToOne:
		sides = sides[1:]
	case parser.CardOneToMany:
		sides = sides[:1]
	}
	for _, side := range sides {
		grouping, of := grouped(side)
		for _, name := range grouping {
			_, fixed := a.Of(side).Labels.Fixed(name)
			if fixed || slices.Contains(m.MatchingLabels, name) == m.On || slices.Contains(m.Include, name) || selectsOne(of) {
				continue
			}
			a.report(Ambiguous, e, side, side, "%s is grouped by %s, by which %s does not match: as soon as two of its series differ in %s alone, the rule fails", Excerpt(side), name, operator(e), name)
			a.about(e, name)
			return
		}
	}
}

// grouped are the labels by which the series of an expression are grouped, and what is.
func grouped(expr parser.Expr) ([]string, parser.Expr) {
	switch e := Bare(expr).(type) {
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
			return nil, nil
		}
		if !e.Without {
			return e.Grouping, e.Expr
		}
	case *parser.BinaryExpr:
		switch {
		case e.Op.IsComparisonOperator() && !e.ReturnBool || e.Op.IsSetOperator():
		case e.RHS.Type() == parser.ValueTypeScalar:
			return grouped(e.LHS)
		case e.LHS.Type() == parser.ValueTypeScalar:
			return grouped(e.RHS)
		}
	}
	return nil, nil
}

// selectsOne reports whether a comparison below leaves perhaps one of the values of a label, as that with 1 does of the
// phases of a pod.
func selectsOne(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.BinaryExpr:
			found = found || e.Op.IsComparisonOperator() && !e.ReturnBool || e.Op.IsSetOperator()
		case *parser.AggregateExpr:
			found = found || e.Op == parser.TOPK || e.Op == parser.BOTTOMK || e.Op == parser.LIMITK
		}
		return nil
	})
	return found
}
