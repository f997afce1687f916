package promql

import (
	"regexp"

	"github.com/prometheus/prometheus/promql/parser"
)

// Timestamp is the unit of a moment, in seconds since 1970: the difference of two is in seconds.
const Timestamp = "timestamp"

// unitForm finds the base unit in a metric's name: https://prometheus.io/docs/practices/naming/#base-units
var unitForm = regexp.MustCompile(`_(timestamp_seconds|seconds|bytes|ratio)(_bucket|_sum|_total)?$`)

// Unit is the unit of an expression by the names of its metrics: seconds, bytes, ratio or Timestamp; empty where they do
// not have it.
func Unit(expr parser.Expr) string {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		match := unitForm.FindStringSubmatch(e.Name)
		switch {
		case match == nil:
			return ""
		case match[1] == "timestamp_seconds":
			return Timestamp
		}
		return match[1]
	case *parser.MatrixSelector:
		return Unit(e.VectorSelector)
	case *parser.SubqueryExpr:
		return Unit(e.Expr)
	case *parser.ParenExpr:
		return Unit(e.Expr)
	case *parser.UnaryExpr:
		return Unit(e.Expr)
	case *parser.Call:
		return unitOfCall(e)
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.SUM, parser.AVG, parser.MIN, parser.MAX, parser.QUANTILE, parser.STDDEV, parser.TOPK, parser.BOTTOMK:
			return Unit(e.Expr)
		}
	case *parser.BinaryExpr:
		return unitOfOperation(e)
	}
	return ""
}

func unitOfCall(e *parser.Call) string {
	switch name := e.Func.Name; name {
	case "time", "timestamp":
		return Timestamp
	case "histogram_quantile": // of the rates of buckets, whose bounds have the unit
		found := ""
		parser.Inspect(e.Args[1], func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				found = Unit(selector)
			}
			return nil
		})
		return found
	case "increase", "delta", "idelta", "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sort", "sort_desc",
		"avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "last_over_time", "stddev_over_time":
		return Unit(e.Args[0])
	case "quantile_over_time":
		return Unit(e.Args[1])
	default:
		return ""
	}
}

func unitOfOperation(e *parser.BinaryExpr) string {
	left, right := Unit(e.LHS), Unit(e.RHS)
	_, number := Constant(e.RHS)
	switch {
	case e.Op.IsSetOperator(), e.Op.IsComparisonOperator() && !e.ReturnBool:
		return left
	case e.Op == parser.SUB && left == Timestamp && right == Timestamp:
		return "seconds"
	case e.Op == parser.DIV && left == right && left != "":
		return "ratio"
	case (e.Op == parser.ADD || e.Op == parser.SUB) && (left == right || number):
		return left
	}
	return ""
}
