package promql_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	queries "github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/promql"
)

var (
	duration = flag.Duration("property", 3*time.Second, "for how long the property test runs for each knowledge")
	seed     = flag.Uint64("seed", 0, "of the property test; 0 for the time")
)

// recordings are in the order in which they are evaluated.
func recordings(t *testing.T) []promql.Recording {
	var all []promql.Recording
	for _, r := range []promql.Recording{
		{Name: "job:a:sum", Expr: parse(t, "sum by (job) (a) > 0")},
		{Name: "job:b:one", Expr: parse(t, `count by (job, x) (b{x="1"})`), Labels: map[string]string{"y": "2", "job": ""}},
		{Name: "job:b:one", Expr: parse(t, `max(job:a:sum)`), Labels: map[string]string{"y": "3"}},
	} {
		all = append(all, r)
	}
	return all
}

func parse(t *testing.T, text string) parser.Expr {
	t.Helper()
	expr, err := promql.ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return expr
}

// What is called impossible never happens: expressions and all their parts are evaluated over random series.
func TestNothingImpossibleHappens(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
		t.Run([]string{"sure", "usual"}[by], func(t *testing.T) {
			w := &world{Rand: rand.New(rand.NewPCG(*seed, uint64(by))), usual: by == promql.Usual}
			p := &property{T: t, by: by, engine: queries.NewQueries(engine.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: promql.Lookback}, time.Minute)}
			for start := time.Now(); time.Since(start) < *duration && !t.Failed(); {
				p.over(w)
			}
			t.Logf("seed %d: %d expressions, %d parts evaluated, %d results; claimed never %d, always %d, useless %d, holds %d, passing %d", *seed, p.expressions, p.parts, p.results, p.never, p.always, p.useless, p.held, p.lasting)
			if p.lasting == 0 || p.useless == 0 || p.held == 0 || p.never == 0 || p.always == 0 || p.results == 0 {
				t.Error("the expressions are too simple to show anything")
			}
		})
	}
}

type property struct {
	*testing.T
	by     promql.Knowledge
	engine *engine.Engine
	db     storage.Queryable

	expressions, parts, results, never, always, useless, held, lasting int
}

func (p *property) over(w *world) {
	all := w.series()
	rules := recordings(p.T)
	for _, r := range rules {
		byLabels := map[string]int{}
		p.db = evaluate.Storage(all)
		for i := range steps {
			result, ok := p.query(r.Expr.String(), i)
			if !ok {
				continue
			}
			for _, sample := range result {
				lb := labels.NewBuilder(sample.Metric)
				for name, text := range r.Labels {
					lb.Set(name, text)
				}
				lb.Set(model.MetricNameLabel, r.Name)
				ls := lb.Labels()
				at, ok := byLabels[ls.String()]
				if !ok {
					at = len(all)
					byLabels[ls.String()] = at
					all = append(all, engine.Series{Metric: ls})
				}
				all[at].Floats = append(all[at].Floats, engine.FPoint{T: int64(i) * 60_000, F: sample.F})
			}
		}
	}
	p.db = evaluate.Storage(all)
	known := promql.Know(rules, nil)
	for range 3 {
		p.passes(parse(p.T, w.passing()))
	}
	for i := range 40 {
		text := w.vector(1 + w.IntN(4))
		if i%4 == 0 {
			text = w.share(func() string { return w.vector(1) })
		}
		expr, err := promql.ParseExpr(text)
		if err != nil {
			continue // such as a label in on() and in group_left()
		}
		p.expressions++
		a := promql.Analyze(expr, known, p.by)
		for _, r := range a.Slips() {
			if r.Instead != nil {
				p.useless++
				p.alike(r)
			}
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if part, ok := node.(parser.Expr); ok && part.Type() == parser.ValueTypeVector {
				p.check(expr, part, a.Of(part), all)
				if _, ok := a.Holds(part); ok {
					p.holds(part)
				}
			}
			return nil
		})
	}
}

func (p *property) query(text string, step int) (engine.Vector, bool) {
	q, err := p.engine.NewInstantQuery(context.Background(), p.db, nil, text, time.UnixMilli(int64(step)*60_000))
	if err != nil {
		p.Fatalf("%s: %v", text, err)
	}
	defer q.Close()
	result := q.Exec(context.Background())
	if result.Err != nil {
		return nil, false // many-to-many matching, or two series alike
	}
	found, err := result.Vector()
	return append(engine.Vector{}, found...), err == nil
}

