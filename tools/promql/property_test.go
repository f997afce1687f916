package promql_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"

	queries "github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/ruletest"
)

var (
	duration = flag.Duration("property", 3*time.Second, "for how long the property test runs for each knowledge")
	seed     = flag.Uint64("seed", 0, "of the property test; 0 for the time")
)

const steps = 20 // of a minute

// world makes random series and random expressions over them.
type world struct {
	*rand.Rand
	usual bool // as exporters make them
}

func (w *world) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *world) series() (all []engine.Series) {
	seen := map[string]bool{}
	for range 2 + w.IntN(14) {
		name := w.pick("a", "a", "b", "b", "up", "c_total", "d_info", "e_bytes")
		ls := map[string]string{model.MetricNameLabel: name}
		for _, label := range []string{"job", "instance", "x", "y"} {
			if w.usual || (label == "job" || label == "instance") && name == "up" || w.IntN(2) == 0 {
				ls[label] = w.pick("1", "2")
			}
		}
		s := engine.Series{Metric: labels.FromMap(ls)}
		if seen[s.Metric.String()] {
			continue
		}
		seen[s.Metric.String()] = true
		v := w.value()
		for i := range steps {
			if w.IntN(8) == 0 {
				continue
			}
			if w.IntN(2) == 0 {
				v = w.value()
			}
			f := v
			switch {
			case name == "up":
				f = float64(w.IntN(2))
			case w.usual && name == "c_total":
				f = float64(i) * 2
				if w.IntN(6) == 0 {
					f = 0
				}
			case w.usual && name == "d_info":
				f = 1
			case w.usual && name == "e_bytes":
				f = math.Abs(v)
			}
			s.Floats = append(s.Floats, engine.FPoint{T: int64(i) * 60_000, F: f})
		}
		all = append(all, s)
	}
	return all
}

func (w *world) value() float64 {
	if w.IntN(30) == 0 && !w.usual {
		return []float64{math.NaN(), math.Inf(1), math.Inf(-1)}[w.IntN(3)]
	}
	return float64(w.IntN(9)-3) / []float64{1, 1, 2}[w.IntN(3)]
}

func (w *world) number() string { return w.pick("0", "0", "1", "1", "2", "-1", "0.5", "3", "100") }

func (w *world) comparison() string { return w.pick("==", "!=", ">", "<", ">=", "<=") }

func (w *world) selector() string {
	name := w.pick("a", "a", "b", "up", "c_total", "d_info", "e_bytes", "job:a:sum", "job:b:one", `{__name__=~"a|b"`)
	if w.IntN(2) == 0 {
		if strings.HasPrefix(name, "{") {
			return name + "}"
		}
		return name
	}
	if !strings.HasPrefix(name, "{") {
		name += "{"
	} else {
		name += ","
	}
	return name + w.pick("job", "instance", "x", "y") + w.pick(`="1"`, `="2"`, `=""`, `!=""`, `=~"1|2"`, `=~".+"`, `!="1"`, `=~"1.*"`) + "}"
}

func (w *world) ranged() string {
	if w.usual {
		return w.pick("c_total", `c_total{x="1"}`) + "[3m]"
	}
	return w.selector() + "[3m]"
}

func (w *world) names() string {
	return w.pick("", "job", "x", "job, x", "instance, job", "y", "job, instance, x, y")
}

func (w *world) scalar(depth int) string {
	switch w.IntN(6) {
	case 0:
		return "scalar(" + w.vector(depth-1) + ")"
	case 1:
		return w.pick("time()", "1 / 2", "-(1)", "2 > bool 1", "hour(vector(0)) * 0 + 1")
	}
	return w.number()
}

