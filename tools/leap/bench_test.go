package leap_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/leap"
)

func BenchmarkLeap1h(b *testing.B) { benchmarkLeap(b, time.Hour) }
func BenchmarkLeap1d(b *testing.B) { benchmarkLeap(b, 24*time.Hour) }

// benchmarkLeap leaps from three minutes of a Go server's /metrics, scraped every second: 200 series, some of which
// change, with five rules about them.
func benchmarkLeap(b *testing.B, d time.Duration) {
	var rules strings.Builder
	rules.WriteString("groups:\n- name: tls\n\trules:\n\t- {record: 'job:requests:rate5m', expr: 'sum by (job) (rate(requests_total[5m]))'}\n")
	for i := range 4 {
		fmt.Fprintf(&rules, "\t- alert: Low%d\n\t\texpr: gauge_%d < 86400\n\t\tfor: 1h\n\t\tannotations: {summary: 'it is {{ $value }}'}\n", i, i)
	}
	cfg := everySecond(rulesFile(b, rules.String()))
	cfg.Types = map[string]model.MetricType{
		"requests_total": model.MetricTypeCounter, "request_duration_seconds": model.MetricTypeHistogram,
	}
	series := []string{`up` + target + ` 1x179`}
	for i := range 100 {
		series = append(series, fmt.Sprintf(`gauge_%d%s %d%+dx179`, i, target, 80000+i*1000, i%3))
	}
	for code := range 10 {
		of := fmt.Sprintf(`{job="api",instance="host:9100",code="%d"`, code)
		series = append(series, fmt.Sprintf(`requests_total%s} %d+%dx179`, of, 1000*code, code%5))
		for le := range 9 {
			series = append(series, fmt.Sprintf(`request_duration_seconds_bucket%s,le="%d"} %d+%dx179`, of, le, 100*le*code, code%5))
		}
	}
	src := record(b, cfg, 3*time.Minute, series...)
	dst := b.TempDir()
	for i := 0; b.Loop(); i++ {
		if _, err := leap.Leap(b.Context(), src, filepath.Join(dst, fmt.Sprint(i)), d, t0.Add(3*time.Minute), cfg); err != nil {
			b.Fatal(err)
		}
	}
}
