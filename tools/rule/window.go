package rule

import (
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
)

// Window is how far an expression looks back, through the recording rules of the set as well; 0 where it looks at the
// present alone, or does not parse. See promql.Window.
func (s Set) Window(expr string) time.Duration {
	parsed, err := promql.ParseExpr(expr)
	if err != nil {
		return 0
	}
	return promql.Window(parsed, func(metric string) []parser.Expr {
		var all []parser.Expr
		for _, r := range s.Recordings {
			if r.Name != metric {
				continue
			}
			if parsed, err := promql.ParseExpr(r.Expr); err == nil {
				all = append(all, parsed)
			}
		}
		return all
	})
}

// Always reports whether the alert fires whatever there is, as a dead man's switch does.
func (a Alert) Always() bool {
	parsed, err := promql.ParseExpr(a.Expr)
	return err == nil && promql.Always(parsed)
}
