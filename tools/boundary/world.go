package boundary

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/rule"
)

// base is the level of a series that a comparison looks at, before anything is known of it. Ratios to it are percents.
const base = 100

// deriver finds the boundaries of one alert.
type deriver struct {
	*runner
	labeler *labeler
	sampled time.Duration // between samples
	steady  time.Duration // when all windows are full
	kinds   map[string]kind
	uses    map[string]int // how often each series is selected
	begun   float64        // where counters begin
}

// sampling is how far apart samples may be so that people find it natural.
var sampling = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 4 * time.Minute,
}

func newDeriver(alert rule.Alert, interval time.Duration) (*deriver, error) {
	r, err := newRunner(alert, interval)
	if err != nil {
		return nil, err
	}
	d := &deriver{runner: r, labeler: newLabeler(alert, r.expr), kinds: map[string]kind{}, uses: map[string]int{}}
	longest, shortest := window(r.expr)
	d.sampled = min(interval, sampling[len(sampling)-1])
	for _, s := range slices.Backward(sampling) {
		if shortest > 0 && s*2 <= shortest && d.sampled*2 > shortest {
			d.sampled = s // rate() needs two samples
		}
	}
	for _, s := range sampling {
		if longest/d.sampled > maxSamples/4 && s > d.sampled {
			d.sampled = s
		}
	}
	d.steady = d.slot(longest + 2*max(interval, d.sampled))
	for _, s := range slices.Backward(sampling) {
		if happens(r.expr) && shortest > 0 && s < d.sampled && s*8 <= shortest {
			d.sampled = s // as often as a change is to be seen in a window
			break
		}
	}

	parser.Inspect(r.expr, func(node parser.Node, path []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			d.uses[key(s)]++
			d.kinds[key(s)] = combine(d.kinds[key(s)], movement(s, path))
			if k := d.kinds[key(s)]; k == steps || k == drops { // what has happened leaves the window again
				d.steady = max(d.slot(longest-interval), interval)
			}
		}
		return nil
	})
	return d, nil
}

// happens says whether an expression counts what happens to a series.
func happens(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		c, ok := node.(*parser.Call)
		found = found || ok && (c.Func.Name == "changes" || c.Func.Name == "resets")
		return nil
	})
	return found
}

// combine chooses the movement of a series that is looked at in two ways.
func combine(a, b kind) kind {
	for _, k := range []kind{falling, counter, clock, steps, drops} {
		if a == k || b == k {
			return k
		}
	}
	return gauge
}

// slot is the first evaluation at or after a time.
func (d *deriver) slot(at time.Duration) time.Duration {
	return (at + d.interval - 1) / d.interval * d.interval
}

// samples is how many samples there are up to and including a time.
func (d *deriver) samples(until time.Duration) int { return int(until/d.sampled) + 1 }

// scene is a world and the inputs in it by the selector that selects them.
type scene struct {
	world
	by map[string][]*input
}

// scene builds all that the expression selects, each series at its base.
func (d *deriver) scene(scale float64) (*scene, error) {
	sc := &scene{world{sampled: d.sampled}, map[string][]*input{}}
	var failed error
	parser.Inspect(d.expr, func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok || failed != nil || sc.by[key(s)] != nil {
			return nil
		}
		l, ok := d.labeler.of(s)
		if !ok {
			failed = fmt.Errorf("no labels are found that %s selects", s)
			return nil
		}
		in := &input{labels: l, kind: d.kinds[key(s)], begun: d.begun, level: level(d.kinds[key(s)], compared(path), scale)}
		own := []*input{in}
		if q := quantile(path); q != nil {
			if own, failed = d.histogram(in, q, path); failed != nil {
				return nil
			}
		}
		if a, inside := counted(path); a != nil && !a.Without {
			in.copied, in.copies = copyLabel(a, inside, s), 1
		}
		for _, in := range own {
			if i := slices.IndexFunc(sc.inputs, func(o *input) bool { return labels.Equal(o.labels, in.labels) }); i >= 0 {
				sc.by[key(s)] = append(sc.by[key(s)], sc.inputs[i]) // two selectors, one series
				continue
			}
			sc.inputs = append(sc.inputs, in)
			sc.by[key(s)] = append(sc.by[key(s)], in)
		}
		return nil
	})
	return sc, failed
}

