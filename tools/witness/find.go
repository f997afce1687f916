package witness

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Rules are the rules that one Prometheus loads, among which alerts are searched.
type Rules struct {
	set      rule.Set
	recorded map[string][]recording
	interval time.Duration
	compiler *evaluate.Compiler
	compiled *evaluate.Rules
}

// Load takes the rules of a set. Interval is that of groups that set none. The error is that of a rule that Prometheus
// would not load.
func Load(set rule.Set, interval time.Duration) (*Rules, error) {
	r := &Rules{set: set, recorded: map[string][]recording{}, interval: interval}
	r.compiler = evaluate.New(evaluate.Options{Features: promql.Features, MaxSamples: searchSamples})
	var err error
	if r.compiled, err = r.compiler.Set(set); err != nil {
		return nil, err
	}
	for _, one := range set.Recordings {
		if expr, err := promql.ParseExpr(one.Expr); err == nil {
			if one.Interval == 0 {
				one.Interval = interval
			}
			r.recorded[one.Name] = append(r.recorded[one.Name], recording{one, expr})
		}
	}
	return r, nil
}

// searchSamples is how many samples a query may load while inputs are searched.
const searchSamples = 5_000_000

// known is a new analysis of the rules.
func (r *Rules) known() *promql.Known {
	var all []promql.Recording
	for _, same := range r.recorded {
		for _, one := range same {
			all = append(all, promql.Recording{Name: one.Name, Expr: one.expr, Labels: one.Labels, Place: fmt.Sprintf("%s:%d", one.File, one.Line), Turn: turn(one.File, one.Group, one.Line, one.Interval)})
		}
	}
	return promql.Know(all, nil)
}

// turn is when a rule is evaluated.
func turn(file, group string, line int, every time.Duration) promql.Turn {
	return promql.Turn{Group: file + "\n" + group, Order: line, Every: every}
}

// Find answers for alerts of a set, each among the rules that are loaded with it, in their order. Interval is that of groups
// that set none. The error is ctx's, or that of a rule that Prometheus would not load.
func Find(ctx context.Context, set rule.Set, alerts []rule.Alert, interval time.Duration) ([]Result, error) {
	type place struct {
		file string
		line int
	}
	results := make([]Result, len(alerts))
	answered := map[place]bool{}
	for _, load := range set.Loads() {
		there := map[place]bool{}
		for _, a := range load.Alerts {
			there[place{a.File, a.Line}] = true
		}
		var own []rule.Alert
		var at []int
		for i, a := range alerts {
			if p := (place{a.File, a.Line}); there[p] && !answered[p] {
				answered[p] = true
				own, at = append(own, a), append(at, i)
			}
		}
		if len(own) == 0 {
			continue
		}
		rules, err := Load(load, interval)
		if err != nil {
			return nil, err
		}
		found, err := rules.All(ctx, own)
		if err != nil {
			return nil, err
		}
		for k, i := range at {
			results[i] = found[k]
		}
	}
	return results, nil
}

// All answers for alerts, in parallel, in their order. The error is ctx's.
func (r *Rules) All(ctx context.Context, alerts []rule.Alert) ([]Result, error) {
	results := make([]Result, len(alerts))
	var next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		known := r.known()
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
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
	calendar bool // it asks for the time of day or the date
	own      *evaluate.Rule
	all      *evaluate.Rules
	needed   *evaluate.Rules // the rule, with all that it reads
	records  bool            // it reads what rules write
	longest  time.Duration   // how far back it looks
	// recordedSince is how long before the condition begins to hold the recording rules are evaluated.
	recordedSince time.Duration

	slowest  time.Duration   // the longest interval of the recording rules that it reads
	looks    int             // about how many samples the engine has looked at
	work     int             // how much was computed for the search
	negative bool            // values below zero are tried where the name allows them
	started  float64         // where counters begin
	needs    time.Duration   // from the start until all windows are full
	delay    time.Duration   // until the condition begins to hold, at the least
	begin    time.Duration   // when the condition begins to hold
	zero     int             // the sample of then
	start    time.Time       // of the input
	moments  []time.Duration // at which the search looks
	extra    []time.Duration // those since the condition begins to hold at which it did not
}

// maxWork limits the values that are computed for one alert.
const maxWork = 5_000_000

// maxSeen limits the samples that the engine looks at for the boundaries of one alert.
const maxSeen = 40_000_000

