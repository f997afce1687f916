package witness

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// story is an input on both sides of a boundary.
type story struct {
	*plan
	name, opposite string // the input at which it fires, and the one at which it does not
	clears         string // the latter, in few words
	fire, calm     func() // put the plan on the one side, and on the other
	gone           *series
}

// maxEvaluations limits the evaluations of one scenario.
const maxEvaluations = 20_000

// observe evaluates the alert at both sides of a boundary and notes what it does. It returns false where it does not fire
// on the one side or fires on the other.
func (s *story) observe(ctx context.Context, b *Boundary) (bool, error) {
	defer s.fire()
	until := s.end()
	if until/s.interval > maxEvaluations {
		return false, nil
	}
	s.fire()
	head := s.input(until)
	states, err := s.states(ctx, head, until)
	if err != nil {
		return false, ctx.Err()
	}
	fires := first(states, isFiring)
	if fires < 0 {
		return false, nil
	}
	b.After = fires - first(states, evaluate.State.Active)
	s.calm()
	other := s.input(max(fires, s.begin))
	calm, err := s.states(ctx, other, max(fires, s.begin))
	if err != nil {
		return false, ctx.Err()
	}
	// Windows that are not full yet can let it fire on both sides: then what it does once they are is compared.
	for _, later := range []time.Duration{fires, max(fires, s.begin)} {
		if fires = later; !firingAt(calm, later) && firingAt(states, later) {
			break
		}
	}
	if firingAt(calm, fires) || !firingAt(states, fires) {
		return false, nil
	}
	other = s.input(fires)
	main, err := s.firesAndClears(ctx, b, fires)
	if err != nil {
		return false, ctx.Err()
	}
	b.Scenarios = append(b.Scenarios, Scenario{
		Name: fmt.Sprintf("%s is quiet with %s", s.alert.Name, s.opposite), Interval: s.sampled, Start: other.start,
		Series: other.written(), Checks: []Check{{At: fires}},
	}, main)
	return true, ctx.Err()
}

func isFiring(s evaluate.State) bool { return len(s.Firing) > 0 }

// first is when a state first is so, since the start; -1 for never.
func first(states []at, is func(evaluate.State) bool) time.Duration {
	for _, s := range states {
		if is(s.State) {
			return s.since
		}
	}
	return -1
}

// firingAt reports whether an alert fires at a time since the start.
func firingAt(states []at, since time.Duration) bool {
	for _, s := range states {
		if s.since == since {
			return isFiring(s.State)
		}
	}
	return false
}

// at is a state and when, since the start.
type at struct {
	since time.Duration
	evaluate.State
}

// tape is input series as samples; NaN where there is none.
type tape struct {
	start   time.Time
	series  []*series
	samples [][]float64
}

func (p *plan) input(until time.Duration) *tape {
	t := &tape{start: p.start}
	for _, s := range p.series {
		t.series = append(t.series, s)
		t.samples = append(t.samples, p.samples(s, until))
	}
	return t
}

func (t *tape) written() []Series {
	var all []Series
	for i, s := range t.series {
		if text := values(t.samples[i], s.gap > 1); text != "" {
			all = append(all, Series{name(s.labels), text})
		}
	}
	return all
}

// append adds samples of the plan as it is now: counters and what follows a course go on from where they are.
func (t *tape) append(p *plan, from, to int) {
	for k, s := range t.series {
		before := t.samples[k]
		for i := from; i <= to; i++ {
			v, ok := s.at(i, p.zero, p.now())
			last := math.NaN()
			if len(before) > 0 {
				last = before[len(before)-1]
			}
			switch {
			case !ok:
				v = math.NaN()
			case s.moment:
				v = s.level + s.slope*float64(i-from) + float64(p.start.UnixMilli())/1000 + (time.Duration(from) * p.sampled).Seconds()
			case s.counter && !math.IsNaN(last):
				v = roundOff(last + s.slope)
			case s.period > 0 || s.slope != 0:
				if !math.IsNaN(last) {
					v = last
				}
			}
			before = append(before, v)
		}
		t.samples[k] = before
	}
}

// states evaluates the alert over an input as written, and returns its state at each evaluation.
func (p *plan) states(ctx context.Context, t *tape, until time.Duration) ([]at, error) {
	run, err := p.run(ctx, t.written(), until)
	if err != nil {
		return nil, err
	}
	defer run.Close()
	var all []at
	for when, state := range run.Evaluations(p.own) {
		all = append(all, at{when.Sub(p.start), state})
	}
	return all, nil
}

// maxLooks limits the samples that an alert and what it reads look at while a scenario is evaluated.
const maxLooks = 300_000

// affordable is how many evaluations that allows.
func (p *plan) affordable() time.Duration {
	return max(10, maxLooks/max(1, time.Duration(p.ticks(p.longest))*time.Duration(len(p.series))))
}

