package witness

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/rule"
)

// Difference is the first evaluation at which two rules differ.
type Difference struct {
	At   time.Duration // since the start of the scenario
	A, B []Firing      // what fires by either rule; empty for nothing
}

// Differ evaluates two rules over a scenario every interval, and returns the first evaluation at which the firing alerts
// differ, or nil. An error comes from ctx or a query.
func Differ(ctx context.Context, a, b rule.Alert, s Scenario, interval time.Duration) (*Difference, error) {
	m, err := load(s.Series, s.Interval)
	if err != nil {
		return nil, err
	}
	until := lookback
	for _, c := range s.Checks {
		until = max(until, c.At)
	}
	var seen [2][]Instant
	var runners [2]*runner
	for i, alert := range []rule.Alert{a, b} {
		if runners[i], err = newRunner(alert, interval); err != nil {
			return nil, err
		}
		if seen[i], err = runners[i].run(ctx, m, until); err != nil {
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
			if d.A, err = runners[0].sent(ctx, m, one.At); err != nil {
				return nil, err
			}
		}
		if same || other.firing() {
			if d.B, err = runners[1].sent(ctx, m, one.At); err != nil {
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

// Variants returns up to limit similar scenarios: with a copy of each series with another value for one label, or with
// that label changed. They distinguish rules that group, match or select differently.
func (s Scenario) Variants(limit int) []Scenario {
	type change struct{ series, label string } // an empty series stands for all
	var changes []change
	for _, in := range s.Series {
		l, err := promqlParser.ParseMetric(in.Series)
		if err != nil {
			continue
		}
		l.Range(func(l labels.Label) {
			if l.Name == labels.MetricName || l.Name == "le" {
				return
			}
			for _, c := range []change{{"", l.Name}, {in.Series, l.Name}} {
				if !slices.Contains(changes, c) {
					changes = append(changes, c)
				}
			}
		})
	}
	var all []Scenario
	for _, c := range changes {
		for _, keep := range []bool{true, false} {
			variant := s
			variant.Series = nil
			for _, in := range s.Series {
				l, err := promqlParser.ParseMetric(in.Series)
				isMeant := err == nil && l.Has(c.label) && (c.series == "" || c.series == in.Series)
				if keep || !isMeant {
					variant.Series = append(variant.Series, in)
				}
				if isMeant {
					other := labels.NewBuilder(l).Set(c.label, l.Get(c.label)+"-other").Labels()
					variant.Series = append(variant.Series, Series{name(other), in.Values})
				}
			}
			if all = append(all, variant); len(all) >= limit {
				return all
			}
		}
	}
	return all
}
