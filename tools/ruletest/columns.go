package ruletest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
)

// errUnusual ends an evaluation in columns over which something happened that only the evaluation in steps can judge.
var errUnusual = errors.New("only the evaluation in steps can tell")

// inColumns says whether the rules can be evaluated one after another, each over the whole of the test at once: each
// sees at a time only what was written before it, so that all of that can be there already.
func (r *run) inColumns() bool {
	if r.every != nil || r.start().Unix() < 0 || r.input.histograms || len(r.input.byName[alertsMetric]) > 0 || len(r.input.byName[alertsForStateMetric]) > 0 {
		return false
	}
	for i, reader := range r.rules {
		if !reader.expr.past || reader.queries || reader.group.offset != 0 {
			return false
		}
		for _, later := range r.rules[i:] {
			if reader.expr.reads(later) {
				return false
			}
		}
	}
	return true
}

// reads says whether the expression may select what a rule writes.
func (e *expression) reads(r *rule) bool {
	if r.alert {
		return e.selects(alertsMetric) || e.selects(alertsForStateMetric)
	}
	return e.selects(r.name)
}

// columns evaluates rule after rule, each over the whole of the test. The error is errUnusual, or that of ctx.
func (r *run) columns(ctx context.Context) error {
	r.reset(func(string) bool { return false })
	r.memory.now = r.till
	firing := map[string][]*rule{} // alerting rules that had a value, by name
	for i, rule := range r.rules {
		if !rule.alert {
			if err := r.record(ctx, rule, i+1); err != nil {
				return err
			}
			continue
		}
		any, err := r.alert(ctx, rule, i+1)
		if err != nil {
			return err
		}
		if !any {
			continue
		}
		// Two rules that write the same ALERTS series may contradict each other.
		if slices.ContainsFunc(firing[rule.name], rule.confusable) {
			return errUnusual
		}
		firing[rule.name] = append(firing[rule.name], rule)
	}
	return nil
}

// confusable says whether two rules of the same name can give the same alert.
func (r *rule) confusable(other *rule) bool {
	same := true
	if r.plain && other.plain {
		r.labels.Range(func(l labels.Label) {
			if o := other.labels.Get(l.Name); o != "" && o != l.Value {
				same = false
			}
		})
	}
	return same
}

// part is the values of an expression from one evaluation to another, first and last included.
type part struct {
	first, last int
	values      promql.Matrix
}

// overTime calls f with the values of an expression, part by part. It asks for as many evaluations at once as stay
// within the limit of samples: a range query that stays within it shows that each of its evaluations does.
func (r *run) overTime(ctx context.Context, e *expression, f func(part) error) error {
	series := 1
	if e.any {
		series += len(r.input.series) + len(r.memory.own)
	}
	for _, name := range e.names {
		series += len(r.input.byName[name]) + len(r.memory.byName[name])
	}
	size := max(1, r.maxSamples/(4*series))
	for first := 0; first < r.slots; {
		last := min(first+size, r.slots) - 1
		q, err := r.engine.NewRangeQuery(ctx, r.memory, nil, e.text, r.at(first), r.at(last), r.interval)
		if err != nil {
			return errUnusual
		}
		result := q.Exec(ctx)
		matrix, ok := result.Value.(promql.Matrix)
		_, tooMany := errors.AsType[promql.ErrTooManySamples](result.Err)
		switch {
		case ctx.Err() != nil:
			err = ctx.Err()
		case tooMany && last > first:
			size = (last - first + 1) / 2
			q.Close()
			continue
		case result.Err != nil || !ok:
			err = errUnusual
		default:
			err = f(part{first, last, matrix})
		}
		q.Close()
		if err != nil {
			return err
		}
		first = last + 1
	}
	return nil
}

// record evaluates a recording rule and writes its series.
func (r *run) record(ctx context.Context, rule *rule, writer int) error {
	var (
		step    = r.interval.Milliseconds()
		b       = labels.NewBuilder(labels.EmptyLabels())
		written []*series
	)
	err := r.overTime(ctx, rule.expr, func(p part) error {
		targets := make(map[*series]bool, len(p.values))
		counts := map[int64]int{}
		for _, values := range p.values {
			if len(values.Histograms) > 0 {
				return errUnusual
			}
			b.Reset(values.Metric)
			b.Set(labels.MetricName, rule.name)
			rule.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
			ls := b.Labels()
			s := r.memory.find(ls)
			switch {
			case s == nil:
				if slices.ContainsFunc(r.input.byName[rule.name], func(in *series) bool { return labels.Equal(in.labels, ls) }) {
					return errUnusual // given and recorded
				}
				s = r.memory.add(ls)
				s.writer = writer
				written = append(written, s)
			case s.writer != writer || targets[s]:
				return errUnusual // recorded twice
			}
			targets[s] = true
			for _, point := range values.Floats {
				if last, ok := s.last(); ok && last.t+step < point.T {
					s.push(staleAt(last.t + step))
				}
				s.push(sample{t: point.T, v: point.F})
				if rule.group.limit > 0 {
					counts[point.T]++
				}
			}
		}
		for _, n := range counts {
			if n > rule.group.limit {
				return errUnusual
			}
		}
		return nil
	})
	for _, s := range written {
		if last, ok := s.last(); ok && last.t+step <= r.till {
			s.push(staleAt(last.t + step))
		}
	}
	if len(written) > 0 {
		r.seen.recorded(rule)
	}
	return err
}

