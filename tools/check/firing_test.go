package check

import (
	"testing"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

func TestNeverOfEachReason(t *testing.T) {
	for expr, want := range map[string]string{
		"histogram_quantile(0.9, sum(rate(h_bucket[5m]))) > 1": "expr/function",
		`a{x="1"} and a{x="2"}`:                                "expr/matching",
		"count(a) == 0":                                        "expr/never",
	} {
		parsed, err := promql.ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		why := promql.Analyze(parsed, promql.Know(nil, nil), promql.Usual).Reasons()
		found := Never(rule.Alert{Expr: expr}, why, promql.Usual)
		if len(found) != 1 || found[0].Check != want {
			t.Errorf("%s: got %v, want one finding of %s", expr, found, want)
		}
	}
}
