package rule

import (
	"testing"
	"time"
)

func TestWindow(t *testing.T) {
	set := Set{Recordings: []Recording{
		{Name: "job:errors:rate5m", Expr: "sum by (job) (rate(errors_total[5m]))"},
		{Name: "loop", Expr: "loop + rate(x[1m])"},
	}}
	for expr, want := range map[string]time.Duration{
		"up == 0":                               0,
		"rate(errors_total[5m]) > 1":            5 * time.Minute,
		"rate(a[5m]) > rate(b[10m])":            10 * time.Minute,
		"a - a offset 1h > 0":                   time.Hour,
		"rate(a[5m] offset 1h) > 0":             time.Hour + 5*time.Minute,
		"max_over_time(rate(a[5m])[1h:1m]) > 0": time.Hour + 5*time.Minute,
		"max_over_time(a[1h:1m] offset 1d) > 0": 25 * time.Hour,
		"job:errors:rate5m > 0":                 5 * time.Minute,
		"avg_over_time(job:errors:rate5m[10m])": 15 * time.Minute,
		"loop > 0":                              time.Minute,
		"a offset -5m":                          0,
		"not an expression":                     0,
	} {
		if got := set.Window(expr); got != want {
			t.Errorf("%s looks back %s, want %s", expr, got, want)
		}
	}
}
