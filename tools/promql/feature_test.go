package promql

import (
	"slices"
	"testing"
)

func TestNeeded(t *testing.T) {
	for text, want := range map[string][]string{
		"up == 0":                          nil,
		"rate(x_total[5m] smoothed) > 0":   nil,
		"rate(x_total[2m*2]) > 0":          nil,
		"info(up) == 0":                    {experimentalFunctions},
		"limitk(1, x) > 0":                 {experimentalFunctions},
		"a + fill(0) b":                    {binopFillModifiers},
		"mad_over_time(a[5m]) + fill(0) b": {experimentalFunctions, binopFillModifiers},
		"http.requests > 0":                {unquotedUTF8Names},
		"rate(x[5m]":                       nil, // never PromQL
	} {
		got := Needed(text)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
