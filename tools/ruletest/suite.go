package ruletest

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"golang.org/x/sync/errgroup"

	"github.com/stemedb/firedrill/tools/engine"
	"github.com/stemedb/firedrill/tools/evaluate"
)

// The limits within which promtool evaluates a query.
const (
	DefaultLookback   = engine.LookbackDelta
	DefaultMaxSamples = evaluate.DefaultMaxSamples
)

// maxEvaluations limits the evaluations of one test.
const maxEvaluations = 10_000_000

// Options say which tests are run and how. The zero value is what promtool does.
type Options struct {
	Run        *regexp.Regexp // run only the tests whose names match
	MaxSamples int            // that a query may load; 0 for DefaultMaxSamples
	Lookback   time.Duration  // how far back a selector looks for a sample; 0 for DefaultLookback
	Extended   bool           // accept match_labels and match_annotations
	Coverage   bool           // record in which states rules are asserted on
	Strict     bool           // look for weak tests; see Warning
	Features   []string       // as --enable-feature of promtool; others than PromQL's are passed over
}

// Suite is a set of test files, parsed once and run any number of times. It is safe for concurrent use.
type Suite struct {
	options   Options
	compiler  *evaluate.Compiler
	files     []*file
	ruleFiles map[string]*ruleFile // by path
	broken    map[string]error     // rule files that cannot be used, by path
}

// file is a test file.
type file struct {
	path    string
	err     error // the file is invalid
	rules   []string
	missing []string // patterns that match no rule file
	order   []string // group_eval_order
	fuzzy   bool
	tests   []*test
	empty   bool     // it has no test
	loaded  *ordered // its rule files, unchanged
	ruleErr error    // one of its rule files is invalid
}

// test is one test group of a test file.
type test struct {
	*testGroup
	file      *file
	index     int
	interval  time.Duration // from one evaluation to the next
	slots     int           // number of evaluations
	series    []*series
	data      *evaluate.Data         // of them
	hidden    int                    // input series that promtool skips
	err       error                  // it cannot be used
	exprTests []*evaluate.Expression // of its promql_expr_tests; nil for a PromQL error
	// ownIntervals is the interval of groups that set none, where each group is evaluated at its own; else 0.
	ownIntervals time.Duration

	baseline sync.Once
	passes   bool // with the rules unchanged
}

// Load reads test files and the rule files that they name. An invalid file is part of the results; the others run.
func Load(paths []string, options Options) *Suite {
	s := newSuite(options)
	s.files = make([]*file, len(paths))
	each(len(paths), func(i int) { s.files[i] = s.load(paths[i]) })

	var rulePaths []string
	for _, f := range s.files {
		for _, path := range f.rules {
			if !slices.Contains(rulePaths, path) {
				rulePaths = append(rulePaths, path)
			}
		}
	}
	parsed, errs := make([]*ruleFile, len(rulePaths)), make([]error, len(rulePaths))
	each(len(rulePaths), func(i int) { parsed[i], errs[i] = s.readRuleFile(rulePaths[i]) })
	for i, path := range rulePaths {
		s.ruleFiles[path], s.broken[path] = parsed[i], errs[i]
	}
	for _, f := range s.files {
		for _, path := range f.rules {
			if f.ruleErr == nil {
				f.ruleErr = s.broken[path]
			}
		}
		if f.ruleErr == nil {
			f.loaded = s.ordered(f, nil)
		}
	}
	return s
}

func newSuite(options Options) *Suite {
	options.Lookback = cmp.Or(options.Lookback, DefaultLookback)
	s := &Suite{options: options, ruleFiles: map[string]*ruleFile{}, broken: map[string]error{}}
	s.compiler = evaluate.New(evaluate.Options{MaxSamples: options.MaxSamples, Lookback: options.Lookback, Features: options.Features})
	return s
}

// each calls f for 0 to n-1, in parallel.
func each(n int, f func(int)) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		g.Go(func() error { f(i); return nil })
	}
	_ = g.Wait() // no f fails
}

// load reads one test file.
func (s *Suite) load(path string) *file {
	f := &file{path: path}
	content, err := readFile(path)
	if err != nil {
		f.err = err
		return f
	}
	format, err := parseTestFile(path, content, s.options.Extended)
	if err != nil {
		f.err = err
		return f
	}
	if f.rules, f.missing, f.err = format.resolveGlobs(path); f.err != nil {
		return f
	}
	f.empty = len(format.Tests) == 0
	f.order, f.fuzzy = format.GroupEvalOrder, format.FuzzyCompare
	for i := range format.Tests {
		group := &format.Tests[i]
		if s.options.Run == nil || s.options.Run.MatchString(group.Name) {
			f.tests = append(f.tests, s.prepare(f, group, i, time.Duration(format.EvaluationInterval)))
		}
	}
	return f
}

