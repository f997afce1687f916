package witness

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Rules are the rules that one Prometheus loads, among which alerts are searched.
type Rules struct {
	set      rule.Set
	recorded map[string][]recording
	interval time.Duration
	engines  sync.Map // of queries, by interval
}

// Load takes the rules of a set. Interval is that of groups that set none.
func Load(set rule.Set, interval time.Duration) *Rules {
	r := &Rules{set: set, recorded: map[string][]recording{}, interval: interval}
	for _, one := range set.Recordings {
		if expr, err := promql.ParseExpr(one.Expr); err == nil {
			if one.Interval == 0 {
				one.Interval = interval
			}
			r.recorded[one.Name] = append(r.recorded[one.Name], recording{one, expr})
		}
	}
	return r
}

// known is a new analysis of the rules.
func (r *Rules) known() *promql.Known {
	var all []promql.Recording
	for _, same := range r.recorded {
		for _, one := range same {
			all = append(all, promql.Recording{Name: one.Name, Expr: one.expr, Labels: one.Labels, Place: fmt.Sprintf("%s:%d", one.File, one.Line)})
		}
	}
	return promql.Know(all, nil)
}

// All answers for alerts, in parallel, in their order. The error is ctx's.
func (r *Rules) All(ctx context.Context, alerts []rule.Alert) ([]Result, error) {
	results := make([]Result, len(alerts))
	var next int
	var mutex sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		known := r.known()
		g.Go(func() error {
			for {
				mutex.Lock()
				i := next
				next++
				mutex.Unlock()
				if i >= len(alerts) || ctx.Err() != nil {
					return ctx.Err()
				}
				var err error
				if results[i], err = r.find(ctx, alerts[i], known); err != nil {
					return err
				}
			}
		})
	}
	return results, g.Wait()
}

// finder searches an input at which one alert fires.
type finder struct {
	*Rules
	alert    rule.Alert
	expr     parser.Expr
	known    *promql.Known
	interval time.Duration // between the alert's evaluations
	sampled  time.Duration // between samples
	universe []string      // labels that the expression and what it reads name
	computed map[string]bool
	calendar bool                     // it asks for the time of day or the date
	reads    []recording              // those that it reads, each after what that reads
	reach    map[string]time.Duration // how far back it looks at a recorded metric

	work     int     // how much was computed for the search
	negative bool    // values below zero are tried where the name allows them
	started  float64 // where counters begin
	delay    time.Duration
	begin    time.Duration   // when the condition begins to hold
	zero     int             // the sample of then
	start    time.Time       // of the input
	moments  []time.Duration // at which the search looks
	extra    []time.Duration // those since the condition begins to hold at which it did not
}

// maxWork limits the values that are computed for one alert.
const maxWork = 5_000_000

// maxPlans limits the plans that are tried for one alert.
const maxPlans = 250

func (r *Rules) find(ctx context.Context, alert rule.Alert, known *promql.Known) (Result, error) {
	result := Result{Alert: alert, Interval: alert.Interval, Answer: NotKnown}
	if result.Interval == 0 {
		result.Interval = r.interval
	}
	expr, err := promql.ParseExpr(alert.Expr)
	if err != nil {
		return result, fmt.Errorf("the expression of %s: %w", alert.Name, err)
	}
	if promql.Always(expr) {
		result.Answer = Always
		return result, nil
	}
	for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
		analysis := promql.Analyze(expr, known, by)
		if analysis.Of(expr).Empty {
			result.Answer, result.Sure = Never, by == promql.Sure
			result.Why = analysis.Reasons()
			return result, nil
		}
	}
	if most, why, ok := promql.Lasts(expr); ok && most <= alert.For {
		result.Answer, result.Why = Never, []promql.Reason{why}
		return result, nil
	}
	f := newFinder(r, alert, expr, known, result.Interval)
	p, why := f.search(ctx)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if p == nil {
		result.Why = []promql.Reason{{At: expr, First: expr.PositionRange(), Second: expr.PositionRange(), Text: why}}
		return result, nil
	}
	result.Answer = Fires
	result.Input = Scenario{Name: alert.Name + " fires", Interval: f.sampled, Series: p.written(f.end())}
	return result, nil
}