// alert evaluates an alerting rule, and returns whether its expression ever had a value. Its alerts are followed only
// where somebody looks at them; for the others it is enough to know that they are told apart by their labels, and so
// raise no error.
func (r *run) alert(ctx context.Context, rule *rule, writer int) (any bool, err error) {
	asserted := r.asserted[rule.name]
	follow := len(asserted) > 0 || r.alertsSelected || rule.group.limit > 0 || r.seen != nil
	f := &following{run: r, alerting: newAlerting(rule, r.testGroup), writer: writer}
	err = r.overTime(ctx, rule.expr, func(p part) error {
		any = any || len(p.values) > 0
		if !follow && rule.distinct(p.values) {
			return nil
		}
		if !follow && p.first > 0 {
			return errUnusual // its beginning was not followed
		}
		follow = true
		return f.over(ctx, p)
	})
	return any, err
}

// distinct says whether no two values can give the same alert.
func (r *rule) distinct(values promql.Matrix) bool {
	b := labels.NewBuilder(labels.EmptyLabels())
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		b.Reset(v.Metric)
		b.Del(labels.MetricName)
		r.labels.Range(func(l labels.Label) { b.Del(l.Name) })
		key := string(b.Labels().Bytes(nil))
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// following takes the alerts of one rule through the test.
type following struct {
	*run
	*alerting
	writer   int
	previous map[string]labels.Labels // what was written to ALERTS and ALERTS_FOR_STATE at the last evaluation
}

// over follows the alerts over a part of the test, from one evaluation that can change something to the next.
func (f *following) over(ctx context.Context, p part) error {
	tracks := make([]track, len(p.values))
	b := labels.NewBuilder(labels.EmptyLabels())
	for i, v := range p.values {
		if len(v.Histograms) > 0 {
			return errUnusual
		}
		tracks[i] = track{points: v.Floats, value: value{sample: promql.Sample{Metric: v.Metric}}}
		if f.ready() {
			tracks[i].value.labels = f.labelled(b, v.Metric)
		}
	}
	var (
		values []value
		begin  = f.start().UnixMilli()
		step   = f.interval.Milliseconds()
	)
	for slot := p.first; slot <= p.last; {
		t := begin + int64(slot)*step
		values = values[:0]
		for i := range tracks {
			if v, ok := tracks[i].at(t); ok {
				values = append(values, v)
			}
		}
		if len(values) > 0 || f.active {
			if err := f.step(ctx, f.at(slot), values); err != nil {
				return err
			}
		}
		if err := f.observe(ctx, f.alerting, slot, values); err != nil {
			return errUnusual
		}
		// The same values again change nothing until a pending alert is old enough, unless they are written or shown.
		next := slot + 1
		if !f.active || f.ready() && !f.alertsSelected {
			next = min(f.matures(), p.last+1)
			for i := range tracks {
				next = min(next, int((tracks[i].changes(t, step)-begin)/step))
			}
			for _, asserted := range f.asserted[f.rule.name] {
				if asserted > slot {
					next = min(next, asserted)
				}
			}
		}
		slot = next
	}
	return ctx.Err()
}

// matures returns the first evaluation after which an alert that is pending now can be firing.
func (f *following) matures() int {
	first := math.MaxInt
	f.machine.ForEachActiveAlert(func(a *rules.Alert) {
		if a.State == rules.StatePending {
			since := a.ActiveAt.Add(f.hold).Sub(f.start())
			first = min(first, int((since+f.interval-1)/f.interval))
		}
	})
	return first
}

// track is one series of an expression's values, looked at as time goes on.
type track struct {
	points []promql.FPoint // from now on
	value  value
}

// at returns the value at a time, in milliseconds, if there is one.
func (c *track) at(t int64) (value, bool) {
	for len(c.points) > 0 && c.points[0].T < t {
		c.points = c.points[1:]
	}
	if len(c.points) == 0 || c.points[0].T > t {
		return value{}, false
	}
	c.value.sample.T, c.value.sample.F = t, c.points[0].F
	return c.value, true
}

// changes returns when a series that was looked at for t next comes, or goes, or is not known any more.
func (c *track) changes(t, step int64) int64 {
	switch {
	case len(c.points) == 0:
		return math.MaxInt64
	case c.points[0].T > t:
		return c.points[0].T
	}
	for i, p := range c.points {
		if p.T != t+int64(i)*step {
			return t + int64(i)*step
		}
	}
	return t + int64(len(c.points))*step
}

func (f *following) step(ctx context.Context, at time.Time, values []value) error {
	written, err := f.eval(ctx, at, values, nil)
	f.seen.evaluated(f.alerting)
	if err != nil {
		return cmp.Or(ctx.Err(), errUnusual)
	}
	if !f.alertsSelected {
		return nil
	}
	for _, smpl := range written {
		s := f.memory.find(smpl.Metric)
		if s == nil {
			s = f.memory.add(smpl.Metric.WithoutEmpty())
			s.writer = f.writer
		}
		if s.writer != f.writer {
			return errUnusual
		}
	}
	f.previous, err = f.memory.write(written, f.previous, at.UnixMilli())
	if err != nil {
		return errUnusual
	}
	return nil
}
