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
}

// Lasts returns how long an expression holds at the most, and why, where its conditions say so: x == 0 and
// x offset 1h > 0 holds for less than an hour, since x would have to be two things at once after that. It takes series
// that match on their instance for the same.
func Lasts(expr parser.Expr) (time.Duration, Reason, bool) {
	all := conditions(expr)
	for i, one := range all {
		for _, other := range all[:i] {
			apart := one.offset - other.offset
			if both := one.meet(other.Interval); one.metric != other.metric || apart == 0 || !both.none() {
				continue
			}
			return apart.Abs(), Reason{
				Kind: Values, At: expr, First: other.expr.PositionRange(), Second: one.expr.PositionRange(),
				Text: fmt.Sprintf("%s and %s hold together for less than %s", Excerpt(other.expr), Excerpt(one.expr), model.Duration(apart.Abs())),
			}, true
		}
	}
	return 0, Reason{}, false
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
			left = append(left, conditions(e.RHS)...)
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
