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

// errNeedsByTime ends an evaluation rule by rule when only the evaluation time by time gives the verdict.
var errNeedsByTime = errors.New("only the evaluation in steps can tell")

// canEvaluateByRule reports whether each rule can be evaluated over the whole test before the next: no rule sees what it
// or a later one writes.
func (r *run) canEvaluateByRule() bool {
	isGiven := func(metric string) bool { return len(r.input.byName[metric]) > 0 }
	if r.every != nil || r.start().Unix() < 0 || r.input.histograms || slices.ContainsFunc(alertMetrics, isGiven) {
		return false
	}
	for i, reader := range r.rules {
		if !reader.expr.past || reader.queries || reader.group.offset != 0 {
			return false
		}
		for _, later := range r.rules[i:] {
			if reader.expr.reads(later.writes()) {
				return false
			}
		}
	}
	return true
}

// evaluateByRule evaluates rule after rule, each over the whole test. The error is errNeedsByTime or ctx's.
func (r *run) evaluateByRule(ctx context.Context) error {
	r.memory = newMemory(r.input)
	r.reset(r.memory)
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
		// Two rules that write the same ALERTS series may conflict.
		if slices.ContainsFunc(firing[rule.name], rule.mayCollide) {
			return errNeedsByTime
		}
		firing[rule.name] = append(firing[rule.name], rule)
	}
	return nil
}

// mayCollide reports whether two rules of the same name can produce the same alert.
func (r *rule) mayCollide(other *rule) bool {
	same := true
	if r.staticLabels && other.staticLabels {
		r.labels.Range(func(l labels.Label) {
			if o := other.labels.Get(l.Name); o != "" && o != l.Value {
				same = false
			}
		})
	}
	return same
}

// batch holds the values of an expression for consecutive evaluations, first and last included.
type batch struct {
	first, last int
	values      promql.Matrix
}

// eachBatch calls f with the values of an expression, batch by batch. A batch is as large as the sample limit allows.
func (r *run) eachBatch(ctx context.Context, e *expression, f func(batch) error) error {
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
			return errNeedsByTime
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
			err = errNeedsByTime
		default:
			err = f(batch{first, last, matrix})
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
	err := r.eachBatch(ctx, rule.expr, func(p batch) error {
		targets := make(map[*series]bool, len(p.values))
		counts := map[int64]int{}
		for _, values := range p.values {
			if len(values.Histograms) > 0 {
				return errNeedsByTime
			}
			b.Reset(values.Metric)
			b.Set(labels.MetricName, rule.name)
			rule.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
			ls := b.Labels()
			s := r.memory.find(ls)
			switch {
			case s == nil:
				if slices.ContainsFunc(r.input.byName[rule.name], func(in *series) bool { return labels.Equal(in.labels, ls) }) {
					return errNeedsByTime // given and recorded
				}
				s = r.memory.add(ls)
				s.writer = writer
				written = append(written, s)
			case s.writer != writer || targets[s]:
				return errNeedsByTime // recorded twice
			}
			targets[s] = true
			for _, point := range values.Floats {
				if len(s.samples) > 0 && s.last()+step < point.T {
					s.end(s.last() + step)
				}
				s.push(point.T, point.F)
				if rule.group.limit > 0 {
					counts[point.T]++
				}
			}
		}
		for _, n := range counts {
			if n > rule.group.limit {
				return errNeedsByTime
			}
		}
		return nil
	})
	for _, s := range written {
		if s.last()+step <= r.till {
			s.end(s.last() + step)
		}
	}
	if len(written) > 0 {
		r.coverage.recorded(rule)
	}
	return err
}

