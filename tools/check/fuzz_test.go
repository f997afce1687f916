package check

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

func FuzzExpression(f *testing.F) {
	for _, source := range []string{
		"a > 1 and b < 2 or c", "sum by (x) (rate(a_total[5m])) / 3 > 0.1 unless on (x) b == 1", "absent(a) or vector(1)",
		"histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m]))) > 1", `label_replace(a, "n", "$1", "x", ".*") == bool 2`,
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		expr, err := promql.ParseExpr(source)
		if err != nil {
			return
		}
		(&series{knowledge: promql.Know(nil, nil)}).alternatives(expr)
		if a := newParsedAlert(rule.Alert{Expr: source}, expr); !a.alwaysBeside(a) {
			t.Errorf("%s does not imply itself", source)
		}
		values(expr)
		varies(expr)
		for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
			promql.Analyze(expr, nil, by).Reasons()
		}
		promql.Lasts(expr, promql.Usual)
		c := &checker{series: newSeries(nil, nil), missing: map[parser.Expr]bool{}, lines: map[string][]string{}}
		q := ofAlert(rule.Alert{Expr: source}, expr)
		q.at = func(offset int) (line, column int) { return 1, offset }
		c.meaning(q)
		c.fires(q, rule.Alert{})
		c.overridden(q, map[string]string{"x": "1"}, func(string) (int, int) { return 1, 1 })
	})
}
