package rule

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"
)

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
		switch e.Op {
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
	}
	return 0, false
}

// Always reports whether an expression holds whatever there is, as vector(1) does: the alert that a dead man's switch
// waits for.
func Always(expr parser.Expr) bool {
	call, ok := Bare(expr).(*parser.Call)
	return ok && call.Func.Name == "vector"
}
