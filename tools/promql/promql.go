// Package promql says what can be known of a PromQL expression without running it.
//
// Analyze finds, for each part of an expression, the labels that its series can have, the interval in which its values
// lie, and whether it has a result at all. What contradicts itself, so that a part never has a result, is a Reason with
// its place in the text. All of it is about series of floats: native histograms are not followed.
//
// There are two kinds of knowledge. Sure follows from the text and from what Prometheus itself guarantees: count() is at
// least 1, up is 0 or 1, x{a="1"} and x{a="2"} never match. Usual also takes for granted what exporters do: a scraped
// series has job and instance, a label that is grouped by exists, a counter is not negative, and a series ends five minutes
// after its last sample. The text of a Reason says which of it a claim rests on.
package promql

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"
)

// Parser parses what a Prometheus with any of Features does.
var Parser = parser.NewParser(Options)

// ParseExpr parses an expression with Parser.
func ParseExpr(text string) (parser.Expr, error) { return Parser.ParseExpr(text) }

// Bare is an expression without the parentheses around it.
func Bare(expr parser.Expr) parser.Expr {
	for {
		paren, ok := expr.(*parser.ParenExpr)
		if !ok {
			return expr
		}
		expr = paren.Expr
	}
}

// Constant computes an expression that is a number however it is written, such as 7 * 86400.
func Constant(expr parser.Expr) (float64, bool) {
	switch e := Bare(expr).(type) {
	case *parser.NumberLiteral:
		return e.Val, true
	case *parser.StepInvariantExpr:
		return Constant(e.Expr)
	case *parser.UnaryExpr:
		v, ok := Constant(e.Expr)
		if e.Op == parser.SUB {
			v = -v
		}
		return v, ok
	case *parser.BinaryExpr:
		l, ok := Constant(e.LHS)
		r, also := Constant(e.RHS)
		if !ok || !also {
			return 0, false
		}
		return Compute(e.Op, l, r)
	}
	return 0, false
}

// Compute is an arithmetic operation on two numbers; false for another operator.
func Compute(op parser.ItemType, l, r float64) (float64, bool) {
	switch op {
	case parser.ADD:
		return l + r, true
	case parser.SUB:
		return l - r, true
	case parser.MUL:
		return l * r, true
	case parser.DIV:
		return l / r, true
	case parser.POW:
		return math.Pow(l, r), true
	case parser.MOD:
		return math.Mod(l, r), true
	}
	return 0, false
}

// Mirror is the comparison with its sides exchanged; another operator stays as it is.
func Mirror(op parser.ItemType) parser.ItemType {
	switch op {
	case parser.LSS:
		return parser.GTR
	case parser.LTE:
		return parser.GTE
	case parser.GTR:
		return parser.LSS
	case parser.GTE:
		return parser.LTE
	}
	return op
}

// Always reports whether an expression has a result whatever there is, as vector(1) does: an alert on it always fires.
func Always(expr parser.Expr) bool {
	return Analyze(expr, nil, Sure).Of(expr).Present
}
