package promql

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Window is how far an expression looks back, through ranges, subqueries, offsets and recording rules, whose expressions
// recorded returns by the metric that they write.
func Window(expr parser.Expr, recorded func(metric string) []parser.Expr) time.Duration {
	return window(expr, recorded, nil)
}

// window is Window for an expression that is reached through the recording rules of those names.
func window(node parser.Node, recorded func(metric string) []parser.Expr, through []string) time.Duration {
	var own, below time.Duration
	switch n := node.(type) {
	case *parser.MatrixSelector:
		own = n.Range
	case *parser.SubqueryExpr:
		own = n.Range + max(0, n.OriginalOffset)
	case *parser.VectorSelector:
		own = max(0, n.OriginalOffset)
		if slices.Contains(through, n.Name) {
			break
		}
		for _, expr := range recorded(n.Name) {
			below = max(below, window(expr, recorded, append(slices.Clone(through), n.Name)))
		}
	}
	for child := range parser.ChildrenIter(node) {
		below = max(below, window(child, recorded, through))
	}
	return own + below
}
