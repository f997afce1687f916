package rule

import "github.com/prometheus/prometheus/promql/parser"

// Always reports whether an expression holds whatever there is, as vector(1) does: the alert that a dead man's switch
// waits for.
func Always(expr parser.Expr) bool {
	for {
		paren, ok := expr.(*parser.ParenExpr)
		if !ok {
			break
		}
		expr = paren.Expr
	}
	call, ok := expr.(*parser.Call)
	return ok && call.Func.Name == "vector"
}
