package witness

import (
	"fmt"
	"math"
	"testing"
)

func TestWritten(t *testing.T) {
	for text, want := range map[string]string{
		"1x5": "", "0+5x30": "", "10-0.5x3 _x2 3": "", "1 5": "", "_x3 1 stale": "", "0 0.5 -1x2": "", "NaN Inf 3x3": "", "1 _ 1": "1 _ 1", "2 _x3": "2", "1 2 3": "1+1x2",
	} {
		l, samples, err := promqlParser.ParseSeriesDesc(`x{a="b"} ` + text)
		if err != nil {
			t.Fatal(err)
		}
		got := Written(l, samples)
		if want != "" && got.Values != want || got.Series != `x{a="b"}` {
			t.Errorf("%s: %s", text, got)
		}
		_, again, err := promqlParser.ParseSeriesDesc("x " + got.Values)
		if err != nil || fmt.Sprint(again) != fmt.Sprint(samples[:len(again)]) {
			t.Errorf("%s: %s", text, got)
		}
	}
	missing := math.NaN()
	if got := values([]float64{missing, 1, missing, missing, 2, missing}, false); got != "_ 1 stale _ 2 stale" {
		t.Error(got)
	}
	if got := values([]float64{1, missing, 1, missing}, true); got != "1 _ 1" {
		t.Error(got)
	}
}
