package journal

import (
	"fmt"
	"testing"
	"time"

	"github.com/stemedb/firedrill/tools/rule"
)

func TestOf(t *testing.T) {
	for expr, want := range map[string]string{
		"shop_tls_cert_expiry_seconds < 7 * 86400":                                   "shop_tls_cert_expiry_seconds, seconds, < 604800",
		"604800 > shop_tls_cert_expiry_seconds":                                      "shop_tls_cert_expiry_seconds, seconds, < 604800",
		"(free_bytes / size_bytes < -(0.25 - 1) ^ 2)":                                "free_bytes / size_bytes, ratio, < -0.5625",
		"time() - backup_timestamp_seconds > 86400":                                  "time() - backup_timestamp_seconds, seconds, > 86400",
		"backup_timestamp_seconds > 1":                                               "backup_timestamp_seconds, , > 1",
		"sum(rate(errors_total[5m])) > 0.1":                                          "sum(rate(errors_total[5m])), , > 0.1",
		"histogram_quantile(0.99, sum by (le) (rate(took_seconds_bucket[5m]))) >= 1": "histogram_quantile(0.99, sum by (le) (rate(took_seconds_bucket[5m]))), seconds, >= 1",
		"max_over_time(queue_bytes[5m]) - 10 == 0":                                   "max_over_time(queue_bytes[5m]) - 10, bytes, == 0",
		"up unless on (job) expiry_seconds or absent(up)":                            "up unless on (job) expiry_seconds or absent(up), , -",
		"free_bytes < size_bytes":                                                    "free_bytes < size_bytes, bytes, -",
		"free_bytes < bool 5":                                                        "free_bytes < bool 5, , -",
		"1 < 2":                                                                      "1 < 2, , -",
		"increase(read_bytes_total[1h]) > 1 / 0":                                     "increase(read_bytes_total[1h]) > 1 / 0, bytes, -",
		"this is not PromQL":                                                         "this is not PromQL, , -",
	} {
		r, s := Of(rule.Alert{Expr: expr, For: time.Minute, File: "f", Line: 3})
		threshold := "-"
		if r.Threshold != nil {
			threshold = fmt.Sprintf("%s %v", r.Threshold.Op, r.Threshold.Value)
		}
		if got := fmt.Sprintf("%s, %s, %s", s.Expr, s.Unit, threshold); got != want {
			t.Errorf("%s: %s, want %s", expr, got, want)
		}
		if r.Expr != expr || r.For != secs(60) || r.File != "f" || r.Line != 3 {
			t.Errorf("%s: %+v", expr, r)
		}
	}
}