func newFinder(r *Rules, alert rule.Alert, expr parser.Expr, known *promql.Known, interval time.Duration) *finder {
	f := &finder{Rules: r, alert: alert, expr: expr, known: known, interval: interval, computed: map[string]bool{}, reach: map[string]time.Duration{}}
	shortest := time.Duration(0)
	longest := r.set.Window(alert.Expr)
	changing := false
	f.universe = []string{model.JobLabel, model.InstanceLabel}
	add := func(names ...string) {
		for _, name := range names {
			if !isName(name) && name != "" && !slices.Contains(f.universe, name) {
				f.universe = append(f.universe, name)
			}
		}
	}
	seen := map[string]bool{}
	var inspect func(expr parser.Expr, reach time.Duration)
	inspect = func(expr parser.Expr, reach time.Duration) {
		parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
			reach := reach
			switch e := n.(type) {
			case *parser.VectorSelector:
				for _, m := range e.LabelMatchers {
					add(m.Name)
				}
				name := promql.NameOf(e)
				f.computed[name] = f.computed[name] || slices.ContainsFunc(path, func(above parser.Node) bool {
					b, ok := above.(*parser.BinaryExpr)
					return ok && !b.Op.IsSetOperator()
				})
				all := r.recorded[name]
				if len(all) > 0 {
					for _, above := range path {
						reach += looksBack(above)
					}
					reach += e.OriginalOffset
					f.reach[name] = max(f.reach[name], reach)
				}
				if len(all) > 0 && !seen[name] {
					seen[name] = true
					for _, one := range all {
						for label := range one.Labels {
							add(label)
						}
						f.delay += 2 * one.Interval
						inspect(one.expr, reach)
						f.reads = append(f.reads, one) // after what it reads
					}
				}
			case *parser.MatrixSelector:
				if e.Range > 0 && (shortest == 0 || e.Range < shortest) {
					shortest = e.Range
				}
			case *parser.AggregateExpr:
				add(e.Grouping...)
				if e.Op == parser.COUNT_VALUES {
					add(text(e.Param))
				}
			case *parser.BinaryExpr:
				if e.VectorMatching != nil {
					add(e.VectorMatching.MatchingLabels...)
					add(e.VectorMatching.Include...)
				}
			case *parser.Call:
				switch e.Func.Name {
				case "label_replace":
					add(text(e.Args[1]), text(e.Args[3]))
				case "label_join":
					for i, arg := range e.Args {
						if i != 2 {
							add(text(arg))
						}
					}
				case "hour", "minute", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year":
					if len(e.Args) == 0 || isClock(e.Args[0]) {
						f.calendar = true
					}
				case "changes", "resets":
					changing = true
				}
			}
			return nil
		})
	}
	inspect(expr, 0)
	f.sampled = min(interval, sampling[len(sampling)-1])
	for _, s := range slices.Backward(sampling) {
		if shortest > 0 && s*2 <= shortest && f.sampled*2 > shortest {
			f.sampled = s // rate() needs two samples
		}
	}
	for _, s := range sampling {
		if longest/f.sampled > maxSamples/4 && s > f.sampled {
			f.sampled = s
		}
	}
	if changing && shortest > 0 {
		for _, s := range slices.Backward(sampling) {
			if s <= f.sampled && s*8 <= shortest {
				f.sampled = s // several changes must fit into a window
				break
			}
		}
	}
	f.delay += longest + 2*max(interval, f.sampled)
	f.schedule()
	return f
}

// looksBack is how far back a range looks.
func looksBack(n parser.Node) time.Duration {
	switch e := n.(type) {
	case *parser.MatrixSelector:
		return e.Range
	case *parser.SubqueryExpr:
		return e.Range + e.OriginalOffset
	}
	return 0
}

// schedule sets when the condition begins to hold.
func (f *finder) schedule() {
	f.begin = (f.delay + f.interval - 1) / f.interval * f.interval
	f.zero = int((f.begin + f.sampled - 1) / f.sampled)
	f.moments = []time.Duration{f.begin}
	if slots := f.slots(); slots > 0 {
		f.moments = append(f.moments, f.begin+time.Duration(slots)*f.interval)
		if slots > 1 {
			f.moments = append(f.moments, f.begin+time.Duration((slots+1)/2)*f.interval)
		}
	}
	for _, later := range f.extra {
		f.moments = append(f.moments, f.begin+later)
	}
}

