package promql

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

// Holds returns why a comparison holds for each number that its vector can have, or one of the two sides of or does.
func (a *Analysis) Holds(expr parser.Expr) (string, bool) {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	if !ok || e.ReturnBool {
		return "", false
	}
	if e.Op == parser.LOR {
		one, other := compared(e.LHS), compared(e.RHS)
		if one.vector == nil || other.vector == nil || Canonical(one.vector) != Canonical(other.vector) {
			return "", false
		}
		for _, v := range []float64{one.number, other.number, (one.number + other.number) / 2,
			min(one.number, other.number) - 1, max(one.number, other.number) + 1} {
			if !one.holds(v) && !other.holds(v) {
				return "", false
			}
		}
		return fmt.Sprintf("one of %s and %s always holds", Excerpt(e.LHS), Excerpt(e.RHS)), true
	}
	vector, number, op := e.LHS, e.RHS, e.Op
	if vector.Type() == parser.ValueTypeScalar {
		vector, number, op = number, vector, Mirror(op)
	}
	f := a.Of(vector)
	if f.itself || f.Values.unbounded() && f.Values.isPoint() { // reported for that
		return "", false
	}
	if !e.Op.IsComparisonOperator() || number.Type() != parser.ValueTypeScalar || f.Empty || f.Values.none() || !f.Values.numbers().holds(op, a.Of(number).Values) {
		return "", false
	}
	return fmt.Sprintf("%s %s, so %s %s always holds%s", Excerpt(vector), f.Values.numbers(), op, Excerpt(number), as(f.rests)), true
}

// comparison is that of a vector with a number.
type comparison struct {
	vector parser.Expr // nil for none
	op     parser.ItemType
	number float64
}

func compared(expr parser.Expr) comparison {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	if !ok || e.ReturnBool || !e.Op.IsComparisonOperator() {
		return comparison{}
	}
	if v, ok := Constant(e.RHS); ok {
		return comparison{e.LHS, e.Op, v}
	}
	if v, ok := Constant(e.LHS); ok {
		return comparison{e.RHS, Mirror(e.Op), v}
	}
	return comparison{}
}

func (c comparison) holds(v float64) bool { return point(v).holds(c.op, point(c.number)) }