// level is where a series begins.
func level(k kind, isCompared bool, scale float64) float64 {
	switch {
	case k == clock || k == steps || k == drops:
		return 0
	case k == falling:
		return 1_000_000
	case isCompared:
		return scale
	}
	return 1
}

// compared says whether a comparison looks at a selector.
func compared(path []parser.Node) bool {
	return slices.ContainsFunc(path, func(n parser.Node) bool {
		b, ok := n.(*parser.BinaryExpr)
		return ok && b.Op.IsComparisonOperator()
	})
}

// copyLabel is a label by which count() can tell series apart.
func copyLabel(a *parser.AggregateExpr, inside []string, s *parser.VectorSelector) string {
	for _, name := range append(slices.Clone(inside), "instance", "pod", "replica") {
		taken := slices.Contains(a.Grouping, name) || slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == name })
		if !taken {
			return name
		}
	}
	return "copy"
}

// quantile returns the histogram_quantile() around a selector, or nil.
func quantile(path []parser.Node) *parser.Call {
	for _, n := range path {
		if c, ok := n.(*parser.Call); ok && c.Func.Name == "histogram_quantile" {
			return c
		}
	}
	return nil
}

// histogram makes a classic histogram of three buckets around the threshold: the first input is the number of
// observations up to it, all others are within twice the threshold.
func (d *deriver) histogram(in *input, q *parser.Call, path []parser.Node) ([]*input, error) {
	threshold := math.NaN()
	for i, n := range path {
		b, ok := n.(*parser.BinaryExpr)
		if !ok || !b.Op.IsComparisonOperator() || i+1 >= len(path) {
			continue
		}
		own, other := b.LHS, b.RHS
		if path[i+1] == parser.Node(b.RHS) {
			own, other = other, own
		}
		if rule.Bare(own) == parser.Expr(q) && isConstant(other) {
			threshold = d.constant(other)
		}
	}
	if !(threshold > 0) || math.IsInf(threshold, 0) {
		return nil, fmt.Errorf("histogram_quantile is not compared with a positive number directly")
	}
	total := float64(base)
	if isConstant(q.Args[0]) {
		for share := d.constant(q.Args[0]); total < 1e6 && share*total != math.Trunc(share*total); {
			total *= 10
		}
	}
	all := []*input{in}
	in.level, in.total = total, total
	for _, le := range []string{number(threshold), number(2 * threshold), "+Inf"} {
		l := labels.NewBuilder(in.labels).Set("le", le).Labels()
		if len(all) == 1 && all[0].labels.Get("le") == "" {
			in.labels = l
			continue
		}
		all = append(all, &input{labels: l, kind: counter, level: total, begun: d.begun})
	}
	in.kind = counter
	return all, nil
}

// isConstant says whether an expression is a number, however it is computed.
func isConstant(expr parser.Expr) bool {
	constant := expr.Type() == parser.ValueTypeScalar
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch node.(type) {
		case *parser.VectorSelector, *parser.Call:
			constant = false
		}
		return nil
	})
	return constant
}

// constant is the value of a constant expression.
func (d *deriver) constant(expr parser.Expr) float64 {
	v, err := d.values(context.Background(), nil, expr.String(), 0)
	if err != nil || len(v) == 0 {
		return math.NaN()
	}
	return v[0].F
}

