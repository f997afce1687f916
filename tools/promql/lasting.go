package promql

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// condition is a comparison of a selected metric with a number.
type condition struct {
	expr   parser.Expr
	metric string // canonical, without its offset
	offset time.Duration
	Interval
	loose bool // it holds for a series of the same instance, which may be another
}

// Lasts returns how long an expression holds at the most, and why, where its conditions say so: x == 0 and
// x offset 1h > 0 holds for less than an hour, since x would have to be two things at once after that, and so does
// x unless x offset 1h, since x would have to be there and not. By Usual, it takes series that match on their instance for the same.
// An alert whose for is as long never fires if it is evaluated when that time is over.
func Lasts(expr parser.Expr, by Knowledge) (time.Duration, Reason, bool) {
	for _, e := range exceptions(expr) {
		if d, ok := leaves(e); ok {
			happens := "appears"
			if d < 0 {
				happens = "vanishes"
			}
			return d.Abs(), Reason{
				Kind: Values, At: expr, First: e.LHS.PositionRange(), Second: e.RHS.PositionRange(),
				Text: fmt.Sprintf("%s holds for less than %s after a series %s", Excerpt(e), model.Duration(d.Abs()), happens),
			}, true
		}
	}
	all := conditions(expr)
	for i, one := range all {
		for _, other := range all[:i] {
			apart := one.offset - other.offset
			if both := one.meet(other.Interval); one.metric != other.metric || apart == 0 || !both.none() {
				continue
			}
			if by == Sure && (one.loose || other.loose) {
				continue
			}
			rests := ""
			if one.loose || other.loose {
				rests = ", as an instance has one such series"
			}
			return apart.Abs(), Reason{
				Kind: Values, At: expr, First: other.expr.PositionRange(), Second: one.expr.PositionRange(),
				Text: fmt.Sprintf("%s and %s hold together for less than %s%s", Excerpt(other.expr), Excerpt(one.expr), model.Duration(apart.Abs()), rests),
			}, true
		}
	}
	return 0, Reason{}, false
}

// exceptions are the "unless" that leave the results of an expression, with the same labels.
func exceptions(expr parser.Expr) []*parser.BinaryExpr {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	switch {
	case !ok:
	case e.Op == parser.LUNLESS:
		return append(exceptions(e.LHS), e)
	case e.Op == parser.LAND:
		return exceptions(e.LHS)
	case e.Op.IsComparisonOperator() && !e.ReturnBool && e.RHS.Type() == parser.ValueTypeScalar:
		return exceptions(e.LHS)
	case e.Op.IsComparisonOperator() && !e.ReturnBool && e.LHS.Type() == parser.ValueTypeScalar:
		return exceptions(e.RHS)
	}
	return nil
}

// leaves reports whether "unless" takes from what is there what was there some time before, or, where that is negative, is
// there some time after.
func leaves(e *parser.BinaryExpr) (time.Duration, bool) {
	if slices.Contains(e.VectorMatching.MatchingLabels, model.MetricNameLabel) {
		return 0, false
	}
	right, also := offsetOf(e.RHS)
	if !also {
		return 0, false
	}
	// What is left of a result by a condition is in the result without it.
	for expr := e.LHS; ; {
		left, ok := offsetOf(expr)
		if apart := right.offset - left.offset; ok && apart != 0 && (Canonical(left.now) == Canonical(right.now) || left.asksForMore(right)) {
			return apart, true
		}
		b, filters := Bare(expr).(*parser.BinaryExpr)
		switch {
		case !filters || b.ReturnBool:
			return 0, false
		case b.Op == parser.LAND, b.Op == parser.LUNLESS, b.Op.IsComparisonOperator() && b.RHS.Type() == parser.ValueTypeScalar:
			expr = b.LHS
		case b.Op.IsComparisonOperator() && b.LHS.Type() == parser.ValueTypeScalar:
			expr = b.RHS
		default:
			return 0, false
		}
	}
}

// past is an expression as of some time before.
type past struct {
	now    parser.Expr // without the offset
	offset time.Duration
}

func (p past) asksForMore(other past) bool {
	l, ok := Bare(p.now).(*parser.VectorSelector)
	r, also := Bare(other.now).(*parser.VectorSelector)
	return ok && also && asksForMore(l, r)
}

// offsetOf returns an expression as of some time before; false where it has no such time, or not one alone.
func offsetOf(expr parser.Expr) (past, bool) {
	p := past{}
	var err error
	if p.now, err = ParseExpr(expr.String()); err != nil || !deterministic(expr) {
		return p, false
	}
	first, ok := true, true
	parser.Inspect(p.now, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.VectorSelector:
			if !first && e.OriginalOffset != p.offset || e.Timestamp != nil || e.StartOrEnd != 0 || e.OriginalOffsetExpr != nil {
				ok = false
			}
			first, p.offset = false, e.OriginalOffset
			e.OriginalOffset, e.Offset = 0, 0
		case *parser.SubqueryExpr:
			ok = false
		case *parser.Call:
			switch e.Func.Name {
			case "time", "timestamp", "info", "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year":
				ok = false // they read the clock, or may
			}
		}
		return nil
	})
	return p, ok && !first
}

// conditions are the comparisons that all hold, for the same series, where an expression has a result.
func conditions(expr parser.Expr) []condition {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	if !ok || e.ReturnBool {
		return nil
	}
	if m := e.VectorMatching; e.Op == parser.LAND && m != nil {
		left := conditions(e.LHS)
		if m.On == slices.Contains(m.MatchingLabels, model.InstanceLabel) {
			right := conditions(e.RHS)
			for i := range right {
				right[i].loose = right[i].loose || len(m.MatchingLabels) > 0
			}
			left = append(left, right...)
		}
		return left
	}
	vector, number, op := Bare(e.LHS), e.RHS, e.Op
	if e.LHS.Type() == parser.ValueTypeScalar {
		vector, number, op = Bare(e.RHS), e.LHS, Mirror(e.Op)
	}
	value, constant := Constant(number)
	s, selected := vector.(*parser.VectorSelector)
	if !constant || !selected || !e.Op.IsComparisonOperator() || op == parser.NEQ || s.Timestamp != nil || s.StartOrEnd != 0 || s.OriginalOffsetExpr != nil {
		return nil
	}
	now := *s
	now.OriginalOffset, now.Offset = 0, 0
	return []condition{{expr: e, metric: Canonical(&now), offset: s.OriginalOffset, Interval: anything.compared(op, point(value)).numbers()}}
}
