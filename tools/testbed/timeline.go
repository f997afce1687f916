package testbed

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/leap"
	"github.com/stemedb/firedrill/tools/runbook"
)

// leapt is a leap that was made.
type leapt struct {
	by          time.Duration
	now         time.Time // the moment that it led up to: what was before has moved back by it
	took        time.Duration
	transitions []leap.Transition
}

// interval is a part of the axis that is sampled in steps of one length.
type interval struct {
	from, to time.Time
	step     time.Duration
}

const (
	liveStep  = time.Second
	leapSteps = 120 // in each leap
)

// Record is how the alert went, since Begin: what the rule looks at, the alert's states, the steps that were followed, the
// leaps and the notifications, all on the axis that Prometheus has now.
func (t *Testbed) Record(ctx context.Context, a *Alert) (journal.Proof, error) {
	r, signal := journal.Of(a.Alert)
	r.File = t.relative(r.File)
	p := journal.Proof{Alert: a.Name, Rule: &r, Signal: &signal}

	t.mu.Lock()
	leaps, steps := slices.Clone(t.leaps), slices.Clone(t.steps)
	t.mu.Unlock()
	now := time.Now()
	axis := axis(leaps)
	for i, l := range leaps {
		to := axis.at(l.now, i+1)
		recorded := journal.Leap{From: to.Add(-l.by).UTC(), To: to.UTC(), Took: journal.Seconds(l.took)}
		for _, t := range l.transitions {
			if t.Alert == a.Name {
				recorded.Transitions = append(recorded.Transitions, journal.Transition{At: axis.at(t.At, i+1).UTC(), Alert: t.Alert, From: t.From, To: t.To})
			}
		}
		p.Leaps = append(p.Leaps, recorded)
	}
	began := t.Begun()
	for _, s := range steps {
		if !s.Started.IsZero() { // what was only shown stands where the step before it ended
			began = s.Started
		}
		p.Steps = append(p.Steps, t.step(s, axis.of(began)))
		began = began.Add(s.Duration)
	}
	notifications, err := t.Notifications(ctx)
	if err != nil {
		return p, err
	}
	for _, n := range changes(notifications) {
		if n.Alert() == a.Name {
			p.Notifications = append(p.Notifications, journal.Notification{
				At: axis.of(n.Received).UTC(), Receiver: n.Receiver, Status: n.Status, Labels: n.Labels, Annotations: n.Annotations,
			})
		}
	}

	intervals := intervalsBetween(axis.of(t.Begun()), now, p.Leaps)
	if signal.Series, err = t.sample(ctx, signal.Expr, intervals); err != nil {
		return p, err
	}
	states, err := t.sample(ctx, fmt.Sprintf("timestamp(ALERTS{alertname=%q})", a.Name), intervals)
	if err != nil {
		return p, err
	}
	p.Bands = statesOf(a.Name, states, intervals)
	return p, nil
}

// OnAxis is where a moment of the machine's own time lies on the axis that Prometheus has now: each leap that came later
// has moved it back.
func (t *Testbed) OnAxis(moment time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return axis(t.leaps).of(moment)
}

// axis are the leaps that were made, which lay out the time as Prometheus has it now.
type axis []leapt

// of is where a moment of the machine's own time lies.
func (a axis) of(moment time.Time) time.Time {
	for _, l := range a {
		if moment.Before(l.now) {
			moment = moment.Add(-l.by)
		}
	}
	return moment
}

// at is where a moment of the axis of then, when there were only so many leaps, lies now.
func (a axis) at(moment time.Time, leaps int) time.Time {
	for _, l := range a[leaps:] {
		moment = moment.Add(-l.by)
	}
	return moment
}

// step is a result as the journal has it.
func (t *Testbed) step(r runbook.Result, at time.Time) journal.Step {
	s := journal.Step{
		At: at.UTC(), Took: journal.Seconds(r.Duration), File: t.relative(r.Step.File), Line: r.Step.Line, Branch: r.Branch,
		Command: r.Step.Source, Output: r.Output, Expected: r.Step.Exit, Skipped: r.Skipped,
	}
	if r.Exit != runbook.NoExit && !r.Skipped {
		s.Exit = &r.Exit
	}
	return s
}

