package evaluate

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

// canRunByRule reports whether each rule can be evaluated over the whole time before the next: no rule sees what it or a
// later one writes.
func (r *Run) canRunByRule() bool {
	if r.Start.Unix() < 0 || r.Data.histograms || slices.ContainsFunc(alertMetrics, r.Data.has) {
		return false
	}
	for i, reader := range r.rules {
		if !reader.Expr.past || reader.Queries || reader.Group.Offset != 0 || reader.Expr.readsAny(r.rules[i:]) {
			return false
		}
	}
	return true
}

// RunByRule evaluates rule after rule, each over the whole time. The error is ErrNeedsByTime, ctx's, or that of a rule
// that cannot be evaluated with this input, a RuleError.
func (r *Rules) RunByRule(ctx context.Context, in Input) (*Run, error) {
	run := r.start(in)
	if !run.canRunByRule() {
		return nil, ErrNeedsByTime
	}
	run.memory = newMemory(in.Data)
	run.over(run.memory)
	valued := map[string][]*Rule{} // alerting rules that had a value, by name
	for _, rule := range run.rules {
		if !rule.Alerting {
			if err := run.record(ctx, rule); err != nil {
				return nil, err
			}
			continue
		}
		any, err := run.alert(ctx, rule)
		if err != nil {
			return nil, err
		}
		if !any {
			continue
		}
		// Two rules that write the same ALERTS series may conflict.
		if slices.ContainsFunc(valued[rule.Name], rule.mayCollide) {
			return nil, ErrNeedsByTime
		}
		valued[rule.Name] = append(valued[rule.Name], rule)
	}
	return run, nil
}

// mayCollide reports whether two rules of the same name can produce the same alert.
func (r *Rule) mayCollide(other *Rule) bool {
	same := true
	if r.staticLabels && other.staticLabels {
		r.Labels.Range(func(l labels.Label) {
			if o := other.Labels.Get(l.Name); o != "" && o != l.Value {
				same = false
			}
		})
	}
	return same
}

// slots are the evaluations of a rule: the first has number 0.
type slots struct {
	start    time.Time
	interval time.Duration
	n        int
}

func (r *Run) slots(rule *Rule) slots {
	interval := r.interval(rule.Group)
	return slots{r.Start, interval, int(r.Length/interval) + 1}
}

// at returns the time of an evaluation.
func (s slots) at(i int) time.Time { return s.start.Add(time.Duration(i) * s.interval) }

// step is the interval in milliseconds.
func (s slots) step() int64 { return s.interval.Milliseconds() }

// batch holds the values of an expression for consecutive evaluations, first and last included.
type batch struct {
	first, last int
	values      promql.Matrix
}

