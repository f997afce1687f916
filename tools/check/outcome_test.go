package check

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/prometheus/model/labels"
	promengine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// outcomes are expressions over a and b, which have any labels, with what their results have.
var outcomes = map[string]string{
	"a":                                      "any label",
	"a > 1":                                  "any label",
	`a{x=""}`:                                "lost the label x",
	"rate(a[5m]) * 2":                        "any label",
	"sum(a)":                                 "no labels",
	"sum by (x, y) (a)":                      "no labels but x, y",
	"sum without (x) (a)":                    "lost the label x",
	"sum by (x) (sum by (y) (a))":            "no labels",
	"sum by (x) (sum without (x) (a))":       "no labels",
	"topk(1, sum by (x) (a))":                "no label but x",
	"topk by (x) (1, a)":                     "any label",
	`count_values by (x) ("v", a)`:           "no labels but v, x",
	"quantile(0.5, a)":                       "no labels",
	"a + on (x) b":                           "no label but x",
	"a > on (x) b":                           "no label but x",
	"a > ignoring (x) b":                     "lost the label x",
	"sum by (x, y) (a) / sum by (x) (b)":     "no label but x",
	"a * on (x) group_left (y) sum(b) by(x)": "lost the label y",
	"sum by (x, z) (a) * on (x) group_left (y) max by (x, y) (b)":    "no labels but x, y, z",
	"max by (x, y) (b) * on (x) group_right (y) sum by (x, z) (a)":   "no labels but x, y, z",
	"sum by (x, z) (a) * on (x, z) group_left (y) max by (x, y) (b)": "no labels but x, y",
	"sum by (x, z) (a) * ignoring (z) group_left max by (x) (b)":     "no labels but x, z",
	"a and sum(b)":                                       "any label",
	"sum by (x) (a) unless on (x) b":                     "no label but x",
	"sum by (x) (a) or sum by (y) (b)":                   "no labels but x, y",
	"(sum by (x) (a) or vector(0)) > -1":                 "no label but x",
	"sum by (x) (a) or a":                                "any label",
	`absent(a{x="1", y=~"2"})`:                           "no label but x",
	`absent(nothing{x="1", y=~"2", z="1", z!="2"})`:      "no label but x",
	`absent(nothing{x="1"} > 1)`:                         "no labels",
	`absent((nothing{x="1"}))`:                           "no label but x",
	`absent_over_time(nothing{x="1"}[5m])`:               "no label but x",
	"vector(1)":                                          "no labels",
	"time() > 1":                                         "",
	"hour() > -1":                                        "no labels",
	"hour(a)":                                            "any label",
	"scalar(a) + vector(1)":                              "no labels",
	"1 + sum by (x) (a)":                                 "no label but x",
	`label_replace(sum(a), "n", "$1", "x", ".*")`:        "no label but n",
	`label_replace(vector(1), "n", "v", "", "")`:         "no label but n",
	`label_join(sum by (x) (a), "n", "-", "x", "y")`:     "no labels but n, x",
	"histogram_quantile(0.9, rate(h_bucket[5m]))":        "lost the label le",
	"histogram_quantile(0.9, sum by (le, x) (h_bucket))": "no label but x",
	"max_over_time(sum by (x) (a)[5m:1m])":               "no label but x",
	"-sum by (x) (a)":                                    "no label but x",
	"(((sum by (x) (a))))":                               "no label but x",
	"sum by (x) (a) == bool 2":                           "no label but x",
	"a * on () group_left (x) max(b)":                    "lost the label x",
	"group without (x, y) (a) > on (z) group_left a":     "lost the labels x, y",
	"sort_desc(sum by (x) (a))":                          "no label but x",
	"clamp_max(sum by (x) (a), 3)":                       "no label but x",
	"round(sum by (x) (a), 0.1) offset 1s":               "",
	"job:a:sum":                                          "no labels but job, team",
	"cycle:a":                                            "any label",
	"recorded_plainly":                                   "any label",
}