// slots is how many evaluations after the first the condition has to hold for the alert to fire.
func (f *finder) slots() int { return int((f.alert.For + f.interval - 1) / f.interval) }

// end is when the alert has fired for an evaluation.
func (f *finder) end() time.Duration { return f.begin + time.Duration(f.slots()+1)*f.interval }

// epoch is when inputs start whose values are moments.
var epoch = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// search returns a plan whose input makes the alert fire, or why there is none.
func (f *finder) search(ctx context.Context) (*plan, string) {
	why := ""
	delay := f.delay
	for _, variant := range []struct {
		negative bool
		started  float64
		plans    int
	}{{false, 0, maxPlans}, {true, 0, 60}, {false, 1e6, 30}} {
		f.negative, f.started = variant.negative, variant.started
		queue := [][]int{nil}
		for tried := 0; len(queue) > 0 && tried < variant.plans && f.work < maxWork; tried++ {
			choices := queue[0]
			queue = queue[1:]
			f.extra = nil
			f.delay, f.start = delay, time.Unix(0, 0).UTC()
			f.schedule()
			p := f.newPlan(choices)
			if len(queue) < maxPlans {
				for i := len(choices); i < len(p.asked); i++ {
					for option := 1; option < p.asked[i]; option++ {
						more := append(slices.Clone(choices), make([]int, i-len(choices)+1)...)
						more[i] = option
						queue = append(queue, more)
					}
				}
			}
			reason := p.try(ctx)
			if reason == "" {
				return p, ""
			}
			if why == "" {
				why = reason
			}
			if ctx.Err() != nil {
				return nil, ""
			}
		}
	}
	return nil, why
}

// try looks for numbers with which the plan makes the alert fire, and says why there are none.
func (p *plan) try(ctx context.Context) string {
	if p.failed != "" {
		return p.failed
	}
	for _, s := range p.series {
		p.describe(s)
	}
	if slices.ContainsFunc(p.series, func(s *series) bool { return s.moment }) || p.calendar {
		p.start = epoch
	}
	p.extra = nil
	for range 5 {
		if !p.descend() {
			return p.unmet()
		}
		p.settle()
		missing, err := p.fires(ctx)
		switch {
		case err != nil:
			return err.Error()
		case missing < 0:
			return ""
		case slices.Contains(p.moments, missing):
			return "the input that should make it fire does not"
		}
		p.extra = append(p.extra, missing-p.begin)
		p.schedule()
	}
	return "the condition does not last"
}

// unmet says which test no numbers were found for.
func (p *plan) unmet() string {
	for _, t := range p.tests {
		for _, at := range p.moments {
			if p.missBy(t, at) > 0 {
				return fmt.Sprintf("no input is found at which %s holds", promql.Excerpt(t.expr))
			}
		}
	}
	return "no input is found"
}

// settle lets the input start at 0 where no moment would lie before that.
func (p *plan) settle() {
	if p.calendar || p.start.Unix() == 0 {
		return
	}
	lowest := 0.0
	for _, s := range p.series {
		if s.moment {
			lowest = min(lowest, s.level)
		}
	}
	if lowest < -2*24*3600 {
		return
	}
	p.start = time.Unix(0, 0).UTC()
	if need := time.Duration(math.Ceil(-lowest)) * time.Second; need >= p.begin {
		p.delay += (need - p.begin + p.interval) / p.interval * p.interval
		p.schedule()
	}
}

// samples are the values of a series up to a time; NaN where there is none.
func (p *plan) samples(s *series, until time.Duration) []float64 {
	all := make([]float64, int(until/p.sampled)+1)
	for i := range all {
		v, ok := s.at(i, p.zero, p.now())
		if !ok {
			v = math.NaN()
		}
		all[i] = v
	}
	return all
}

// written is the input in promtool's notation.
func (p *plan) written(until time.Duration) []Series {
	var all []Series
	for _, s := range p.series {
		if text := values(p.samples(s, until)); text != "" {
			all = append(all, Series{name(s.labels), text})
		}
	}
	return all
}