// eachBatch calls f with the values of a rule's expression, batch by batch. A batch is as large as the sample limit allows.
func (r *Run) eachBatch(ctx context.Context, rule *Rule, f func(batch) error) error {
	e, slots := rule.Expr, r.slots(rule)
	series := 1
	if e.Any {
		series += len(r.Data.series) + len(r.memory.own)
	}
	for _, name := range e.Names {
		series += len(r.Data.byName[name]) + len(r.memory.byName[name])
	}
	size := max(1, r.options.MaxSamples/(4*series))
	for first := 0; first < slots.n; {
		last := min(first+size, slots.n) - 1
		q, err := r.engine.NewRangeQuery(ctx, r.memory, nil, e.Text, slots.at(first), slots.at(last), slots.interval)
		if err != nil {
			return &RuleError{rule, err}
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
		case result.Err != nil:
			err = &RuleError{rule, result.Err}
		case !ok:
			err = ErrNeedsByTime
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
func (r *Run) record(ctx context.Context, rule *Rule) error {
	var (
		step    = r.slots(rule).step()
		b       = labels.NewBuilder(labels.EmptyLabels())
		written []*series
	)
	err := r.eachBatch(ctx, rule, func(p batch) error {
		targets := make(map[*series]bool, len(p.values))
		counts := map[int64]int{}
		for _, values := range p.values {
			if len(values.Histograms) > 0 {
				return ErrNeedsByTime
			}
			b.Reset(values.Metric)
			b.Set(labels.MetricName, rule.Name)
			rule.Labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
			ls := b.Labels()
			s := r.memory.find(ls)
			switch {
			case s == nil:
				if slices.ContainsFunc(r.Data.byName[rule.Name], func(in *series) bool { return labels.Equal(in.labels, ls) }) {
					return ErrNeedsByTime // given and recorded
				}
				s = r.memory.add(ls, rule)
				written = append(written, s)
			case s.writer != rule || targets[s]:
				return ErrNeedsByTime // recorded twice
			}
			targets[s] = true
			for _, point := range values.Floats {
				if len(s.floats) > 0 && s.last()+step < point.T {
					s.end(s.last() + step)
				}
				s.push(point.T, point.F)
				if rule.Group.Limit > 0 {
					counts[point.T]++
				}
			}
		}
		for _, n := range counts {
			if n > rule.Group.Limit {
				return ErrNeedsByTime
			}
		}
		return nil
	})
	for _, s := range written {
		if s.last()+step <= till(r.end()) {
			s.end(s.last() + step)
		}
	}
	r.recorded[rule] = len(written) > 0
	return err
}

// alert evaluates an alerting rule and reports whether its expression ever had a value. Its alerts are tracked only
// where something looks at them; for others it is enough that their labels differ, so that they raise no error.
func (r *Run) alert(ctx context.Context, rule *Rule) (any bool, err error) {
	f := &alertTracker{Run: r, alerting: r.byRule(rule), slots: r.slots(rule)}
	f.written = r.written(rule)
	f.machine.SetRestored(f.written) // else it writes nothing
	follow := f.written || rule.Group.Limit > 0 || slices.Contains(r.Watch, rule)
	err = r.eachBatch(ctx, rule, func(p batch) error {
		any = any || len(p.values) > 0
		if !follow && rule.distinct(p.values) {
			return nil
		}
		if !follow && p.first > 0 {
			return ErrNeedsByTime // its beginning was not tracked
		}
		follow = true
		return f.update(ctx, p)
	})
	return any, err
}

// distinct reports whether all values give different alerts.
func (r *Rule) distinct(values promql.Matrix) bool {
	b := labels.NewBuilder(labels.EmptyLabels())
	seen := make(map[string]bool, len(values))
	for _, v := range values {
		b.Reset(v.Metric)
		b.Del(labels.MetricName)
		r.Labels.Range(func(l labels.Label) { b.Del(l.Name) })
		key := string(b.Labels().Bytes(nil))
		if seen[key] {
			return false
		}
		seen[key] = true
	}
	return true
}

// alertTracker tracks the alerts of one rule.
type alertTracker struct {
	*Run
	*alerting
	slots    slots
	written  bool             // ALERTS and ALERTS_FOR_STATE are
	previous map[*series]bool // of these, written at the last evaluation
}

// update evaluates a batch, from one evaluation that can change something to the next.
func (f *alertTracker) update(ctx context.Context, p batch) error {
	cursors := make([]cursor, len(p.values))
	b := labels.NewBuilder(labels.EmptyLabels())
	for i, v := range p.values {
		if len(v.Histograms) > 0 {
			return ErrNeedsByTime
		}
		cursors[i] = cursor{points: v.Floats, value: value{sample: promql.Sample{Metric: v.Metric}}}
		if f.staticLabels {
			cursors[i].value.labels = f.labelled(b, v.Metric)
		}
	}
	var (
		values []value
		begin  = f.Start.UnixMilli()
		step   = f.slots.step()
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
			if err := f.evalAt(ctx, f.slots.at(slot), values); err != nil {
				return err
			}
		}
		// Equal values change nothing until a pending alert has lasted long enough, unless they are written.
		next := slot + 1
		if !f.active || f.staticLabels && !f.written {
			next = min(f.nextChange(), p.last+1)
			for i := range cursors {
				next = min(next, int((cursors[i].changes(t, step)-begin)/step))
			}
		}
		slot = next
	}
	return ctx.Err()
}

// nextChange returns the first evaluation at which an alert that is pending now can fire, or one that is kept firing ends.
func (f *alertTracker) nextChange() int {
	first := math.MaxInt
	after := func(since time.Time, d time.Duration) {
		first = min(first, int((since.Add(d).Sub(f.slots.start)+f.slots.interval-1)/f.slots.interval))
	}
	f.machine.ForEachActiveAlert(func(a *rules.Alert) {
		switch {
		case a.State == rules.StatePending:
			after(a.ActiveAt, f.For)
		case a.State == rules.StateFiring && !a.KeepFiringSince.IsZero():
			after(a.KeepFiringSince, f.KeepFiring)
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
	if err != nil {
		return cmp.Or(ctx.Err(), error(&RuleError{f.Rule, err}))
	}
	f.keep(f.alerting, at)
	if !f.written {
		return nil
	}
	now := make(map[*series]bool, len(written))
	for _, smpl := range written {
		s := f.memory.find(smpl.Metric)
		if s == nil {
			s = f.memory.add(smpl.Metric.WithoutEmpty(), f.Rule)
		}
		if s.writer != f.Rule || s.last() >= smpl.T {
			return ErrNeedsByTime
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
