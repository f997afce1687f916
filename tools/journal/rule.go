package journal

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/rule"
)

// Of describes an alerting rule, and the signal to be drawn for it, without its series: what the rule compares with a
// number, or where it compares nothing the whole expression. The rule's file is named as the alert names it.
func Of(alert rule.Alert) (Rule, Signal) {
	r := Rule{File: alert.File, Line: alert.Line, Expr: alert.Expr, For: Seconds(alert.For), Labels: alert.Labels, Annotations: alert.Annotations}
	signal := Signal{Expr: alert.Expr, Series: []Series{}}
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(alert.Expr)
	if err != nil {
		return r, signal // rules have been parsed before; one that was not is shown as it is
	}
	if compared, threshold, ok := comparison(expr); ok {
		r.Threshold = &threshold
		expr, signal.Expr = compared, compared.String()
	}
	if signal.Unit = unit(expr); signal.Unit == timestamp {
		signal.Unit = ""
	}
	return r, signal
}

// mirrored are the comparisons with their sides exchanged.
var mirrored = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

// comparison takes an expression that compares something with a number apart.
func comparison(expr parser.Expr) (parser.Expr, Threshold, bool) {
	for {
		parenthesis, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = parenthesis.Expr
	}
	binary, ok := expr.(*parser.BinaryExpr)
	if !ok || !binary.Op.IsComparisonOperator() || binary.ReturnBool {
		return nil, Threshold{}, false
	}
	op := binary.Op.String()
	left, leftIsNumber := number(binary.LHS)
	right, rightIsNumber := number(binary.RHS)
	switch {
	case leftIsNumber == rightIsNumber:
		return nil, Threshold{}, false
	case leftIsNumber:
		return binary.RHS, Threshold{Op: mirrored[op], Value: left}, true
	}
	return binary.LHS, Threshold{Op: op, Value: right}, true
}

// number is the value of an expression without series, such as 7 * 86400.
func number(expr parser.Expr) (float64, bool) {
	switch e := expr.(type) {
	case *parser.NumberLiteral:
		return e.Val, !math.IsNaN(e.Val) && !math.IsInf(e.Val, 0)
	case *parser.ParenExpr:
		return number(e.Expr)
	case *parser.UnaryExpr:
		value, ok := number(e.Expr)
		if e.Op == parser.SUB {
			value = -value
		}
		return value, ok
	case *parser.BinaryExpr:
		left, leftOK := number(e.LHS)
		right, rightOK := number(e.RHS)
		value := math.NaN()
		switch e.Op {
		case parser.ADD:
			value = left + right
		case parser.SUB:
			value = left - right
		case parser.MUL:
			value = left * right
		case parser.DIV:
			value = left / right
		case parser.POW:
			value = math.Pow(left, right)
		}
		return value, leftOK && rightOK && !math.IsNaN(value) && !math.IsInf(value, 0)
	}
	return 0, false
}
