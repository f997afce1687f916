package witness

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"github.com/stemedb/firedrill/tools/engine"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
)

var promqlParser = parser.NewParser(static.Options)

// maxSamples is how many samples a query may load in promtool.
const maxSamples = 10_000

// Series is an input series in the notation of promtool's unit tests.
type Series struct {
	Series string // such as up{job="api"}
	Values string // such as 1x60 0x5
}

// load reads input series as promtool does, with samples every interval from time 0.
func load(series []Series, interval time.Duration) (storage.Queryable, error) {
	var all []promql.Series
	for _, s := range series {
		l, values, err := promqlParser.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return nil, fmt.Errorf("series %s %s: %w", s.Series, s.Values, err)
		}
		one := promql.Series{Metric: l}
		for i, v := range values {
			if !v.Omitted {
				one.Floats = append(one.Floats, promql.FPoint{T: int64(i) * interval.Milliseconds(), F: v.Value})
			}
		}
		all = append(all, one)
	}
	return ruletest.Storage(all), nil
}

// Instant is the state of an alerting rule after one evaluation.
type Instant struct {
	At time.Duration // since the start of the input series
	// Pending and Firing hold the labels of the alerts in these states, with alertname, sorted.
	Pending, Firing []labels.Labels
}

// active reports whether the condition held, or keep_firing_for had not run out.
func (i Instant) active() bool { return len(i.Pending)+len(i.Firing) > 0 }

func (i Instant) firing() bool { return len(i.Firing) > 0 }

// Firing is a firing alert as it would be sent, without alertname.
type Firing struct{ Labels, Annotations labels.Labels }

// runner evaluates one alert with different inputs.
type runner struct {
	alert    rule.Alert
	expr     parser.Expr
	interval time.Duration
	queries  *promql.Engine
}

func newRunner(alert rule.Alert, interval time.Duration) (*runner, error) {
	expr, err := promqlParser.ParseExpr(alert.Expr)
	if err != nil {
		return nil, fmt.Errorf("the expression of %s: %w", alert.Name, err)
	}
	limits := promql.EngineOpts{Timeout: 10 * time.Second, MaxSamples: maxSamples, LookbackDelta: lookback}
	return &runner{alert, expr, interval, engine.NewQueries(limits, interval)}, nil
}

// rule is the alert as Prometheus evaluates it.
func (r *runner) rule(hold, keep time.Duration, annotations map[string]string) *rules.AlertingRule {
	return rules.NewAlertingRule(r.alert.Name, r.expr, hold, keep, labels.FromMap(r.alert.Labels), labels.FromMap(annotations),
		labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
}

func (r *runner) run(ctx context.Context, m storage.Queryable, until time.Duration) ([]Instant, error) {
	// Annotations are left out: expanding them at each evaluation takes most of the time.
	ar := r.rule(r.alert.For, r.alert.KeepFiringFor, nil)
	query := rules.EngineQueryFunc(r.queries, m)
	var instants []Instant
	for at := time.Duration(0); at <= until; at += r.interval {
		if _, err := ar.Eval(ctx, 0, time.UnixMilli(at.Milliseconds()).UTC(), query, &url.URL{}, 0); err != nil {
			return nil, err
		}
		now := Instant{At: at}
		for _, a := range ar.ActiveAlerts() {
			switch a.State {
			case rules.StatePending:
				now.Pending = append(now.Pending, a.Labels)
			case rules.StateFiring:
				now.Firing = append(now.Firing, a.Labels)
			}
		}
		slices.SortFunc(now.Pending, labels.Compare)
		slices.SortFunc(now.Firing, labels.Compare)
		instants = append(instants, now)
	}
	return instants, nil
}

// sent returns the alerts, with annotations, for which the condition holds at a time.
func (r *runner) sent(ctx context.Context, m storage.Queryable, at time.Duration) ([]Firing, error) {
	ar := r.rule(0, 0, r.alert.Annotations)
	if _, err := ar.Eval(ctx, 0, time.UnixMilli(at.Milliseconds()).UTC(), rules.EngineQueryFunc(r.queries, m), &url.URL{}, 0); err != nil {
		return nil, err
	}
	var all []Firing
	for _, a := range ar.ActiveAlerts() {
		all = append(all, Firing{a.Labels, a.Annotations})
	}
	slices.SortFunc(all, func(a, b Firing) int { return labels.Compare(a.Labels, b.Labels) })
	return all, nil
}

// values evaluates an expression at one time.
func (r *runner) values(ctx context.Context, m storage.Queryable, expr string, at time.Duration) (promql.Vector, error) {
	return rules.EngineQueryFunc(r.queries, m)(ctx, expr, time.UnixMilli(at.Milliseconds()).UTC())
}

// searchSamples is how many samples a query may load while inputs are searched.
const searchSamples = 5_000_000

func newQueries(interval time.Duration) *promql.Engine {
	return engine.NewQueries(promql.EngineOpts{Timeout: 10 * time.Second, MaxSamples: searchSamples, LookbackDelta: lookback}, interval)
}

func storageOf(all []promql.Series) storage.Queryable { return ruletest.Storage(all) }
