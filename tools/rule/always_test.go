package rule

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestAlways(t *testing.T) {
	for text, want := range map[string]bool{
		"vector(1)": true, "((vector(0)))": true, "vector(scalar(up))": true,
		"vector(1) > 2": false, "up": false, "absent(up)": false, "up or vector(1) > 2": false, "sum(vector(1))": false,
	} {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := Always(expr); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
