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
)

// judge evaluates the rules and compares the results with what the test expects.
func (r *run) judge(ctx context.Context) []Failure {
	defer r.close()
	var failures []Failure
	if errs := r.evaluate(ctx); len(errs) > 0 {
		for _, err := range errs {
			failures = append(failures, Failure{File: r.file.path, Line: r.line, Message: err.Error()})
		}
		return failures
	}
	return r.assertions(ctx)
}

// assertions compares the results of the evaluation with what the test expects.
func (r *run) assertions(ctx context.Context) (failures []Failure) {
	for _, a := range r.AlertTests {
		if message := r.judgeAlerts(a); message != "" {
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
func (r *run) judgeAlerts(a alertTest) string {
	got := slices.Clone(r.got[r.slotOf(a)][a.Alertname])
	if paired(a.Expected, got, func(e expectedAlert, g FiringAlert) bool { return e.matches(a.Alertname, g) }) {
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
	got, err := r.query(ctx, e.Expr, r.start().Add(time.Duration(e.EvalTime)))
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