// measure evaluates both sides of a comparison in a world, after its windows are full.
func (d *deriver) measure(ctx context.Context, sc *scene, b *parser.BinaryExpr) (left, right float64, ok bool) {
	m, err := load(sc.series(knob{}, []phase{{samples: d.samples(d.steady)}}), d.sampled)
	if err != nil {
		return 0, 0, false
	}
	sides := [2]float64{}
	for i, side := range []parser.Expr{b.LHS, b.RHS} {
		v, err := d.values(ctx, m, side.String(), d.steady)
		if err != nil || len(v) == 0 {
			return 0, 0, false
		}
		sides[i] = v[0].F
	}
	return sides[0], sides[1], true
}

// holds says whether an expression returns anything in a world, after its windows are full.
func (d *deriver) holds(ctx context.Context, sc *scene, expr parser.Expr) (bool, error) {
	m, err := load(sc.series(knob{}, []phase{{samples: d.samples(d.steady)}}), d.sampled)
	if err != nil {
		return false, err
	}
	v, err := d.values(ctx, m, expr.String(), d.steady)
	return len(v) > 0, err
}

// knobs lists what may be turned to cross a comparison, the most natural first.
func (d *deriver) knobs(sc *scene, b *parser.BinaryExpr) []knob {
	type choice struct {
		knob
		uses int
	}
	var choices []choice
	parser.Inspect(b, func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok || len(sc.by[key(s)]) == 0 {
			return nil
		}
		k := knob{of: sc.by[key(s)][0]}
		if a, _ := counted(path); a != nil && k.of.copied != "" {
			k.dial = copies
		}
		if !slices.ContainsFunc(choices, func(c choice) bool { return c.knob == k }) {
			choices = append(choices, choice{k, d.uses[key(s)]})
		}
		return nil
	})
	slices.SortStableFunc(choices, func(a, b choice) int { return cmp.Compare(min(a.uses, 2), min(b.uses, 2)) })
	all := make([]knob, len(choices))
	for i, c := range choices {
		all[i] = c.knob
	}
	return all
}

// describe says in words where a knob stands.
func (d *deriver) describe(k knob, value float64) string {
	what := k.of.labels.Get(labels.MetricName)
	if k.dial == copies {
		return position(d, k, value) + " of " + what
	}
	if k.dial == levels && k.of.kind == gauge {
		return what + " at " + number(value)
	}
	return what + " " + position(d, k, value)
}

// position says where a knob stands, without the name of its series.
func position(d *deriver, k knob, value float64) string {
	switch k.dial {
	case presence:
		if value == 0 {
			return "missing"
		}
		return "there"
	case copies:
		return number(value) + " series"
	}
	switch k.of.kind {
	case counter:
		if le := k.of.labels.Get("le"); le != "" {
			return fmt.Sprintf("with %s of %s within %s", number(value), number(k.of.total), le)
		}
		return fmt.Sprintf("rising by %s each %s", number(value), short(d.sampled))
	case clock:
		if value < 0 {
			return number(-value) + "s ago"
		}
		return "in " + number(value) + "s"
	case falling:
		return "falling from " + number(value)
	case steps:
		return "changing " + number(value) + " times"
	case drops:
		return "reset " + number(value) + " times"
	}
	return number(value)
}

// lookback is how long the last sample of a series is still looked at.
const lookback = engine.LookbackDelta

// short writes a duration without its zero parts.
func short(d time.Duration) string {
	for _, u := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.of && d%u.of == 0 {
			return strconv.FormatInt(int64(d/u.of), 10) + u.name
		}
	}
	if d%time.Second != 0 {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	switch {
	case d == 0:
		return "0m"
	case d > 24*time.Hour && d%time.Hour == 0:
		return short(d.Truncate(24*time.Hour)) + short(d%(24*time.Hour))
	case d > time.Hour && d%time.Minute == 0:
		return short(d.Truncate(time.Hour)) + short(d%time.Hour)
	}
	return short(d.Truncate(time.Minute)) + short(d%time.Minute)
}
