package witness

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/stemedb/firedrill/tools/evaluate"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Difference is the first evaluation at which two rules differ.
type Difference struct {
	At   time.Duration // since the start of the scenario
	A, B []Firing      // what fires by either rule; empty for nothing
}

// Comparison evaluates two rules over the same inputs.
type Comparison struct {
	interval time.Duration
	rules    [2]*evaluate.Rules // of one alerting rule each
}

// Compare prepares the comparison of two rules that are evaluated every interval. An error is that of a rule which
// Prometheus would not load.
func Compare(a, b rule.Alert, interval time.Duration) (*Comparison, error) {
	c := &Comparison{interval: interval}
	compiler := evaluate.New(evaluate.Options{Features: static.Features})
	for i, alert := range []rule.Alert{a, b} {
		groups, err := compiler.Groups(alert.File, []rulefmt.RuleGroup{groupOf(alert, interval)})
		if err != nil {
			return nil, err
		}
		c.rules[i] = compiler.Rules(groups)
	}
	return c, nil
}

// groupOf is a group of one alert.
func groupOf(a rule.Alert, interval time.Duration) rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: a.Group, Interval: model.Duration(interval), Rules: []rulefmt.Rule{{
		Alert: a.Name, Expr: a.Expr, For: model.Duration(a.For), KeepFiringFor: model.Duration(a.KeepFiringFor), Labels: a.Labels, Annotations: a.Annotations,
	}}}
}

// Differ evaluates the rules over a scenario, and returns the first evaluation at which the firing alerts differ, or nil.
// An error comes from ctx or a query.
func (c *Comparison) Differ(ctx context.Context, s Scenario) (*Difference, error) {
	start := s.Start
	if start.IsZero() {
		start = time.Unix(0, 0).UTC()
	}
	series, err := parsed(s.Series, start, s.Interval)
	if err != nil {
		return nil, err
	}
	until := lookback
	for _, check := range s.Checks {
		until = max(until, check.At)
	}
	data := evaluate.NewData(series)
	var runs [2]*evaluate.Run
	for i, r := range c.rules {
		if runs[i], err = r.Run(ctx, evaluate.Input{Data: data, Start: start, Interval: c.interval, Length: until, Watch: r.All()}); err != nil {
			return nil, err
		}
		defer runs[i].Close()
	}
	alert := [2]*evaluate.Rule{c.rules[0].All()[0], c.rules[1].All()[0]}
	compared := false
	for at := range runs[0].Evaluations(alert[0]) {
		one, other := runs[0].At(alert[0], at), runs[1].At(alert[1], at)
		same := slices.EqualFunc(one.Firing, other.Firing, labels.Equal)
		if same && (compared || len(one.Firing) == 0) {
			continue
		}
		compared = true // annotations are compared once: expanding them takes most of the time
		d := Difference{At: at.Sub(start)}
		if d.A, err = whatFires(ctx, runs[0], alert[0], at); err != nil {
			return nil, err
		}
		if d.B, err = whatFires(ctx, runs[1], alert[1], at); err != nil {
			return nil, err
		}
		if !same || !slices.EqualFunc(d.A, d.B, func(x, y Firing) bool {
			return labels.Equal(x.Labels, y.Labels) && labels.Equal(x.Annotations, y.Annotations)
		}) {
			return &d, nil
		}
	}
	return nil, nil
}

// whatFires are the alerts that fire at a time, with alertname.
func whatFires(ctx context.Context, run *evaluate.Run, alert *evaluate.Rule, at time.Time) ([]Firing, error) {
	found, err := run.Firing(ctx, alert, at)
	var all []Firing
	for _, a := range found {
		all = append(all, Firing(a))
	}
	return all, err
}
