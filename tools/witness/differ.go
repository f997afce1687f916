package witness

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/stemedb/firedrill/tools/engine"
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
	rules    [2]*runner
	ranges   *promql.Engine
}

// Compare prepares the comparison of two rules that are evaluated every interval. An error is that of a rule which
// Prometheus would not load.
func Compare(a, b rule.Alert, interval time.Duration) (*Comparison, error) {
	c := &Comparison{interval: interval}
	var err error
	for i, alert := range []rule.Alert{a, b} {
		if c.rules[i], err = newRunner(alert, interval); err != nil {
			return nil, err
		}
	}
	limits := promql.EngineOpts{Timeout: 10 * time.Second, MaxSamples: 100 * maxSamples, LookbackDelta: lookback}
	c.ranges = engine.NewQueries(limits, interval)
	return c, nil
}

// Differ evaluates the rules over a scenario, and returns the first evaluation at which the firing alerts differ, or nil.
// An error comes from ctx or a query.
func (c *Comparison) Differ(ctx context.Context, s Scenario) (*Difference, error) {
	m, err := load(s.Series, s.Interval)
	if err != nil {
		return nil, err
	}
	until := lookback
	for _, check := range s.Checks {
		until = max(until, check.At)
	}
	a, b := c.rules[0], c.rules[1]
	if a.alert.For == b.alert.For && a.alert.KeepFiringFor == b.alert.KeepFiringFor && a.alert.Expr != b.alert.Expr {
		if same, err := c.sameResults(ctx, m, until); err == nil && same {
			return nil, ctx.Err()
		}
	}
	var seen [2][]Instant
	for i, r := range c.rules {
		if seen[i], err = r.run(ctx, m, until); err != nil {
			return nil, err
		}
	}
	compared := false
	for i, one := range seen[0] {
		other := seen[1][i]
		same := slices.EqualFunc(one.Firing, other.Firing, labels.Equal)
		if same && (compared || !one.firing()) {
			continue
		}
		compared = true // annotations are compared once: expanding them takes most of the time
		var d Difference
		if d.At = one.At; same || one.firing() {
			if d.A, err = a.firing(ctx, m, one); err != nil {
				return nil, err
			}
		}
		if same || other.firing() {
			if d.B, err = b.firing(ctx, m, other); err != nil {
				return nil, err
			}
		}
		if !same || !slices.EqualFunc(d.A, d.B, func(x, y Firing) bool {
			return labels.Equal(x.Labels, y.Labels) && labels.Equal(x.Annotations, y.Annotations)
		}) {
			return &d, nil
		}
	}
	return nil, nil
}

// sameResults reports whether both expressions have the same results at all evaluations, which one query for each tells.
func (c *Comparison) sameResults(ctx context.Context, m storage.Queryable, until time.Duration) (bool, error) {
	var found [2]promql.Matrix
	for i, r := range c.rules {
		q, err := c.ranges.NewRangeQuery(ctx, m, nil, r.alert.Expr, time.UnixMilli(0), time.UnixMilli(until.Milliseconds()), c.interval)
		if err != nil {
			return false, err
		}
		defer q.Close()
		result := q.Exec(ctx)
		if found[i], err = result.Matrix(); err != nil {
			return false, err
		}
	}
	return slices.EqualFunc(found[0], found[1], func(x, y promql.Series) bool {
		return labels.Equal(x.Metric, y.Metric) && slices.Equal(x.Floats, y.Floats) && len(x.Histograms)+len(y.Histograms) == 0
	}), nil
}

// firing are the alerts that fire at an evaluation, as they would be sent. The value is that of the same evaluation, which
// an alert that fires by keep_firing_for alone no longer has: it is left out then.
func (r *runner) firing(ctx context.Context, m storage.Queryable, at Instant) ([]Firing, error) {
	all, err := r.sent(ctx, m, at.At)
	return slices.DeleteFunc(all, func(f Firing) bool {
		return !slices.ContainsFunc(at.Firing, func(l labels.Labels) bool { return labels.Equal(l, f.Labels) })
	}), err
}