// run evaluates the alert, and what it reads, over input series.
func (p *plan) run(ctx context.Context, input []Series, until time.Duration) (*evaluate.Run, error) {
	data, err := parsed(input, p.start, p.sampled)
	if err != nil {
		return nil, err
	}
	from := time.Duration(0)
	if until/p.interval > p.affordable() {
		from = max(0, p.begin-max(p.recordedSince, p.interval))
	}
	p.looks += p.costs(until - from)
	return p.needed.Run(ctx, evaluate.Input{
		Data: evaluate.NewData(data), Start: p.start.Add(from), Interval: p.Rules.interval, Length: until - from, Watch: []*evaluate.Rule{p.own},
	})
}

// clearLimit is how long the alert is evaluated after its condition ends, to see it resolve.
func (p *plan) clearLimit() time.Duration {
	long := min(p.longest, p.affordable()*p.interval) + p.alert.KeepFiringFor + lookback + 3*max(p.interval, p.sampled)
	return (long + p.interval - 1) / p.interval * p.interval
}

// firesAndClears is the scenario in which the alert is not yet firing, fires once its "for" is met, and resolves.
func (s *story) firesAndClears(ctx context.Context, b *Boundary, fires time.Duration) (Scenario, error) {
	sc := Scenario{Name: fmt.Sprintf("%s fires with %s", s.alert.Name, s.name), Interval: s.sampled}
	if s.alert.For > 0 {
		sc.Name += " for " + model.Duration(s.alert.For).String()
	}
	s.fire()
	t := s.input(fires)
	sc.Start = t.start
	limit := s.clearLimit()
	if (fires+limit)/s.interval > maxEvaluations {
		limit = 0
	}
	last := s.ticks(fires)
	s.calm()
	t.append(s.plan, last+1, s.ticks(fires+limit))
	s.fire()
	run, err := s.run(ctx, t.written(), fires+limit)
	if err != nil {
		return sc, err
	}
	defer run.Close()
	firing, err := s.firing(ctx, run, fires)
	if err != nil {
		return sc, err
	}
	if before := run.At(s.own, s.start.Add(fires-s.interval)); s.alert.For > 0 && !isFiring(before) {
		sc.Checks = append(sc.Checks, Check{At: fires - s.interval, Why: "not yet"})
	}
	sc.Checks = append(sc.Checks, Check{At: fires, Firing: firing})
	cleared := time.Duration(-1)
	for when, state := range run.Evaluations(s.own) {
		if since := when.Sub(s.start); since > fires && !isFiring(state) {
			cleared = since
			break
		}
	}
	if cleared < 0 {
		b.Clears = append(b.Clears, fmt.Sprintf("not within %s of %s", model.Duration(limit).String(), s.opposite))
		t = s.input(fires)
		sc.Series = t.written()
		return sc, nil
	}
	if before := cleared - s.interval; before > fires {
		if firing, err = s.firing(ctx, run, before); err != nil {
			return sc, err
		}
		sc.Checks = append(sc.Checks, Check{At: before, Firing: firing, Why: "still"})
	}
	sc.Checks = append(sc.Checks, Check{At: cleared, Why: "resolved"})
	b.Clears = append(b.Clears, fmt.Sprintf("%s: %s", s.clears, s.later(cleared-fires)))
	for i := range t.samples {
		t.samples[i] = t.samples[i][:min(len(t.samples[i]), s.ticks(cleared)+1)]
	}
	sc.Series = t.written()
	if s.gone != nil {
		return sc, s.ends(ctx, b, fires, limit)
	}
	return sc, nil
}

// ends notes what the alert does when its target no longer exports a series.
func (s *story) ends(ctx context.Context, b *Boundary, fires, limit time.Duration) error {
	t := s.input(fires)
	s.gone.missing = true
	t.append(s.plan, s.ticks(fires)+1, s.ticks(fires+limit))
	s.gone.missing = false
	states, err := s.states(ctx, t, fires+limit)
	if err != nil {
		return err
	}
	name := s.gone.labels.Get(model.MetricNameLabel)
	for _, state := range states {
		if state.since > fires && !isFiring(state.State) {
			b.Clears = append(b.Clears, fmt.Sprintf("%s gone: %s", name, s.later(state.since-fires)))
			return nil
		}
	}
	b.Clears = append(b.Clears, name+" gone: keeps firing")
	return nil
}

// later describes how long something takes, given the time of the evaluation that shows it.
func (s *story) later(d time.Duration) string {
	if d <= s.interval {
		return "at once"
	}
	return "after " + model.Duration(d-s.interval).String()
}

// firing are the alerts that fire at a time, as they are sent, without alertname.
func (p *plan) firing(ctx context.Context, run *evaluate.Run, since time.Duration) ([]Firing, error) {
	found, err := run.Firing(ctx, p.own, p.start.Add(since))
	var all []Firing
	for _, a := range found {
		all = append(all, Firing{labels.NewBuilder(a.Labels).Del(labels.AlertName).Labels(), a.Annotations})
	}
	return all, err
}