// costs is about how many samples the engine looks at in a run of some length.
func (p *plan) costs(length time.Duration) int {
	return (int(length/p.interval) + 1) * (p.ticks(p.longest) + 1) * (len(p.series) + len(p.needed.All()) - 1)
}

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
	lasts := func(by promql.Knowledge) bool {
		most, why, ok := promql.Lasts(expr, by)
		if ok = ok && most <= alert.For && most%result.Interval == 0; ok {
			result.Answer, result.Sure, result.Why = Never, by == promql.Sure, []promql.Reason{why}
		}
		return ok
	}
	if lasts(promql.Sure) {
		return result, nil
	}
	pace := promql.Pace{Known: known, Turn: turn(alert.File, alert.Group, alert.Line, result.Interval), Step: r.interval}
	if why, ok := pace.Pending(expr, alert.For); ok {
		result.Answer, result.Sure, result.Why = Never, true, []promql.Reason{why}
		return result, nil
	}
	f := newFinder(r, alert, expr, known, result.Interval)
	if err := f.compile(); err != nil {
		return result, err
	}
	p, why := f.search(ctx)
	if ctx.Err() != nil {
		return result, ctx.Err()
	}
	if p == nil {
		if lasts(promql.Usual) {
			return result, nil
		}
		result.Why = []promql.Reason{{At: expr, First: expr.PositionRange(), Second: expr.PositionRange(), Text: why}}
		return result, nil
	}
	result.Answer = Fires
	if result.Input, err = p.shown(ctx); err != nil {
		return result, err
	}
	if err := f.decide(ctx, p, &result); err != nil {
		return result, err
	}
	if len(result.Boundaries) > 0 {
		result.Input = result.Boundaries[0].Scenarios[1]
	}
	return result, nil
}

// shown is the input of a plan, with what fires at its end. The error is ctx's.
func (p *plan) shown(ctx context.Context) (Scenario, error) {
	until := p.begin + time.Duration(p.slots())*p.interval
	t := p.input(until)
	s := Scenario{Name: p.alert.Name + " fires", Interval: p.sampled, Start: t.start, Series: t.written()}
	run, err := p.run(ctx, s.Series, until)
	if err != nil {
		return s, ctx.Err()
	}
	defer run.Close()
	if firing, err := p.firing(ctx, run, until); err == nil && len(firing) > 0 {
		s.Checks = []Check{{At: until, Firing: firing}}
	}
	return s, ctx.Err()
}

// maxSides limits the sides of or that are looked at after one input was found.
const maxSides = 16

