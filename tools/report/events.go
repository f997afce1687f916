package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// event is a row of the table beside a timeline.
type event struct {
	At    time.Time
	What  string
	Value string // the signal then
}

// events are what happened, in the order of time.
func events(p journal.Proof) []event {
	var found []event
	add := func(at time.Time, format string, args ...any) {
		found = append(found, event{at, fmt.Sprintf(format, args...), valueAt(p, at)})
	}
	for _, l := range lanes(p) {
		for _, b := range l.bands {
			add(b.From, "%s is %s, for %s", l.title(), b.State, span(b.To.Sub(b.From)))
		}
	}
	for _, l := range p.Leaps {
		add(l.From, "%s are leapt, to %s, in %s", span(l.Leapt()), clock(l.To), span(l.Took.Duration()))
		for _, t := range l.Transitions {
			add(t.At, "within the leap, %s goes from %s to %s", t.Alert, t.From, t.To)
		}
	}
	for i, s := range p.Steps {
		add(s.At, "step %d, %s: %s", i+1, ended(s), brief(s.Command, 100))
	}
	for i, n := range p.Notifications {
		add(n.At, "notification %s: %s is notified that %s is %s", letter(i), n.Receiver, n.Labels["alertname"], n.Status)
	}
	if p.Drill != nil {
		for i, m := range p.Drill.Timeline {
			add(m.At, "moment %s: %s", roman(i), m.What)
		}
	}
	slices.SortStableFunc(found, func(a, b event) int { return cmp.Or(a.At.Compare(b.At)) })
	return found
}

// valueAt is the last value that each series had.
func valueAt(p journal.Proof, at time.Time) string {
	if p.Signal == nil {
		return ""
	}
	var values []string
	for _, s := range p.Signal.Series[:min(most, len(p.Signal.Series))] {
		last := "–"
		for _, sample := range s.Samples {
			if sample.Time().After(at) {
				break
			}
			last = value(sample.Value, p.Signal.Unit)
		}
		values = append(values, last)
	}
	return strings.Join(values, "; ")
}

// describe is a timeline in a few sentences.
func describe(p journal.Proof, from, to time.Time) string {
	sentences := []string{fmt.Sprintf("From %s to %s.", moment(from), moment(to))}
	say := func(format string, args ...any) { sentences = append(sentences, fmt.Sprintf(format, args...)) }
	if p.Signal != nil {
		for _, s := range p.Signal.Series[:min(most, len(p.Signal.Series))] {
			low, high := math.Inf(1), math.Inf(-1)
			for _, sample := range s.Samples {
				low, high = math.Min(low, sample.Value), math.Max(high, sample.Value)
			}
			if n := len(s.Samples); n > 0 {
				say("%s begins at %s and ends at %s, between %s and %s.", p.Signal.Expr, value(s.Samples[0].Value, p.Signal.Unit), value(s.Samples[n-1].Value, p.Signal.Unit), value(low, p.Signal.Unit), value(high, p.Signal.Unit))
			}
		}
		if p.Rule != nil && p.Rule.Threshold != nil {
			say("The rule's threshold is %s %s.", words[p.Rule.Threshold.Op], value(p.Rule.Threshold.Value, p.Signal.Unit))
		}
	}
	for _, l := range lanes(p) {
		var states []string
		for _, b := range l.bands {
			states = append(states, fmt.Sprintf("%s at %s", b.State, clock(b.From)))
		}
		say("%s is %s.", l.title(), strings.Join(states, ", "))
	}
	for _, l := range p.Leaps {
		say("%s are leapt at %s.", span(l.Leapt()), clock(l.From))
	}
	if len(p.Steps) > 0 {
		say("%s.", plural(len(p.Steps), "step", "steps"))
	}
	for _, n := range p.Notifications {
		say("%s is notified of %s at %s.", n.Receiver, n.Status, clock(n.At))
	}
	say("A table below shows the same.")
	return strings.Join(sentences, " ")
}
