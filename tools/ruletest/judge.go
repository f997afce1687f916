package ruletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// run is one run of a test.
type run struct {
	*test
	rules  *evaluate.Rules
	result *evaluate.Run
}

// judge evaluates the rules and compares the results with what the test expects.
func (r *run) judge(ctx context.Context, seen *coverage) []Failure {
	if err := r.evaluate(ctx); err != nil {
		all := []error{err}
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = joined.Unwrap()
		}
		var failures []Failure
		for _, err := range all {
			failures = append(failures, Failure{File: r.file.path, Line: r.line, Message: err.Error()})
		}
		return failures
	}
	defer r.result.Close()
	seen.observe(r)
	return r.assertions(ctx)
}

// evaluate evaluates the rules over the whole test. Of errors, the evaluation by time says what promtool does.
func (r *run) evaluate(ctx context.Context) (err error) {
	in := r.input(r.rules)
	if r.result, err = r.rules.RunByRule(ctx, in); err != nil && ctx.Err() == nil {
		r.result, err = r.rules.RunByTime(ctx, in)
	}
	return err
}

// input is what rules are evaluated over.
func (t *test) input(rules *evaluate.Rules) evaluate.Input {
	in := evaluate.Input{
		Data: t.data, Start: t.start(), Length: time.Duration(t.slots-1) * t.interval, Interval: t.interval, OneInterval: true,
		ExternalLabels: t.ExternalLabels, ExternalURL: t.ExternalURL,
	}
	if t.ownIntervals > 0 {
		in.Interval, in.OneInterval = t.ownIntervals, false
	}
	for _, r := range rules.All() {
		if r.Alerting && slices.ContainsFunc(t.AlertTests, func(a alertTest) bool { return a.Alertname == r.Name }) {
			in.Watch = append(in.Watch, r)
		}
	}
	in.WriteAlerts = t.reads("ALERTS") || t.reads("ALERTS_FOR_STATE")
	return in
}

// reads reports whether an expression of the test may select a metric.
func (t *test) reads(metric string) bool {
	return slices.ContainsFunc(t.exprTests, func(e *evaluate.Expression) bool { return e != nil && e.Selects(metric) })
}

// at returns the time of an evaluation.
func (t *test) at(slot int) time.Time { return t.start().Add(time.Duration(slot) * t.interval) }

// slotOf returns the evaluation that an alert test looks at: the last one at or before its time.
func (t *test) slotOf(a alertTest) int { return int(time.Duration(a.EvalTime) / t.interval) }

// assertions compares the results of the evaluation with what the test expects.
func (r *run) assertions(ctx context.Context) (failures []Failure) {
	for _, a := range r.AlertTests {
		if message := r.judgeAlerts(ctx, a); message != "" {
			failures = append(failures, Failure{File: r.file.path, Line: a.line, Message: message})
		}
	}
	for _, e := range r.ExprTests {
		if message := r.judgeExpr(ctx, e); message != "" {
			failures = append(failures, Failure{File: r.file.path, Line: e.line, Message: message})
		}
	}
	return failures
}

// judgeAlerts says what is wrong with the alerts that fire, if anything is.
func (r *run) judgeAlerts(ctx context.Context, a alertTest) string {
	var got []evaluate.Alert
	for _, rule := range r.result.Watch {
		if rule.Name != a.Alertname {
			continue
		}
		firing, err := r.result.Firing(ctx, rule, r.at(r.slotOf(a)))
		if err != nil {
			return fmt.Sprintf("%s at %s: %v", a.Alertname, a.EvalTime, err)
		}
		got = append(got, firing...)
	}
	if paired(a.Expected, got, func(e expectedAlert, g evaluate.Alert) bool { return e.matches(a.Alertname, g) }) {
		return ""
	}
	return diffAlerts(a, got)
}

// exprResult is a sample of an expression's value, as it is compared.
type exprResult struct {
	labels    labels.Labels
	value     float64
	histogram string // in the notation of test files
}

func (e exprResult) String() string {
	if e.histogram != "" {
		return e.labels.String() + " " + e.histogram
	}
	return fmt.Sprintf("%s %v", e.labels, e.value)
}

// judgeExpr says what is wrong with the value of an expression, if anything is.
func (r *run) judgeExpr(ctx context.Context, e exprTest) string {
	wrong := func(err error) string { return fmt.Sprintf("expr %q at %s: %v", e.Expr, e.EvalTime, err) }
	got, err := r.result.Values(ctx, e.Expr, r.start().Add(time.Duration(e.EvalTime)))
	if err != nil {
		return wrong(err)
	}
	var results []exprResult
	for _, s := range got {
		results = append(results, exprResult{s.Metric, s.F, promqltest.HistogramTestExpression(s.H)})
	}
	var expected []exprResult
	for _, s := range e.Expected {
		one, err := s.parse()
		if err != nil {
			return wrong(fmt.Errorf("exp_samples %q: %w", s.Labels, err))
		}
		expected = append(expected, one)
	}
	same := func(a, b exprResult) bool {
		return labels.Equal(a.labels, b.labels) && a.histogram == b.histogram && (a.value == b.value || r.file.fuzzy && adjacent(a.value, b.value))
	}
	if paired(expected, results, same) {
		return ""
	}
	byLabels := func(a, b exprResult) int {
		return cmp.Or(labels.Compare(a.labels, b.labels), cmp.Compare(a.value, b.value))
	}
	slices.SortFunc(expected, byLabels)
	slices.SortFunc(results, byLabels)
	return fmt.Sprintf("expr %q at %s:", e.Expr, e.EvalTime) + diffSamples(expected, results)
}

// adjacent reports whether two numbers are equal or have no other number between them.
func adjacent(a, b float64) bool {
	return math.Nextafter(a, math.Inf(-1)) == b || math.Nextafter(a, math.Inf(1)) == b
}

func (s expectedSample) parse() (exprResult, error) {
	ls, err := promqlParser.ParseMetric(s.Labels)
	if err != nil {
		return exprResult{}, err
	}
	var h *histogram.FloatHistogram
	if s.Histogram != "" {
		_, values, err := promqlParser.ParseSeriesDesc(shortened("{} "+s.Histogram, 2))
		switch {
		case err != nil:
			return exprResult{}, err
		case len(values) != 1:
			return exprResult{}, fmt.Errorf("histogram: %d values where one is expected", len(values))
		case values[0].Histogram == nil:
			return exprResult{}, errors.New("histogram: a number where a native histogram is expected")
		}
		h = values[0].Histogram
	}
	return exprResult{ls, s.Value, promqltest.HistogramTestExpression(h)}, nil
}

// paired reports whether the expected items and the actual ones can be matched one to one.
func paired[E, G any](expected []E, got []G, matches func(E, G) bool) bool {
	if len(expected) != len(got) {
		return false
	}
	takenBy := make([]int, len(got))
	for i := range takenBy {
		takenBy[i] = -1
	}
	// Each expected item in turn takes an actual one, if necessary from another that finds a second choice.
	var take func(e int, tried []bool) bool
	take = func(e int, tried []bool) bool {
		for g := range got {
			if tried[g] || !matches(expected[e], got[g]) {
				continue
			}
			tried[g] = true
			if takenBy[g] < 0 || take(takenBy[g], tried) {
				takenBy[g] = e
				return true
			}
		}
		return false
	}
	for e := range expected {
		if !take(e, make([]bool, len(got))) {
			return false
		}
	}
	return true
}
