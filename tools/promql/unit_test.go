package promql

import (
	"fmt"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestUnitOf(t *testing.T) {
	known := Know([]Recording{{Name: "job:used:percent", Expr: mustParse(t, "100 * a / b")}, {Name: "job:itself:x", Expr: mustParse(t, "job:itself:x")}}, nil)
	for expr, want := range map[string]string{
		"x_seconds":                     "seconds 1",
		"x_milliseconds_sum":            "seconds 0.001",
		"x_in_hours":                    "seconds 3600",
		"x_kib":                         "bytes 1024",
		"x_percent":                     "ratio 0.01",
		"x_ratio":                       "ratio 1",
		"x_timestamp_seconds":           "timestamp 1",
		"x_timestamp_ms":                "timestamp 0.001",
		"process_start_time_seconds":    "timestamp 1",
		"ms":                            " 1",
		"items":                         " 1",
		"x_seconds * 1000":              "seconds 0.001",
		"1000 * x_seconds":              "seconds 0.001",
		"x_seconds / 60":                "seconds 60",
		"x_timestamp_seconds - time()":  "seconds 1",
		"x / 1000 - time()":             "seconds 1",
		"x - y":                         " 1",
		"x_bytes - y_bytes":             "bytes 1",
		"x_bytes - 5":                   "bytes 1",
		"x_bytes / y_bytes":             "ratio 1",
		"x_bytes / y_mib":               "ratio 9.5367431640625e-07",
		"1 - x_bytes / y_bytes":         "ratio 1",
		"(1 - x_bytes / y_bytes) * 100": "ratio 0.01",
		"100 * a / b":                   "ratio 0.01 likely",
		"sum(rate(a[5m]) * 100) / sum(rate(b[5m]))": "ratio 0.01 likely",
		"rate(a[5m]) / b": " 1",
		"rate(x_seconds_sum[5m]) / rate(x_seconds_count[5m])":  "seconds 1",
		"rate(x_bytes_total[5m])":                              "bytes 1 a second",
		"increase(x_bytes_total[5m])":                          "bytes 1",
		"x_seconds / y":                                        " 1",
		"x_seconds / count(y)":                                 "seconds 1",
		"x_seconds * on (pod) group_left (node) kube_pod_info": "seconds 1",
		"x_seconds > 5 and y_bytes > 5":                        "seconds 1",
		"5 < x_seconds":                                        "seconds 1",
		"x_seconds > bool 5":                                   " 1",
		"x_seconds or vector(0)":                               "seconds 1",
		"x_seconds or y_bytes":                                 " 1",
		"count(x_seconds)":                                     " 1",
		"max by (job) (x_seconds)":                             "seconds 1",
		"histogram_quantile(0.9, sum by (le) (rate(x_seconds_bucket[5m])))": "seconds 1",
		"job:x_seconds:p99":       "seconds 1",
		"job:x_seconds:rate5m":    " 1",
		"job:errors:ratio_rate5m": "ratio 1",
		"x_seconds:sum":           " 1",
		"job:used:percent":        "ratio 0.01 likely",
		"job:itself:x":            " 1",
	} {
		u := UnitOf(mustParse(t, expr), known)
		got := fmt.Sprintf("%s %v", u.Of, u.Scale)
		if u.Rate {
			got += " a second"
		}
		if u.Likely {
			got += " likely"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
	if u := UnitOf(mustParse(t, "rate(cpu_seconds_total[5m])"), nil).Share(); u != (Unit{Of: Ratio, Scale: 1}) {
		t.Errorf("of the CPU: %+v", u)
	}
}

func mustParse(t *testing.T, text string) parser.Expr {
	t.Helper()
	expr, err := ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return expr
}