func (s *Suite) prepare(f *file, group *testGroup, index int, interval time.Duration) *test {
	t := &test{testGroup: group, file: f, index: index, interval: interval}
	evaluations := int64(group.length() / interval)
	if evaluations >= maxEvaluations {
		t.err = f.at(group.line, fmt.Errorf("%d evaluations are more than the %d that a test may have: shorten eval_time, or lengthen evaluation_interval",
			evaluations, maxEvaluations))
		return t
	}
	t.slots = int(evaluations) + 1
	last := group.start().Add(time.Duration(evaluations) * interval)
	var err error
	if t.series, t.hidden, err = readSeries(group, last); err != nil {
		t.err = f.at(group.line, err)
		return t
	}
	all := make([]promql.Series, len(t.series))
	for i, s := range t.series {
		all[i] = s.Series
	}
	t.data = evaluate.NewData(all)
	for _, a := range group.AlertTests {
		if a.Alertname == "" {
			t.err = f.at(a.line, fmt.Errorf("an alert_rule_test without alertname: name the alert that it is about"))
			return t
		}
	}
	for _, e := range group.ExprTests {
		expr, _ := s.compiler.Expression(e.Expr) // its error fails the test when it is evaluated
		t.exprTests = append(t.exprTests, expr)
	}
	return t
}

// at adds the file and line to an error.
func (f *file) at(line int, err error) error {
	if p, ok := err.(*lineError); ok {
		line, err = p.line, p.err
	}
	if line == 0 {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return fmt.Errorf("%s:%d: %w", f.path, line, err)
}

// Run runs the tests in parallel. The error is ctx's.
func (s *Suite) Run(ctx context.Context) (*Result, error) {
	result := &Result{Files: make([]FileResult, len(s.files))}
	var tests []*test
	var places []*TestResult
	for i, f := range s.files {
		result.Files[i] = FileResult{Path: f.path, Err: f.err, Tests: make([]TestResult, len(f.tests))}
		for j, t := range f.tests {
			tests, places = append(tests, t), append(places, &result.Files[i].Tests[j])
		}
	}
	covered := make([]*coverage, len(tests)) // nil each, unless asked for
	each(len(tests), func(i int) {
		if ctx.Err() != nil {
			return
		}
		if s.options.Coverage {
			covered[i] = &coverage{rules: map[*evaluate.Rule]RuleCoverage{}}
		}
		*places[i] = s.runTest(ctx, tests[i], tests[i].file.loaded, covered[i])
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.options.Coverage {
		result.Coverage = s.coverage(covered)
	}
	for i, f := range s.files {
		result.Files[i].Warnings = s.warnings(ctx, f, result.Files[i].Tests)
	}
	return result, ctx.Err()
}

// RuleFiles returns the paths of the valid rule files that the tests use.
func (s *Suite) RuleFiles() []string {
	var paths []string
	for path := range s.ruleFiles {
		if s.broken[path] == nil {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// RunWith runs the tests as if the rule file at a path (one of RuleFiles) held these groups. It runs only tests whose
// result the changed rules can affect, in sequence, and stops at the first failure. It is safe for concurrent use. The
// error is ctx's or a PromQL error.
func (s *Suite) RunWith(ctx context.Context, path string, groups *rulefmt.RuleGroups) (*Result, error) {
	original := s.ruleFiles[path]
	if original == nil {
		return nil, fmt.Errorf("%s: not a rule file of these tests", path)
	}
	changed, err := s.compileFile(path, groups)
	if err != nil {
		return nil, err
	}
	different := differences(original, changed)
	result := &Result{}
	for _, f := range s.files {
		if f.err != nil || f.ruleErr != nil || !slices.Contains(f.rules, path) {
			continue
		}
		loaded := s.ordered(f, changed)
		fr := FileResult{Path: f.path}
		for _, t := range f.tests {
			if t.err != nil || !t.affects(different, f.loaded, loaded) {
				continue
			}
			tr := s.runPart(ctx, t, different, loaded)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if fr.Tests = append(fr.Tests, tr); tr.Failed() {
				result.Files = append(result.Files, fr)
				return result, nil
			}
		}
		if len(fr.Tests) > 0 {
			result.Files = append(result.Files, fr)
		}
	}
	return result, nil
}

// runPart runs a test for a change of rules. If the test passes with the rules unchanged, only what the change affects
// is evaluated.
func (s *Suite) runPart(ctx context.Context, t *test, different []*evaluate.Rule, loaded *ordered) TestResult {
	t.baseline.Do(func() { t.passes = !s.runTest(ctx, t, t.file.loaded, nil).Failed() })
	if t.passes {
		began := time.Now()
		if part, needed := t.within(different, loaded.rules); part != nil {
			if result, err := needed.RunByRule(ctx, part.input(needed)); err == nil {
				reduced := &run{part, needed, result}
				return TestResult{Name: t.Name, Index: t.index, Line: t.line, Failures: reduced.assertions(ctx), Took: time.Since(began)}
			}
		}
	}
	return s.runTest(ctx, t, loaded, nil)
}

// runTest runs one test with rules in their order.
func (s *Suite) runTest(ctx context.Context, t *test, loaded *ordered, seen *coverage) TestResult {
	began := time.Now()
	tr := TestResult{Name: t.Name, Index: t.index, Line: t.line}
	switch {
	case t.err != nil:
		tr.Err = t.err
	case t.file.ruleErr != nil:
		tr.Err = t.file.ruleErr
	default:
		tr.Failures = (&run{test: t, rules: loaded.rules}).judge(ctx, seen)
	}
	tr.Took = time.Since(began)
	return tr
}
