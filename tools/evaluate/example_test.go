package evaluate_test

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/rule"
)

func Example() {
	set, err := rule.Parse("a.yml", []byte(`
groups:
  - name: api
    rules:
      - record: job:errors:rate5m
        expr: sum by (job) (rate(errors_total[5m]))
      - alert: Errors
        expr: job:errors:rate5m > 0.1
        for: 5m
        annotations: {summary: "{{ $labels.job }} has {{ $value }} errors/s"}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	all, err := evaluate.New(evaluate.Options{}).Set(set)
	if err != nil {
		fmt.Println(err)
		return
	}
	errors := all.Find(set.Alerts[0])
	needed := all.Needed([]*evaluate.Rule{errors}) // once per alert

	series := promql.Series{Metric: labels.FromStrings("__name__", "errors_total", "job", "api", "instance", "1")}
	for minute := range int64(20) {
		series.Floats = append(series.Floats, promql.FPoint{T: minute * 60_000, F: float64(minute * 30)})
	}
	ctx := context.Background()
	run, err := needed.Run(ctx, evaluate.Input{
		Data: evaluate.NewData([]promql.Series{series}), Interval: time.Minute, Length: 8 * time.Minute, Watch: []*evaluate.Rule{errors},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer run.Close()
	for at, state := range run.Evaluations(errors) {
		fmt.Println(at.Sub(run.Start), "pending", len(state.Pending), "firing", len(state.Firing))
	}
	firing, err := run.Firing(ctx, errors, run.Start.Add(8*time.Minute))
	fmt.Println(firing, err)
	// Output:
	// 0s pending 0 firing 0
	// 1m0s pending 0 firing 0
	// 2m0s pending 1 firing 0
	// 3m0s pending 1 firing 0
	// 4m0s pending 1 firing 0
	// 5m0s pending 1 firing 0
	// 6m0s pending 1 firing 0
	// 7m0s pending 0 firing 1
	// 8m0s pending 0 firing 1
	// [{{alertname="Errors", job="api"} {summary="api has 0.5 errors/s"}}] <nil>
}
