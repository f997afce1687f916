package rule

import (
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
)

// Window is how far an expression looks back, through ranges, subqueries, offsets and the recording rules of the set; 0
// where it looks at the present alone, or does not parse.
func (s Set) Window(expr string) time.Duration { return s.window(expr, nil) }

// window is Window for an expression that is reached through the recording rules of those names.
func (s Set) window(expr string, through []string) time.Duration {
	parsed, err := promql.ParseExpr(expr)
	if err != nil {
		return 0
	}
	var of func(node parser.Node) time.Duration
	of = func(node parser.Node) time.Duration {
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
			for _, r := range s.Recordings {
				if r.Name == n.Name {
					below = max(below, s.window(r.Expr, append(slices.Clone(through), n.Name)))
				}
			}
		}
		for child := range parser.ChildrenIter(node) {
			below = max(below, of(child))
		}
		return own + below
	}
	return of(parsed)
}

// Always reports whether the alert fires whatever there is, as a dead man's switch does.
func (a Alert) Always() bool {
	parsed, err := promql.ParseExpr(a.Expr)
	return err == nil && promql.Always(parsed)
}
