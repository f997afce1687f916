package journal

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Of describes an alerting rule, and the signal to be drawn for it, without its series: what the rule compares with a
// number, or where it compares nothing the whole expression. The rule's file is named as the alert names it.
func Of(alert rule.Alert) (Rule, Signal) {
	r := Rule{File: alert.File, Line: alert.Line, Expr: alert.Expr, For: Seconds(alert.For), Labels: alert.Labels, Annotations: alert.Annotations}
	signal := Signal{Expr: alert.Expr, Series: []Series{}}
	expr, err := promql.ParseExpr(alert.Expr)
	if err != nil {
		return r, signal // rules have been parsed before; one that was not is shown as it is
	}
	if compared, threshold, ok := comparison(expr); ok {
		r.Threshold = &threshold
		expr, signal.Expr = compared, compared.String()
	}
	if u := promql.UnitOf(expr, nil); u.Scale == 1 && u.Of != promql.Moment && !u.Rate && !u.Likely {
		signal.Unit = string(u.Of)
	}
	return r, signal
}

// comparison takes an expression that compares something with a number apart.
func comparison(expr parser.Expr) (parser.Expr, Threshold, bool) {
	binary, ok := promql.Bare(expr).(*parser.BinaryExpr)
	if !ok || !binary.Op.IsComparisonOperator() || binary.ReturnBool {
		return nil, Threshold{}, false
	}
	left, leftIsNumber := promql.Constant(binary.LHS)
	right, rightIsNumber := promql.Constant(binary.RHS)
	compared, threshold := binary.LHS, Threshold{Op: binary.Op.String(), Value: right}
	switch {
	case leftIsNumber == rightIsNumber:
		return nil, Threshold{}, false
	case leftIsNumber:
		compared, threshold = binary.RHS, Threshold{Op: promql.Mirror(binary.Op).String(), Value: left}
	}
	if math.IsNaN(threshold.Value) || math.IsInf(threshold.Value, 0) {
		return nil, Threshold{}, false // which can be neither drawn nor written as JSON
	}
	return compared, threshold, true
}