// fires asks Prometheus's engine whether the condition holds for as long as the alert asks for. It returns an evaluation at
// which it does not, or -1.
func (p *plan) fires(ctx context.Context) (time.Duration, error) {
	until := p.end()
	var all []engine.Series
	for _, s := range p.series {
		all = append(all, p.stored(s.labels, p.samples(s, until), p.sampled))
	}
	return p.holdsFor(ctx, all)
}

func (p *plan) stored(l labels.Labels, samples []float64, every time.Duration) engine.Series {
	one := engine.Series{Metric: l}
	before, sparse := false, slices.ContainsFunc(p.series, func(s *series) bool { return s.gap > 1 && labels.Equal(s.labels, l) })
	for i, v := range samples {
		if !math.IsNaN(v) {
			one.Floats = append(one.Floats, engine.FPoint{T: p.start.UnixMilli() + int64(i)*every.Milliseconds(), F: v})
		} else if before && !sparse {
			one.Floats = append(one.Floats, engine.FPoint{T: p.start.UnixMilli() + int64(i)*every.Milliseconds(), F: math.Float64frombits(value.StaleNaN)})
		}
		before = !math.IsNaN(v)
	}
	return one
}

func (r *Rules) engine(interval time.Duration) *engine.Engine {
	if e, ok := r.engines.Load(interval); ok {
		return e.(*engine.Engine)
	}
	e, _ := r.engines.LoadOrStore(interval, newQueries(interval))
	return e.(*engine.Engine)
}

// holdsFor looks for a result with the same labels at all evaluations from the beginning on. It returns the first at which
// there is none, or -1.
func (f *finder) holdsFor(ctx context.Context, input []engine.Series) (time.Duration, error) {
	for _, r := range f.reads {
		recorded, err := f.record(ctx, r, input)
		if err != nil {
			return 0, err
		}
		input = append(input, recorded...)
	}
	found, err := f.query(ctx, f.interval, input, f.expr.String(), f.begin, f.begin+time.Duration(f.slots())*f.interval)
	if err != nil {
		return 0, err
	}
	first := f.begin
	for _, s := range found {
		at := f.begin
		for _, point := range s.Floats {
			if point.T != f.start.Add(at).UnixMilli() {
				break
			}
			at += f.interval
		}
		if at > f.begin+time.Duration(f.slots())*f.interval {
			return -1, nil
		}
		first = max(first, at)
	}
	return first, nil
}

// record evaluates a recording rule from the start of the input on.
func (f *finder) record(ctx context.Context, r recording, input []engine.Series) ([]engine.Series, error) {
	from := max(0, f.begin-f.reach[r.Name]-lookback-r.Interval) / r.Interval * r.Interval
	found, err := f.query(ctx, r.Interval, input, r.expr.String(), from, f.end())
	if err != nil {
		return nil, err
	}
	step := r.Interval.Milliseconds()
	var all []engine.Series
	for _, s := range found {
		b := labels.NewBuilder(s.Metric)
		b.Set(labels.MetricName, r.Name)
		for label, text := range r.Labels {
			b.Set(label, text)
		}
		one := engine.Series{Metric: b.Labels()}
		for i, point := range s.Floats {
			one.Floats = append(one.Floats, point)
			if i+1 < len(s.Floats) && s.Floats[i+1].T > point.T+step || i+1 == len(s.Floats) && point.T+step < f.start.UnixMilli()+f.end().Milliseconds() {
				one.Floats = append(one.Floats, engine.FPoint{T: point.T + step, F: math.Float64frombits(value.StaleNaN)})
			}
		}
		all = append(all, one)
	}
	return all, nil
}

func (f *finder) query(ctx context.Context, interval time.Duration, input []engine.Series, expr string, from, to time.Duration) (engine.Matrix, error) {
	var over storage.Queryable = storageOf(input)
	q, err := f.engine(interval).NewRangeQuery(ctx, over, nil, expr, f.start.Add(from), f.start.Add(to), interval)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	kept := make(engine.Matrix, len(matrix))
	for i, s := range matrix {
		kept[i] = engine.Series{Metric: s.Metric, Floats: slices.Clone(s.Floats), Histograms: s.Histograms}
	}
	return kept, nil
}