func (w *world) vector(depth int) string {
	if depth <= 0 {
		if w.IntN(6) == 0 {
			return "vector(" + w.number() + ")"
		}
		return w.selector()
	}
	v := func() string { return w.vector(depth - 1) }
	switch w.IntN(17) {
	case 0, 1, 2:
		number := w.number()
		if w.IntN(5) == 0 {
			number = "scalar(" + v() + ")"
		}
		if w.IntN(4) == 0 {
			return fmt.Sprintf("(%s %s %s %s)", number, w.comparison(), w.pick("", "", "bool"), v())
		}
		return fmt.Sprintf("(%s %s %s %s)", v(), w.comparison(), w.pick("", "", "bool"), number)
	case 3, 4:
		return fmt.Sprintf("(%s %s %s %s %s)", v(), w.pick("==", "!=", ">", "<", ">=", "<=", "+", "-", "*", "/", "%", "^"),
			w.pick("", "", "on ("+w.names()+")", "ignoring ("+w.names()+")", "on (job) group_left ("+w.pick("", "x", "y")+")", "ignoring (x) group_right ("+w.pick("", "x")+")"), "", v())
	case 5, 6, 7:
		return fmt.Sprintf("(%s %s %s %s)", v(), w.pick("and", "and", "or", "unless"), w.pick("", "", "on ("+w.names()+")", "ignoring ("+w.names()+")"), v())
	case 8, 9:
		return fmt.Sprintf("%s %s (%s) (%s)", w.pick("sum", "count", "min", "max", "avg", "group", "stddev"), w.pick("by", "by", "without"), w.names(), v())
	case 10:
		return w.pick("topk(1, ", "bottomk(2, ", "quantile(0.5, ", "quantile(2, ", `count_values("v", `, "limitk(1, ", "sum(", "count(") + v() + ")"
	case 11:
		return w.pick("rate", "increase", "irate", "changes", "resets") + "(" + w.ranged() + ")"
	case 12:
		return w.pick("avg_over_time(", "min_over_time(", "sum_over_time(", "last_over_time(", "count_over_time(", "quantile_over_time(0.5, ",
			"stddev_over_time(", "delta(", "absent_over_time(", "present_over_time(", "predict_linear(") + v() + "[3m:1m]" + w.pick("", " offset 2m") + w.pick(")")
	case 13:
		return w.pick("abs(", "ceil(", "floor(", "round(", "sqrt(", "exp(", "sgn(", "sort(", "absent(", "absent(", "hour(", "-(", "timestamp(") + v() + ")"
	case 14:
		return w.pick("clamp_min("+v()+", 0)", "clamp_max("+v()+", 1)", "clamp("+v()+", 0, 1)")
	case 15:
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", v(), w.pick("x", "y", "job"), w.pick("1", "2", "$1", ""), w.pick("x", "z", "job"), w.pick("(.*)", "", "1", "(.+)"))
	}
	// Parts that are the same, or nearly so.
	same := w.vector(depth - 2)
	narrow := w.selector()
	return w.pick(
		fmt.Sprintf("(%s %s %s %s %s %s %s)", same, w.comparison(), w.number(), w.pick("and", "unless", "or"), same, w.comparison(), w.number()),
		fmt.Sprintf("(%s %s %s)", same, w.pick("/", "-", "<", ">=", "==", "*"), same),
		fmt.Sprintf("(2 / a * %s)", narrow),
		fmt.Sprintf("(%s > %s unless (%s > %s))", same, w.number(), w.pick("topk(1, "+same+")", "("+same+" and "+narrow+")", "("+same+" < 3)", "("+same+" unless b)"), w.number()),
		fmt.Sprintf("(%s %s %s and %s %s %s)", `{__name__=~"a|b"}`, w.comparison(), w.number(), `{__name__=~"a|b"}`, w.comparison(), w.number()),
		fmt.Sprintf("(%s or %s vector(%s))", same, w.pick("", "on ()"), w.number()))
}

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
			p := &property{T: t, by: by, engine: queries.NewQueries(engine.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 150 * time.Second}, time.Minute)}
			for start := time.Now(); time.Since(start) < *duration && !t.Failed(); {
				p.over(w)
			}
			t.Logf("seed %d: %d expressions, %d parts evaluated, %d results; claimed never %d, always %d", *seed, p.expressions, p.parts, p.results, p.never, p.always)
			if p.never == 0 || p.always == 0 || p.results == 0 {
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

	expressions, parts, results, never, always int
}

func (p *property) over(w *world) {
	all := w.series()
	rules := recordings(p.T)
	for _, r := range rules {
		byLabels := map[string]int{}
		p.db = ruletest.Storage(all)
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
	p.db = ruletest.Storage(all)
	known := promql.Know(rules, nil)
	for range 30 {
		text := w.vector(1 + w.IntN(4))
		expr, err := promql.ParseExpr(text)
		if err != nil {
			continue // such as a label in on() and in group_left()
		}
		p.expressions++
		a := promql.Analyze(expr, known, p.by)
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if part, ok := node.(parser.Expr); ok && part.Type() == parser.ValueTypeVector {
				p.check(expr, part, a.Of(part), all)
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
