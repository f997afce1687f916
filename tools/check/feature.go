package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// features finds the rules that Prometheus refuses unless it is started with features that are not enabled.
func (c *checker) features(set rule.Set, enabled []string) {
	needs := func(expr string) (features, why string, start, end int) {
		var needed []string
		for _, feature := range static.Needed(expr) {
			if !slices.Contains(enabled, feature) {
				needed = append(needed, feature)
			}
		}
		if len(needed) == 0 {
			return "", "", 0, 0
		}
		_, err := static.ParserWith(enabled).ParseExpr(expr)
		if parseErrs, ok := errors.AsType[parser.ParseErrors](err); ok {
			why = parseErrs[0].Err.Error()
			start = min(max(int(parseErrs[0].PositionRange.Start), 0), len(expr))
			end = min(max(int(parseErrs[0].PositionRange.End), start), len(expr))
		}
		return strings.Join(needed, ","), why, start, end
	}
	message := func(name, features, why string) string {
		return fmt.Sprintf("Prometheus refuses the file of %s unless it is started with --enable-feature=%s (%s): give firedrill the same flag if it is, or write the expression without it", name, features, why)
	}
	for _, alert := range set.Alerts {
		if features, why, start, end := needs(alert.Expr); features != "" {
			c.reportRange(alert, "expr", start, end, "expr/feature", "%s", message(alert.Name, features, why))
		}
	}
	for _, r := range set.Recordings {
		if features, why, start, _ := needs(r.Expr); features != "" {
			line, column := r.At("expr", start)
			c.report("expr/feature", r.File, line, column, "%s", message(r.Name, features, why))
		}
	}
}
