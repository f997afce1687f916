package witness

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// base is the initial level of a compared series. Ratios to it are percentages.
const base = 100

// deriver finds the boundaries of one alert.
type deriver struct {
	*runner
	labeler *labeler
	sampled time.Duration // between samples
	longest time.Duration // how far back the expression looks
	steady  time.Duration // when all windows are full
	kinds   map[string]kind
	uses    map[string]int // how often each series is selected
	started float64        // where counters begin
}

// sampling lists the sample intervals that are tried.
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
	d.longest = rule.Set{}.Window(alert.Expr)
	shortest := shortestRange(r.expr)
	d.sampled = min(interval, sampling[len(sampling)-1])
	for _, s := range slices.Backward(sampling) {
		if shortest > 0 && s*2 <= shortest && d.sampled*2 > shortest {
			d.sampled = s // rate() needs two samples
		}
	}
	for _, s := range sampling {
		if d.longest/d.sampled > maxSamples/4 && s > d.sampled {
			d.sampled = s
		}
	}
	d.steady = d.slot(d.longest + 2*max(interval, d.sampled))
	for _, s := range slices.Backward(sampling) {
		if calls(r.expr, "changes", "resets") && shortest > 0 && s < d.sampled && s*8 <= shortest {
			d.sampled = s // several changes must fit into a window
			break
		}
	}

	parser.Inspect(r.expr, func(node parser.Node, path []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			d.uses[key(s)]++
			d.kinds[key(s)] = combine(d.kinds[key(s)], movement(s, path))
			if k := d.kinds[key(s)]; k == changing || k == resetting { // changes must not have left the window yet
				d.steady = max(d.slot(d.longest-interval), interval)
			}
		}
		return nil
	})
	return d, nil
}

// combine chooses the kind of a series that two parts of an expression use differently.
func combine(a, b kind) kind {
	for _, k := range []kind{linear, counter, timestamp, changing, resetting} {
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

// dataset builds all series that the expression selects, each at its initial level.
func (d *deriver) dataset(scale float64) (*dataset, error) {
	data := &dataset{every: d.sampled, by: map[string][]*input{}}
	var failed error
	parser.Inspect(d.expr, func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok || failed != nil || data.by[key(s)] != nil {
			return nil
		}
		l, ok := d.labeler.of(s)
		if !ok {
			failed = fmt.Errorf("found no labels that %s selects", s)
			return nil
		}
		in := &input{labels: l, kind: d.kinds[key(s)], started: d.started, level: level(d.kinds[key(s)], compared(path), scale)}
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
			if i := slices.IndexFunc(data.inputs, func(o *input) bool { return labels.Equal(o.labels, in.labels) }); i >= 0 {
				data.by[key(s)] = append(data.by[key(s)], data.inputs[i]) // two selectors, one series
				continue
			}
			data.inputs = append(data.inputs, in)
			data.by[key(s)] = append(data.by[key(s)], in)
		}
		return nil
	})
	return data, failed
}

// level is the initial level of a series.
func level(k kind, isCompared bool, scale float64) float64 {
	switch {
	case k == timestamp || k == changing || k == resetting:
		return 0
	case k == linear:
		return 1_000_000
	case isCompared:
		return scale
	}
	return 1
}

// compared reports whether a comparison is among the nodes above a selector.
func compared(path []parser.Node) bool {
	return slices.ContainsFunc(path, func(n parser.Node) bool {
		b, ok := n.(*parser.BinaryExpr)
		return ok && b.Op.IsComparisonOperator()
	})
}

// copyLabel is a label by which count() can distinguish series.
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

// histogram makes a classic histogram with buckets at the threshold, at twice the threshold and +Inf. The first input
// counts the observations up to the threshold; all others lie within twice the threshold.
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
		if v, ok := promql.Constant(other); ok && promql.Bare(own) == parser.Expr(q) {
			threshold = v
		}
	}
	if !(threshold > 0) || math.IsInf(threshold, 0) {
		return nil, fmt.Errorf("histogram_quantile is not compared directly with a positive number")
	}
	total := float64(base)
	if share, ok := promql.Constant(q.Args[0]); ok {
		for total < 1e6 && share*total != math.Trunc(share*total) {
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
		all = append(all, &input{labels: l, kind: counter, level: total, started: d.started})
	}
	in.kind = counter
	return all, nil
}

// measure evaluates both sides of a comparison once all windows are full.
func (d *deriver) measure(ctx context.Context, data *dataset, b *parser.BinaryExpr) (left, right float64, ok bool) {
	m, err := load(data.series(parameter{}, []phase{{samples: d.samples(d.steady)}}), d.sampled)
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

// holds reports whether an expression returns anything once all windows are full.
func (d *deriver) holds(ctx context.Context, data *dataset, expr parser.Expr) (bool, error) {
	m, err := load(data.series(parameter{}, []phase{{samples: d.samples(d.steady)}}), d.sampled)
	if err != nil {
		return false, err
	}
	v, err := d.values(ctx, m, expr.String(), d.steady)
	return len(v) > 0, err
}

// parameters lists what may be varied to change the result of a comparison, the most natural first.
func (d *deriver) parameters(data *dataset, b *parser.BinaryExpr) []parameter {
	type choice struct {
		parameter
		uses int
	}
	var choices []choice
	parser.Inspect(b, func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok || len(data.by[key(s)]) == 0 {
			return nil
		}
		k := parameter{of: data.by[key(s)][0]}
		if a, _ := counted(path); a != nil && k.of.copied != "" {
			k.attribute = copies
		}
		if !slices.ContainsFunc(choices, func(c choice) bool { return c.parameter == k }) {
			choices = append(choices, choice{k, d.uses[key(s)]})
		}
		return nil
	})
	slices.SortStableFunc(choices, func(a, b choice) int { return cmp.Compare(min(a.uses, 2), min(b.uses, 2)) })
	all := make([]parameter, len(choices))
	for i, c := range choices {
		all[i] = c.parameter
	}
	return all
}

// describe names a parameter's series and its value.
func (d *deriver) describe(k parameter, value float64) string {
	what := k.of.labels.Get(labels.MetricName)
	if k.attribute == copies {
		return position(d, k, value) + " of " + what
	}
	if k.attribute == seriesValue && k.of.kind == gauge {
		return what + " at " + number(value)
	}
	return what + " " + position(d, k, value)
}

// position describes a parameter's value, without the name of its series.
func position(d *deriver, k parameter, value float64) string {
	switch k.attribute {
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
		return fmt.Sprintf("rising by %s each %s", number(value), model.Duration(d.sampled).String())
	case timestamp:
		if value < 0 {
			return number(-value) + "s ago"
		}
		return "in " + number(value) + "s"
	case linear:
		return "falling from " + number(value)
	case changing:
		return "changing " + number(value) + " times"
	case resetting:
		return "reset " + number(value) + " times"
	}
	return number(value)
}

// lookback is how long a selector returns the last sample of a series.
const lookback = engine.LookbackDelta
