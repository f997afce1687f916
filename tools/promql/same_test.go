package promql_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"

	queries "github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/mutate"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

func TestSame(t *testing.T) {
	for _, test := range []struct {
		one, other string
		need       promql.Need
		same       bool
	}{
		{"sum by (job) (count by (job) (x)) > 2", "avg by (job) (count by (job) (x)) > 2", promql.SeriesValue, true},
		{"sum by (job) (x) > 2", "avg by (job) (x) > 2", promql.Series, false},
		{"max without (y) (sum by (job) (x)) > 2", "min without (y) (sum by (job) (x)) > 2", promql.SeriesValue, true},
		{"max(sum(x)) > 2", "min(sum(x)) > 2", promql.SeriesValue, true},
		{"max(x) > 2", "min(x) > 2", promql.Series, false},
		{"sum by (job, y) (sum by (job) (x))", "sum by (job) (sum by (job) (x))", promql.SeriesValue, true},
		{"count(x) > 0", "count(x) >= 1", promql.SeriesValue, true},
		{"count(x) > 1", "count(x) >= 2", promql.SeriesValue, true},
		{"x > 1", "x >= 2", promql.Series, false},
		{"up == 1", "up > 0", promql.SeriesValue, true},
		{"up == 0", "up != 1", promql.SeriesValue, true},
		{"up == 0", "up <= 0", promql.SeriesValue, true},
		{"up < 1", "up == 0", promql.SeriesValue, true},
		{"up == 0", "up == 1", promql.Series, false},
		{"x == 0", "x <= 0", promql.Series, false},
		{"changes(x[5m]) != 0", "changes(x[5m]) > 0", promql.SeriesValue, true},
		{"up > 1", "up > 2", promql.Series, true},
		{"up > 2 or x", "x", promql.SeriesValue, true},
		{"x unless up > 2", "x", promql.SeriesValue, true},
		{"sum(up) == 0", "max(up) == 0", promql.SeriesValue, true},
		{"sum by (job) (up) > 0", "avg by (job) (up) > 0", promql.Series, true},
		{"sum by (job) (up) > 0", "avg by (job) (up) > 0", promql.SeriesValue, false},
		{"sum(x) > 0", "max(x) > 0", promql.Series, false},
		{"rate(x[5m]) > 0", "increase(x[5m]) > 0", promql.Series, true},
		{"rate(x[5m]) > 0", "increase(x[5m]) > 0", promql.SeriesValue, false},
		{"rate(x[5m]) > 1", "increase(x[5m]) > 1", promql.Series, false},
		{"rate(x[5m]) * 60 > 0", "rate(x[5m]) * 600 > 0", promql.Series, true},
		{"x > 1 and y > 1", "y > 1 and x > 1", promql.Series, false},
		{"a and sum by (job) (b)", "a and avg by (job) (b)", promql.SeriesValue, true},
		{"a and b * 5", "a and b * 50", promql.SeriesValue, true},
		{"a unless on (job) rate(b[5m])", "a unless on (job) increase(b[5m])", promql.SeriesValue, true},
		{"absent(sum(x))", "absent(max(x))", promql.SeriesValue, true},
		{"count(count by (v) (x)) > 1", "count(sum by (v) (x)) > 1", promql.SeriesValue, true},
		{`x{a=~".*"} > 1`, "x > 1", promql.SeriesValue, true},
		{`x{a=~".+"} > 1`, `x{a!=""} > 1`, promql.SeriesValue, true},
		{`x{a="1", a!="2"} > 1`, `x{a="1"} > 1`, promql.SeriesValue, true},
		{`up{job!=""} == 0`, "up == 0", promql.SeriesValue, true},
		{`x{job!=""} == 0`, "x == 0", promql.Series, false},
		{`a{job="1"} / b{job="1"} > 1`, `a{job="1"} / b > 1`, promql.SeriesValue, true},
		{`a{job!=""} / b{job!=""} > 1`, `a{job!=""} / b > 1`, promql.SeriesValue, true},
		{`a{job=~"1|2"} and b{job=~"1|2"}`, `a and b{job=~"1|2"}`, promql.SeriesValue, true},
		{`a{job=~"1|2"} unless b`, `a unless b{job=~"1|2"}`, promql.Series, false},
		{`a{job="1"} / on (instance) b{job="1"} > 1`, `a{job="1"} / on (instance) b > 1`, promql.Series, false},
		{`a{job="1"} and on (job, instance) b{job="1"}`, `a and on (job, instance) b{job="1"}`, promql.SeriesValue, true},
		{`a{job="1"} unless b{job="1"}`, `a{job="1"} unless b`, promql.SeriesValue, true},
		{`a{job="1"} unless b{job="1"}`, `a unless b{job="1"}`, promql.Series, false},
		{`sum by (job) (a{job="1"}) / sum by (job) (b{job="1"})`, `sum by (job) (a{job="1"}) / sum by (job) (b)`, promql.SeriesValue, true},
		{`sum by (job) (a) / on (job) sum by (job) (b)`, `sum by (job) (a) / ignoring (x) sum by (job) (b)`, promql.SeriesValue, true},
		{"sum without () (sum by (job) (a)) > 2", "sum by (job) (sum by (job) (a)) > 2", promql.SeriesValue, true},
		{`a{job!=""} > 1 and predict_linear(b{job!=""}[1h], 60) < 0`, `a{job!=""} > 1 and predict_linear(b[1h], 60) < 0`, promql.SeriesValue, true},
		{`count_values("__name__", x)`, `count_values("__name__", x * 1)`, promql.SeriesValue, false},
	} {
		if got := promql.Same(parse(t, test.one), parse(t, test.other), test.need, promql.Sure); got != test.same {
			t.Errorf("%s\n%s\nneed %d: same %v", test.one, test.other, test.need, got)
		}
	}
}