// alert evaluates an alerting rule and reports whether its expression ever had a value. Its alerts are tracked only
// where something looks at them; for others it is enough that their labels differ, so that they raise no error.
func (r *run) alert(ctx context.Context, rule *rule, writer int) (any bool, err error) {
	asserted := r.asserted[rule.name]
	follow := len(asserted) > 0 || r.alertsSelected || rule.group.limit > 0 || r.coverage != nil
	f := &alertTracker{run: r, alerting: newAlerting(rule, r.testGroup, unused), writer: writer}
	err = r.eachBatch(ctx, rule.expr, func(p batch) error {
		any = any || len(p.values) > 0
		if !follow && rule.distinct(p.values) {
			return nil
		}
		if !follow && p.first > 0 {
			return errNeedsByTime // its beginning was not tracked
		}
		follow = true
		return f.update(ctx, p)
	})
	return any, err
}

// distinct reports whether all values give different alerts.
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

// alertTracker tracks the alerts of one rule through the test.
type alertTracker struct {
	*run
	*alerting
	writer   int
	previous map[*series]bool // of ALERTS and ALERTS_FOR_STATE, written at the last evaluation
}

// update evaluates a batch, from one evaluation that can change something to the next.
func (f *alertTracker) update(ctx context.Context, p batch) error {
	cursors := make([]cursor, len(p.values))
	b := labels.NewBuilder(labels.EmptyLabels())
	for i, v := range p.values {
		if len(v.Histograms) > 0 {
			return errNeedsByTime
		}
		cursors[i] = cursor{points: v.Floats, value: value{sample: promql.Sample{Metric: v.Metric}}}
		if f.setsLabels() {
			cursors[i].value.labels = f.labelled(b, v.Metric)
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
		for i := range cursors {
			if v, ok := cursors[i].at(t); ok {
				values = append(values, v)
			}
		}
		if len(values) > 0 || f.active {
			if err := f.evalAt(ctx, f.at(slot), values); err != nil {
				return err
			}
		}
		if err := f.observe(ctx, f.alerting, slot, values); err != nil {
			return errNeedsByTime
		}
		// Equal values change nothing until a pending alert has lasted long enough, unless they are written or compared.
		next := slot + 1
		if !f.active || f.setsLabels() && !f.alertsSelected {
			next = min(f.nextFiring(), p.last+1)
			for i := range cursors {
				next = min(next, int((cursors[i].changes(t, step)-begin)/step))
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

// nextFiring returns the first evaluation at which an alert that is pending now can fire.
func (f *alertTracker) nextFiring() int {
	first := math.MaxInt
	f.alertingRule.ForEachActiveAlert(func(a *rules.Alert) {
		if a.State == rules.StatePending {
			since := a.ActiveAt.Add(f.hold).Sub(f.start())
			first = min(first, int((since+f.interval-1)/f.interval))
		}
	})
	return first
}

// cursor reads the values of one series in order of time.
type cursor struct {
	points []promql.FPoint // from the current time on
	value  value
}

// at returns the value at a time in milliseconds, if there is one.
func (c *cursor) at(t int64) (value, bool) {
	for len(c.points) > 0 && c.points[0].T < t {
		c.points = c.points[1:]
	}
	if len(c.points) == 0 || c.points[0].T > t {
		return value{}, false
	}
	c.value.sample.T, c.value.sample.F = t, c.points[0].F
	return c.value, true
}

// changes returns the time in milliseconds at which a series read at t next begins, ends, or leaves the batch.
func (c *cursor) changes(t, step int64) int64 {
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

func (f *alertTracker) evalAt(ctx context.Context, at time.Time, values []value) error {
	written, err := f.eval(ctx, at, values)
	f.coverage.evaluated(f.alerting)
	if err != nil {
		return cmp.Or(ctx.Err(), errNeedsByTime)
	}
	if !f.alertsSelected {
		return nil
	}
	now := make(map[*series]bool, len(written))
	for _, smpl := range written {
		s := f.memory.find(smpl.Metric)
		if s == nil {
			s = f.memory.add(smpl.Metric.WithoutEmpty())
			s.writer = f.writer
		}
		if s.writer != f.writer || s.last() >= smpl.T {
			return errNeedsByTime
		}
		s.push(smpl.T, smpl.F)
		now[s] = true
	}
	for s := range f.previous {
		if !now[s] {
			s.end(at.UnixMilli())
		}
	}
	f.previous = now
	return nil
}
