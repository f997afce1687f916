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

func TestConstant(t *testing.T) {
	for text, want := range map[string]float64{
		"7 * 86400": 604800, "-(2 ^ 3)": -8, "(9 - 2) / 2": 3.5, "7 % 4 + 1": 4, "((0.5))": 0.5,
	} {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Constant(expr); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"up", "1 + up", "time()", "vector(1)", "scalar(up) * 2", `"one"`} {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := Constant(expr); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}