// What a mutant changes of an expression that it is called equivalent to never shows, over random series.
func TestEquivalentMutantsNeverDiffer(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	w := &world{Rand: rand.New(rand.NewPCG(*seed, 2))}
	p := &property{T: t, engine: queries.NewQueries(engine.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 150 * time.Second}, time.Minute)}
	mutants, equivalent := 0, map[bool]int{}
	for start := time.Now(); time.Since(start) < *duration && !t.Failed(); {
		all := w.series()
		p.db = evaluate.Storage(all)
		for range 20 {
			a := rule.Alert{Name: "A", Expr: w.vector(1 + w.IntN(3))}
			if expr, err := promql.ParseExpr(a.Expr); err != nil || len(a.Expr) > 400 || expr == nil {
				continue // such as a label in on() and in group_left()
			}
			if w.IntN(2) == 0 {
				a.Annotations = map[string]string{"summary": "{{ $value }}"}
			}
			own, err := mutate.Of(a)
			if err != nil {
				t.Fatal(err)
			}
			mutants += len(own)
			for _, m := range own {
				why := m.Equivalent()
				if why == "" || strings.Contains(why, "constants are computed") {
					continue
				}
				equivalent[len(a.Annotations) > 0]++
				for _, step := range []int{6, 13, 19} {
					before, after := p.alerts(a.Expr, step, len(a.Annotations) > 0), p.alerts(m.Mutated.Expr, step, len(a.Annotations) > 0)
					if !slices.Equal(before, after) {
						t.Fatalf("seed %d\n%s\n%s\n%s, and at %dm: %v\n%v\n%v", *seed, a.Expr, m.Mutated.Expr, why, step, before, after, all)
					}
				}
			}
		}
	}
	t.Logf("seed %d: %d mutants, of which %v are equivalent", *seed, mutants, equivalent)
	if len(equivalent) < 2 {
		t.Error("the expressions are too simple to show anything")
	}
}

// alerts are the series of a result as an alert has them, with their values where it shows them.
func (p *property) alerts(text string, step int, values bool) []string {
	found, ok := p.query(text, step)
	if !ok {
		return []string{"an error"}
	}
	var all []string
	for _, sample := range found {
		one := labels.NewBuilder(sample.Metric).Del(model.MetricNameLabel).Labels().String()
		if values {
			one += " " + model.SampleValue(sample.F).String()
		}
		all = append(all, one)
	}
	slices.Sort(all)
	return all
}

func TestUsuallySame(t *testing.T) {
	for _, test := range []struct {
		one, other string
		same       bool
	}{
		{"sum by (job) (rate(x_total[5m])) > 0", "max by (job) (rate(x_total[5m])) > 0", true},
		{"sum by (job) (rate(x_total[5m])) > 0", "avg by (job) (increase(x_total[5m])) > 0", true},
		{"sum by (job) (rate(x_total[5m])) > 0", "min by (job) (rate(x_total[5m])) > 0", false},
		{"sum by (job) (rate(x_total[5m])) > 1", "max by (job) (rate(x_total[5m])) > 1", false},
		{`x > 1 or count(label_replace(y, "a", "b", "c", "d") == 1) == 0`, `x > 1 or count(label_replace(y, "a", "b", "c", "d") == 10) == 0`, true},
	} {
		for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
			if got := promql.Same(parse(t, test.one), parse(t, test.other), promql.Series, by); got != (test.same && by == promql.Usual) {
				t.Errorf("%s\n%s\nusual %v: same %v", test.one, test.other, by == promql.Usual, got)
			}
		}
	}
}