// decide finds the boundaries of a plan, and those of plans in which another side of an or holds.
func (f *finder) decide(ctx context.Context, p *plan, result *Result) (err error) {
	if result.Boundaries, result.Unknown, err = p.boundaries(ctx); err != nil {
		return err
	}
	for _, side := range p.sides[:min(len(p.sides), maxSides)] {
		choices := slices.Clone(p.choices)
		for len(choices) <= side {
			choices = append(choices, 0)
		}
		choices = choices[:side+1]
		choices[side] = 1 - choices[side]
		f.reset()
		other := f.newPlan(choices)
		if reason := other.try(ctx); reason != "" {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		more, unknown, err := other.boundaries(ctx)
		if err != nil {
			return err
		}
		for _, b := range more {
			if !slices.ContainsFunc(result.Boundaries, func(o Boundary) bool { return o.Condition == b.Condition }) {
				result.Boundaries = append(result.Boundaries, b)
			}
		}
		for _, u := range unknown {
			if !slices.Contains(result.Unknown, u) {
				result.Unknown = append(result.Unknown, u)
			}
		}
	}
	return nil
}

// compile finds the alert and what it reads among the rules. An alert of none of their groups is taken alone.
func (f *finder) compile() error {
	all := f.compiled
	if f.own = all.Find(f.alert); f.own == nil {
		groups, err := f.compiler.Groups(f.alert.File, []rulefmt.RuleGroup{groupOf(f.alert, f.interval)})
		if err != nil {
			return err
		}
		f.own = groups[0].Rules[0]
		all = f.compiler.Rules(groups)
	}
	f.all, f.needed = all, all.Needed([]*evaluate.Rule{f.own})
	return nil
}

func newFinder(r *Rules, alert rule.Alert, expr parser.Expr, known *promql.Known, interval time.Duration) *finder {
	f := &finder{Rules: r, alert: alert, expr: expr, known: known, interval: interval, computed: map[string]bool{}}
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
	var reach time.Duration // how far back a recorded metric is looked at
	var inspect func(expr parser.Expr, from time.Duration)
	inspect = func(expr parser.Expr, from time.Duration) {
		parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
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
				own := from + e.OriginalOffset
				for _, above := range path {
					switch e := above.(type) {
					case *parser.MatrixSelector:
						own += e.Range
					case *parser.SubqueryExpr:
						own += e.Range + e.OriginalOffset
					}
				}
				if len(all) > 0 {
					reach = max(reach, own)
				}
				if name == alertsMetric && !seen[name] {
					seen[name] = true
					for _, a := range r.set.Alerts {
						if a.Name == f.alert.Name || !labels.Selector(matchersOf(e, model.AlertNameLabel)).Matches(labels.FromStrings(model.AlertNameLabel, a.Name)) {
							continue
						}
						if expr, err := promql.ParseExpr(a.Expr); err == nil {
							f.delay = max(f.delay, a.For+2*cmp.Or(a.Interval, r.interval))
							f.records = true
							inspect(expr, own)
						}
					}
				}
				if len(all) > 0 && !seen[name] {
					seen[name] = true
					for _, one := range all {
						for label := range one.Labels {
							add(label)
						}
						f.delay += 2 * one.Interval
						f.slowest = max(f.slowest, one.Interval)
						f.records = true
						inspect(one.expr, own)
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
				case "changes", "resets":
					changing = true
				}
				if slices.Contains(calendar, e.Func.Name) && (len(e.Args) == 0 || isClock(e.Args[0])) {
					f.calendar = true
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
			if s <= f.sampled && s*12 <= shortest {
				f.sampled = s // several changes must fit into a window
				break
			}
		}
	}
	f.longest = longest
	f.recordedSince = (reach + f.delay + lookback + interval) / interval * interval
	f.delay += longest + 2*max(interval, f.sampled)
	if calls(expr, "timestamp") {
		f.delay += lookback
	}
	f.needs = f.delay
	f.schedule()
	return f
}

// schedule sets when the condition begins to hold.
func (f *finder) schedule() {
	every := f.interval
	if f.slowest > lookback { // begin when the slowest has just been evaluated
		every = f.slowest
	}
	f.begin = (f.delay + every - 1) / every * every
	f.recordedSince = (f.recordedSince + every - 1) / every * every
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

// reset puts the clock back for another plan.
func (f *finder) reset() {
	f.extra, f.delay, f.start = nil, f.needs, time.Unix(0, 0).UTC()
	f.schedule()
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
	for _, variant := range []struct {
		negative bool
		started  float64
		plans    int
	}{{false, 0, maxPlans}, {true, 0, 60}, {false, 1e6, 30}} {
		f.negative, f.started = variant.negative, variant.started
		queue := [][]int{nil}
		for tried := 0; len(queue) > 0 && tried < variant.plans && f.work < maxWork && f.looks < maxSeen; tried++ {
			choices := queue[0]
			queue = queue[1:]
			f.reset()
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
	if len(p.raised) > 0 { // of the other alerts, those of the plan
		p.needed = p.all.Only(func(r *evaluate.Rule) bool {
			return !r.Alerting || r == p.own || slices.Contains(p.raised, r.Name)
		}).Needed([]*evaluate.Rule{p.own})
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

// fires asks Prometheus's engine whether the alert fires once the condition has held for as long as it asks for. It returns
// an evaluation at which the condition does not hold, or -1 if the alert fires.
func (p *plan) fires(ctx context.Context) (time.Duration, error) {
	until := p.begin + time.Duration(p.slots())*p.interval
	var all []engine.Series
	for _, s := range p.series {
		all = append(all, p.stored(s, p.samples(s, until)))
	}
	from := p.begin - p.interval // where it reads nothing that rules write
	if p.records {
		from = p.begin - p.recordedSince
	}
	p.looks += p.costs(until - from)
	run, err := p.needed.Run(ctx, evaluate.Input{
		Data: evaluate.NewData(all), Start: p.start.Add(from), Interval: p.Rules.interval, Length: until - from, Watch: []*evaluate.Rule{p.own},
	})
	if err != nil {
		return 0, err
	}
	defer run.Close()
	if len(run.At(p.own, p.start.Add(until)).Firing) > 0 {
		return -1, nil
	}
	for at := p.begin; at <= until; at += p.interval {
		if !run.At(p.own, p.start.Add(at)).Active() {
			return at, nil
		}
	}
	return p.begin, nil
}

// stored are the samples of a series as a storage has them. Where a sample is missing after one that is there, the series
// is marked as stale, but for one that is scraped less often.
func (p *plan) stored(s *series, samples []float64) engine.Series {
	one := engine.Series{Metric: s.labels}
	before := false
	for i, v := range samples {
		if math.IsNaN(v) {
			if !before || s.gap > 1 {
				continue
			}
			v = math.Float64frombits(value.StaleNaN)
		}
		before = !value.IsStaleNaN(v)
		one.Floats = append(one.Floats, engine.FPoint{T: p.start.UnixMilli() + int64(i)*p.sampled.Milliseconds(), F: v})
	}
	return one
}

// matchersOf are the matchers of a selector on one label.
func matchersOf(e *parser.VectorSelector, label string) []*labels.Matcher {
	return slices.DeleteFunc(slices.Clone(e.LabelMatchers), func(m *labels.Matcher) bool { return m.Name != label })
}

// sampling lists the sample intervals that are tried.
var sampling = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 4 * time.Minute,
}

// maxSamples is how many samples a query may load in promtool.
const maxSamples = 10_000