// intervalsBetween are what lies between two moments, leaps and what is between them, one after the other.
func intervalsBetween(from, to time.Time, leaps []journal.Leap) []interval {
	var all []interval
	from = from.Truncate(time.Millisecond) // Prometheus knows nothing smaller
	add := func(until time.Time, step time.Duration) {
		if until = until.Truncate(time.Millisecond); until.After(from) {
			all = append(all, interval{from, until, step})
			from = until
		}
	}
	for _, l := range leaps {
		add(l.From, liveStep)
		add(l.To, max(leapInterval, l.Leapt()/leapSteps).Truncate(time.Second))
	}
	add(to, liveStep)
	return append(all, interval{from, from, liveStep}) // the last moment, where no step may end
}

// sample is what an expression was over the intervals.
func (t *Testbed) sample(ctx context.Context, expr string, intervals []interval) ([]journal.Series, error) {
	all := []journal.Series{}
	at := map[model.Fingerprint]int{}
	for _, s := range intervals {
		found, _, _, err := t.api.QueryRange(ctx, expr, prometheus.Range{Start: s.from, End: s.to, Step: s.step})
		if err != nil {
			return nil, fmt.Errorf("ask Prometheus for the history of %s: %w", expr, err)
		}
		matrix, ok := found.(model.Matrix)
		if !ok { // a scalar, say
			return all, nil
		}
		for _, stream := range matrix {
			key := stream.Metric.Fingerprint()
			i, known := at[key]
			if !known {
				i = len(all)
				at[key] = i
				all = append(all, journal.Series{Labels: plain(model.LabelSet(stream.Metric))})
			}
			for _, value := range stream.Values {
				all[i].Samples = append(all[i].Samples, journal.Sample{At: float64(value.Timestamp) / 1000, Value: float64(value.Value)})
			}
		}
	}
	return all, nil
}

// statesOf are the states of an alert's instances over the intervals, of when Prometheus last wrote each of the series that
// ALERTS has of them: one for each instance and state. One that it has stopped to write without a word, as in a restart,
// stays visible for minutes: it counts until another was written.
func statesOf(alert string, series []journal.Series, intervals []interval) []journal.Band {
	begin, end := intervals[0].from.UTC(), intervals[len(intervals)-1].to.UTC()
	if len(series) == 0 {
		return []journal.Band{{Alert: alert, State: journal.Inactive, From: begin, To: end}}
	}
	type seen struct {
		state   journal.State
		written float64
	}
	type instance struct {
		labels map[string]string
		seen   map[int64]seen // by millisecond
	}
	var instances []*instance
	byName := map[string]*instance{}
	for _, s := range series {
		state := journal.State(s.Labels["alertstate"])
		delete(s.Labels, "alertstate")
		delete(s.Labels, model.MetricNameLabel)
		name := labelText(s.Labels, nil)
		if byName[name] == nil {
			byName[name] = &instance{labels: s.Labels, seen: map[int64]seen{}}
			instances = append(instances, byName[name])
		}
		for _, sample := range s.Samples {
			at := int64(math.Round(sample.At * 1000))
			if sample.Value > byName[name].seen[at].written {
				byName[name].seen[at] = seen{state, sample.Value}
			}
		}
	}
	var all []journal.Band
	for _, in := range instances {
		band := journal.Band{Alert: alert, Labels: in.labels, State: journal.Inactive, From: begin, To: begin}
		before, newest := begin, 0.0
		for _, s := range intervals {
			for at := s.from; !at.After(s.to); at = at.Add(s.step) {
				now := in.seen[at.UnixMilli()]
				state := now.state
				switch {
				case now.written > 0 && now.written >= newest:
					newest = now.written
				case band.State == journal.Firing || band.State == journal.Resolved:
					state = journal.Resolved
				default:
					state = journal.Inactive
				}
				if state != band.State {
					band.To = at.UTC()
					if band.To.Equal(end) && before.After(band.From) { // what has just begun is to be seen
						band.To = before
					}
					if band.To.After(band.From) {
						all = append(all, band)
					}
					band.State, band.From = state, band.To
				}
				before = at.UTC()
			}
		}
		if band.To = end; band.To.After(band.From) {
			all = append(all, band)
		}
	}
	return all
}
