package promql

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func parsed(t *testing.T, text string) parser.Expr {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return expr
}

func TestAlways(t *testing.T) {
	for text, want := range map[string]bool{
		"vector(1)": true, "((vector(0)))": true, "vector(scalar(up))": true,
		"vector(1) > 2": false, "up": false, "absent(up)": false, "up or vector(1) > 2": false, "sum(vector(1))": true, "sum(up) or vector(0)": true, "absent(up) or up": false, "absent(up == 2)": true,
	} {
		if got := Always(parsed(t, text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestConstant(t *testing.T) {
	for text, want := range map[string]float64{
		"7 * 86400": 604800, "-(2 ^ 3)": -8, "(9 - 2) / 2": 3.5, "7 % 4 + 1": 4, "((0.5))": 0.5,
	} {
		if got, ok := Constant(parsed(t, text)); !ok || got != want {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"up", "1 + up", "time()", "vector(1)", "scalar(up) * 2", `"one"`} {
		if got, ok := Constant(parsed(t, text)); ok {
			t.Errorf("%s: %v", text, got)
		}
	}
}
