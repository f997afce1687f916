package check

import (
	"testing"

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
		if c := newParsedAlert(rule.Alert{Expr: source}, expr); !c.alwaysBeside(c) {
			t.Errorf("%s does not imply itself", source)
		}
		values(expr)
		varies(expr)
	})
}
