package leap_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/leap"
)

func BenchmarkLeap1h(b *testing.B) { benchmarkLeap(b, time.Hour) }
func BenchmarkLeap7d(b *testing.B) { benchmarkLeap(b, 7*24*time.Hour) }

func benchmarkLeap(b *testing.B, d time.Duration) {
	src := filepath.Join(b.TempDir(), "src")
	db, err := tsdb.Open(src, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		b.Fatal(err)
	}
	types := map[string]model.MetricType{}
	t0 := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	app := db.AppenderV2(context.Background())
	for n := range 200 {
		l := labels.FromStrings("__name__", fmt.Sprintf("metric_%d", n), "job", "stemedb", "instance", "host:9100")
		types[l.Get("__name__")] = []model.MetricType{model.MetricTypeGauge, model.MetricTypeCounter}[n%2]
		for i := range 180 {
			if _, err := app.Append(0, l, 0, t0.Add(time.Duration(i)*time.Second).UnixMilli(), 1e6+float64(i*n), nil, nil, storage.AppendV2Options{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	app.Commit()
	db.Close()
	rules := filepath.Join(b.TempDir(), "rules.yml")
	text := "groups:\n- name: g\n  rules:\n"
	for i := range 4 {
		text += fmt.Sprintf("  - alert: A%d\n    expr: metric_%d < 7 * 86400\n    for: 1h\n    annotations: {summary: 'x {{ $value }}'}\n", i, i*10)
	}
	text += "  - record: r\n    expr: sum(rate(metric_7[5m]))\n"
	os.WriteFile(rules, []byte(text), 0o666)
	cfg := leap.Config{RuleFiles: []engine.RuleFile{{Path: rules}}, ScrapeInterval: time.Second, EvaluationInterval: time.Second, Types: types}
	for i := 0; b.Loop(); i++ {
		if _, err := leap.Leap(context.Background(), src, filepath.Join(b.TempDir(), fmt.Sprint(i)), d, t0.Add(182*time.Second), cfg); err != nil {
			b.Fatal(err)
		}
	}
}