func someSeries(t testing.TB) *series {
	t.Helper()
	s := &series{recordings: map[string][]recorded{}, derived: map[string]outcome{}}
	for _, r := range []rule.Recording{
		{Name: "job:a:sum", Expr: "sum by (job, x) (a)", Labels: map[string]string{"team": "t", "x": ""}},
		{Name: "cycle:a", Expr: "sum by (x) (a) or cycle:b"},
		{Name: "cycle:b", Expr: "max_over_time(cycle:a[5m])"},
		{Name: "recorded_plainly", Expr: "sum(a)"}, // an exporter may have a metric of that name
	} {
		expr, err := promql.ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		s.recordings[r.Name] = append(s.recordings[r.Name], recorded{r, expr})
	}
	return s
}

func TestOutcome(t *testing.T) {
	for source, want := range outcomes {
		expr, err := promql.ParseExpr(source)
		if err != nil || want == "" {
			continue // for the comparison with the engine alone
		}
		NewWithT(t).Expect(someSeries(t).of(expr).String()).To(Equal(want), source)
	}
}

// engine evaluates expressions over series that have every label there is.
type engine struct {
	*promengine.Engine
	db *tsdb.DB
}

func newEngine(t testing.TB) engine {
	t.Helper()
	opts := tsdb.DefaultOptions()
	opts.RetentionDuration = 0
	db, err := tsdb.Open(t.TempDir(), nil, nil, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	app := db.Appender(t.Context())
	for _, name := range []string{"a", "b", "h_bucket", "job:a:sum", "cycle:a", "cycle:b"} {
		for i, value := range []string{"1", "2"} {
			set := map[string]string{"__name__": name, "x": value, "y": "1", "z": "1", "job": "j"}
			switch name {
			case "h_bucket":
				set["le"] = []string{"1", "+Inf"}[i]
			case "job:a:sum":
				set = map[string]string{"__name__": name, "job": value, "team": "t"}
			}
			for ts := range int64(10) {
				if _, err := app.Append(0, labels.FromMap(set), ts*30_000, float64(ts)*float64(i+1)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	return engine{promengine.NewEngine(promengine.EngineOpts{MaxSamples: 100_000, Timeout: time.Second, Parser: promql.Parser, EnableAtModifier: true, EnableNegativeOffset: true}), db}
}

// sound demands that no series of the result has a label that the outcome denies.
func (e engine) sound(t *testing.T, s *series, source string) (results int) {
	t.Helper()
	expr, err := promql.ParseExpr(source)
	if err != nil || expr.Type() != parser.ValueTypeVector {
		return 0
	}
	derived := s.of(expr)
	q, err := e.NewInstantQuery(t.Context(), e.db, nil, source, time.Unix(270, 0))
	if err != nil {
		return 0
	}
	defer q.Close()
	vector, err := q.Exec(t.Context()).Vector()
	if err != nil {
		return 0
	}
	for _, sample := range vector {
		sample.Metric.Range(func(l labels.Label) {
			if l.Name != "__name__" && !derived.may(l.Name) {
				t.Errorf("%s gives %s, but was said to have %s", source, sample.Metric, derived)
			}
		})
	}
	return len(vector)
}

func TestOutcomeIsWhatPrometheusMakesOfIt(t *testing.T) {
	e := newEngine(t)
	some := 0
	for source := range outcomes {
		if e.sound(t, someSeries(t), source) > 0 {
			some++
		}
	}
	NewWithT(t).Expect(some).To(BeNumerically(">", 40), "expressions with a result")
}

func FuzzOutcome(f *testing.F) {
	for source := range outcomes {
		f.Add(source)
	}
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, source string) {
		e.sound(t, someSeries(t), source)
		if expr, err := promql.ParseExpr(source); err == nil {
			s := someSeries(t)
			s.alternatives(expr)
			if c := newParsedAlert(rule.Alert{Expr: source}, expr); !c.alwaysBeside(c) {
				t.Errorf("%s does not imply itself", source)
			}
			values(expr)
			varies(expr)
		}
	})
}