// passes demands that what lasts for a time only is over when it is, for the same labels.
func (p *property) passes(expr parser.Expr) {
	most, why, ok := promql.Lasts(expr, promql.Usual)
	if !ok {
		return
	}
	p.lasting++
	apart := int(most / time.Minute)
	at := func(step int) map[string]bool {
		all := map[string]bool{}
		found, _ := p.query(expr.String(), step)
		for _, sample := range found {
			all[labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel).Labels().String()] = true
		}
		return all
	}
	for step := range steps - apart {
		after := at(step + apart)
		for series := range at(step) {
			if after[series] {
				p.Errorf("seed %d\n%s\n at %dm and %s later there is %s: %s", *seed, expr, step, most, series, why.Text)
				return
			}
		}
	}
}

// holds demands that a comparison of a vector with a number has a result for each of the vector's numbers.
func (p *property) holds(part parser.Expr) {
	e := promql.Bare(part).(*parser.BinaryExpr)
	vector := e.LHS
	if vector.Type() == parser.ValueTypeScalar {
		vector = e.RHS
	}
	if e.Op == parser.LOR {
		return
	}
	for _, step := range []int{6, 13, 19} {
		before, ok := p.query(vector.String(), step)
		after, also := p.query(part.String(), step)
		numbers := slices.DeleteFunc(before, func(s engine.Sample) bool { return math.IsNaN(s.F) })
		if ok && also && len(after) < len(numbers) {
			p.Errorf("seed %d: %s holds for %v of %v", *seed, part, after, numbers)
		}
		p.held += len(after)
	}
}

// alike demands that a part has the same results without what is useless in it.
func (p *property) alike(r promql.Reason) {
	for _, step := range []int{6, 13, 19} {
		var texts [2]string
		for i, expr := range []parser.Expr{r.At, r.Instead} {
			found, ok := p.query(expr.String(), step)
			if !ok && i == 0 {
				break // many-to-many matching, or two series alike
			}
			var lines []string
			for _, sample := range found {
				lines = append(lines, fmt.Sprintf("%s %v", labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel).Labels(), sample.F+0)) // -0 is 0
			}
			slices.Sort(lines)
			texts[i] = strings.Join(append(lines, fmt.Sprint(ok)), "\n")
		}
		if texts[0] != "" && texts[0] != texts[1] {
			p.Errorf("seed %d: %s\n%s\nhas other results without it:\n%s\n%s\nand\n%s", *seed, r.Text, r.At, r.Instead, texts[0], texts[1])
		}
	}
}

func (p *property) check(expr, part parser.Expr, f promql.Facts, all []engine.Series) {
	if f.Empty {
		p.never++
	}
	if f.Present {
		p.always++
	}
	for _, step := range []int{6, 13, 19} {
		found, ok := p.query(part.String(), step)
		if !ok {
			continue
		}
		p.parts++
		fail := func(format string, args ...any) {
			p.Errorf("seed %d\n%s\n in %s\n at %dm: %s\n%v", *seed, part, expr, step, fmt.Sprintf(format, args...), all)
		}
		if f.Present && len(found) == 0 {
			fail("always has a result, and has none")
		}
		for _, sample := range found {
			p.results++
			if f.Empty {
				fail("never has a result, and has %v", sample)
			}
			if !f.Values.Has(sample.F) && !f.Values.Has(sample.F*(1+1e-9)) && !f.Values.Has(sample.F*(1-1e-9)) {
				fail("%v, and has %v", f.Values, sample)
			}
			sample.Metric.Range(func(l labels.Label) {
				if !f.Labels.May(l.Name) {
					fail("has %v, and there is %v", f.Labels, sample)
				}
			})
			for _, name := range []string{model.MetricNameLabel, "job", "instance", "x", "y", "v"} {
				if f.Labels.Has(name) && sample.Metric.Get(name) == "" {
					fail("always has the label %s, and there is %v", name, sample)
				}
				if text, fixed := f.Labels.Fixed(name); fixed && sample.Metric.Get(name) != text {
					fail("always has %s=%q, and there is %v", name, text, sample)
				}
			}
		}
		if p.Failed() {
			return
		}
	}
}
