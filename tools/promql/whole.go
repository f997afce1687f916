package promql

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// addend is an expression that is added so many times.
type addend struct {
	of    parser.Expr
	times float64
}

// ofWhole is where a quotient lies whose divisor contains what is divided, and nothing that is negative: a / (a + b),
// sum(a{x="1"}) / sum(a). The text is why; empty where it is no such quotient.
func (a *Analysis) ofWhole(e *parser.BinaryExpr, j joined) (Interval, string) {
	if e.Op != parser.DIV || !j.alike {
		return anything, ""
	}
	whole, ok := a.addends(e.RHS, false)
	parts, also := a.addends(e.LHS, true)
	if !ok || !also {
		return anything, ""
	}
	exact := len(parts) == 1
	times := make([]float64, len(whole)) // of each of the whole, how much of it is divided at the most
	for _, p := range parts {
		i := slices.IndexFunc(whole, func(w addend) bool { return a.isPart(p.of, w.of) })
		if i < 0 {
			return anything, ""
		}
		times[i] += p.times / whole[i].times
		// Usually other parts of a sum are 0 where two sums are nearly the same, and both are then rounded alike.
		exact = exact && p.times == 1 && whole[i].times == 1 && (a.by == Usual || !isSum(p.of) || a.factor(p.of) == a.factor(whole[i].of))
	}
	most := slices.Max(times)
	if !exact {
		most *= 1 + 1e-9
	}
	r := Interval{Min: -infinite, Max: most, NaN: true}
	if a.Of(e.LHS).Values.Min >= 0 {
		r.Min = 0
	}
	return r, "the divisor contains what is divided"
}

// addends are expressions, with the same labels and none below 0, whose sum an expression does not exceed (most), or
// reaches at least.
func (a *Analysis) addends(expr parser.Expr, most bool) ([]addend, bool) {
	opaque := func() ([]addend, bool) { return []addend{{expr, 1}}, a.Of(expr).Values.Min >= 0 }
	switch e := Bare(expr).(type) {
	case *parser.Call:
		if name := e.Func.Name; name == "clamp_min" && !most || name == "clamp_max" && most {
			return a.addends(e.Args[0], most)
		}
	case *parser.BinaryExpr:
		l, lok := Constant(e.LHS)
		r, rok := Constant(e.RHS)
		vectors := e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector
		switch op := e.Op; {
		case op.IsComparisonOperator() && !e.ReturnBool && !vectors:
			if e.LHS.Type() == parser.ValueTypeVector {
				return a.addends(e.LHS, most)
			}
			return a.addends(e.RHS, most)
		case op == parser.LAND, op == parser.LUNLESS:
			return a.addends(e.LHS, most)
		case op == parser.MUL && rok && r > 0:
			return a.scaled(e.LHS, r, most)
		case op == parser.MUL && lok && l > 0:
			return a.scaled(e.RHS, l, most)
		case op == parser.DIV && rok && r > 0:
			return a.scaled(e.LHS, 1/r, most)
		case op == parser.ADD && rok && r >= 0 && !most:
			return a.addends(e.LHS, most)
		case op == parser.ADD && lok && l >= 0 && !most:
			return a.addends(e.RHS, most)
		case !vectors || e.VectorMatching.FillValues.LHS != nil || e.VectorMatching.FillValues.RHS != nil || !a.isAlike(e.VectorMatching, a.Of(e.LHS).Labels, a.Of(e.RHS).Labels):
		case op == parser.ADD:
			left, lok := a.addends(e.LHS, most)
			right, rok := a.addends(e.RHS, most)
			return append(left, right...), lok && rok
		case op == parser.SUB && most && a.Of(e.RHS).Values.Min >= 0:
			return a.addends(e.LHS, most)
		}
	}
	return opaque()
}

func (a *Analysis) scaled(expr parser.Expr, by float64, most bool) ([]addend, bool) {
	all, ok := a.addends(expr, most)
	for i := range all {
		all[i].times *= by
	}
	return all, ok
}

// isPart reports whether a value of the one expression is never above that of the other with the same labels.
func (a *Analysis) isPart(one, whole parser.Expr) bool {
	if key := a.factor(one); key != "" && key == a.factor(whole) {
		return true
	}
	l, ok := Bare(one).(*parser.AggregateExpr)
	r, also := Bare(whole).(*parser.AggregateExpr)
	if !ok || !also {
		return a.Of(whole).isUnique() && a.isSubset(one, whole)
	}
	alike := l.Op == r.Op && l.Without == r.Without && slices.Equal(groupedBy(l), groupedBy(r))
	switch l.Op {
	case parser.COUNT, parser.MAX:
		return alike && a.isSubset(l.Expr, r.Expr)
	case parser.SUM:
		return alike && a.isSubset(l.Expr, r.Expr) && a.Of(r.Expr).Values.Min >= 0
	}
	return false
}

func isSum(expr parser.Expr) bool {
	e, ok := Bare(expr).(*parser.AggregateExpr)
	return ok && e.Op == parser.SUM
}

func groupedBy(e *parser.AggregateExpr) []string {
	return slices.Compact(slices.Sorted(slices.Values(e.Grouping)))
}

// bySeries are the functions whose value for each series depends on that series alone, and that keep its labels.
var bySeries = []string{
	"rate", "increase", "irate", "changes", "resets", "delta", "avg_over_time", "min_over_time", "max_over_time",
	"sum_over_time", "count_over_time", "last_over_time", "present_over_time", "abs", "ceil", "floor",
}

// isSubset reports whether each series of the one result is in the other, with the same labels and value.
func (a *Analysis) isSubset(one, other parser.Expr) bool {
	one, other = Bare(one), Bare(other)
	if e, ok := one.(*parser.BinaryExpr); ok && !e.ReturnBool {
		switch scalar := e.RHS.Type() == parser.ValueTypeScalar; {
		case e.Op == parser.LAND, e.Op == parser.LUNLESS, e.Op.IsComparisonOperator() && scalar:
			if a.isSubset(e.LHS, other) {
				return true
			}
		case e.Op.IsComparisonOperator() && e.LHS.Type() == parser.ValueTypeScalar:
			if a.isSubset(e.RHS, other) {
				return true
			}
		}
	}
	switch l := one.(type) {
	case *parser.VectorSelector:
		r, ok := other.(*parser.VectorSelector)
		return ok && asksForMore(l, r)
	case *parser.MatrixSelector:
		r, ok := other.(*parser.MatrixSelector)
		return ok && l.Range == r.Range && l.RangeExpr == nil && r.RangeExpr == nil && a.isSubset(l.VectorSelector, r.VectorSelector)
	case *parser.Call:
		r, ok := other.(*parser.Call)
		if ok && l.Func.Name == r.Func.Name && len(l.Args) == 1 && slices.Contains(bySeries, l.Func.Name) {
			return a.isSubset(l.Args[0], r.Args[0])
		}
	}
	return one.Type() == parser.ValueTypeVector && deterministic(one) && Canonical(one) == Canonical(other)
}

// asksForMore reports whether a selector asks for all that the other asks for, at the same time.
func asksForMore(one, other *parser.VectorSelector) bool {
	l, r := *one, *other
	l.LabelMatchers, r.LabelMatchers = nil, nil
	if Canonical(&l) != Canonical(&r) {
		return false
	}
	return !slices.ContainsFunc(other.LabelMatchers, func(m *labels.Matcher) bool {
		return !slices.ContainsFunc(one.LabelMatchers, func(o *labels.Matcher) bool {
			return o.Name == m.Name && (o.String() == m.String() || o.Type == labels.MatchEqual && m.Matches(o.Value))
		})
	})
}
