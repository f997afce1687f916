package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"
)

// RunByTime evaluates as promtool does: at each time all rules in their order, over Prometheus's storage. The error is
// ctx's, or joins those of the rules, RuleErrors, at the first time at which one fails.
func (r *Rules) RunByTime(ctx context.Context, in Input) (_ *Run, err error) {
	run := r.start(in)
	if run.db, err = teststorage.NewWithError(func(o *tsdb.Options) {
		o.WALSegmentSize, o.NoLockfile, o.StripeSize, o.EnableExemplarStorage = -1, true, 1<<10, false
	}); err != nil {
		return nil, err
	}
	run.over(run.db)
	if err := run.byTime(ctx); err != nil {
		run.Close()
		return nil, err
	}
	return run, nil
}

func (r *Run) byTime(ctx context.Context) error {
	groups := r.groups()
	step := r.Interval // the longest of which all groups' intervals are multiples
	for _, g := range groups {
		step = gcd(step, g.Interval())
	}
	rest := slices.Clone(r.Data.series)
	for i, s := range rest {
		clone := *s
		rest[i] = &clone
	}
	for since := time.Duration(0); since <= r.Length; since += step {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		at := r.Start.Add(since)
		if err := r.fill(ctx, rest, till(at)); err != nil {
			return fmt.Errorf("at %s: %w", since, err)
		}
		var failures []error
		for _, g := range groups {
			if since%g.Interval() != 0 {
				continue
			}
			g.Eval(ctx, at)
			for i, one := range g.Rules() {
				if err := one.LastError(); err != nil {
					failures = append(failures, fmt.Errorf("at %s %w", since, &RuleError{g.rules[i], err}))
				}
			}
			for _, a := range g.alerting {
				r.keep(a, at)
			}
		}
		if len(failures) > 0 {
			return errors.Join(failures...)
		}
	}
	return nil
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// timedGroup is a group of Prometheus's, and its rules.
type timedGroup struct {
	*rules.Group
	rules    []*Rule
	alerting []*alerting
}

// groups returns the rule groups in order.
func (r *Run) groups() []timedGroup {
	opts := &rules.ManagerOptions{
		QueryFunc: r.query, AppendableV2: r.db, NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
	}
	var groups []timedGroup
	for rest := r.rules; len(rest) > 0; {
		own := rest[0].Group
		n := slices.IndexFunc(rest, func(rule *Rule) bool { return rule.Group != own })
		if n < 0 {
			n = len(rest)
		}
		g := timedGroup{rules: rest[:n]}
		var all []rules.Rule
		for _, rule := range g.rules {
			if rule.Alerting {
				a := r.Input.byTime(rule)
				g.alerting = append(g.alerting, a)
				all = append(all, a.machine)
			} else {
				all = append(all, &recording{rules.NewRecordingRule(rule.Name, rule.Expr.Parsed, rule.Labels), rule, r.recorded})
			}
		}
		g.Group = rules.NewGroup(rules.GroupOptions{
			Name: own.Name, File: own.File, Interval: r.interval(own), Limit: own.Limit, QueryOffset: &own.Offset, Rules: all, Opts: opts,
		})
		groups, rest = append(groups, g), rest[n:]
	}
	return groups
}

// recording is a recording rule that notes whether it had a value.
type recording struct {
	*rules.RecordingRule
	rule     *Rule
	recorded map[*Rule]bool
}

// Eval implements rules.Rule.
func (r *recording) Eval(ctx context.Context, offset time.Duration, at time.Time, query rules.QueryFunc, external *url.URL, limit int) (promql.Vector, error) {
	vector, err := r.RecordingRule.Eval(ctx, offset, at, query, external, limit)
	if len(vector) > 0 {
		r.recorded[r.rule] = true
	}
	return vector, err
}

// fill appends the samples of the rest of the input series up to a time, and takes them off.
func (r *Run) fill(ctx context.Context, rest []*series, until int64) error {
	app := r.db.AppenderV2(ctx)
	for _, s := range rest {
		for s.next() <= until {
			t, v, h := s.take()
			if _, err := app.Append(0, s.labels, 0, t, v, nil, h, storage.AppendV2Options{}); err != nil {
				return errors.Join(fmt.Errorf("the input series %s: %w", s.labels, err), app.Rollback())
			}
		}
	}
	return app.Commit()
}

// next returns the time of the first sample, or the highest time.
func (s *series) next() int64 {
	first := int64(math.MaxInt64)
	if len(s.floats) > 0 {
		first = s.floats[0].t
	}
	if len(s.histograms) > 0 {
		first = min(first, s.histograms[0].T)
	}
	return first
}

// take takes the first sample off: a number or a histogram.
func (s *series) take() (t int64, v float64, h *histogram.FloatHistogram) {
	if len(s.histograms) > 0 && s.histograms[0].T == s.next() {
		p := s.histograms[0]
		s.histograms = s.histograms[1:]
		return p.T, 0, p.H.Copy() // since the storage changes it
	}
	p := s.floats[0]
	s.floats = s.floats[1:]
	return p.t, p.v, nil
}
