package ruletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
)

// RuleFile is a rule file as Prometheus reads it.
type RuleFile struct {
	Path    string // for messages
	Content []byte
}

// Rules are rule files and how a test of them is run: what a test file says before its tests. It is safe for concurrent
// use.
type Rules struct {
	suite    *Suite
	file     *file
	interval time.Duration
}

// NewRules reads the rule files of a test that evaluates them every interval.
func NewRules(files []RuleFile, interval time.Duration, options Options) (*Rules, error) {
	s := newSuite(options)
	f := &file{engine: s.engine(interval)}
	for _, one := range files {
		f.path = cmp.Or(f.path, one.Path)
		groups, errs := rulefmt.Parse(one.Content, false, model.UTF8Validation, s.compiler.parser, quiet)
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", one.Path, errors.Join(errs...))
		}
		compiled, err := s.compiler.compileFile(one.Path, groups)
		if err != nil {
			return nil, err
		}
		f.rules, s.ruleFiles[one.Path] = append(f.rules, one.Path), compiled
	}
	f.loaded = f.ordered(s.ruleFiles, nil)
	f.order = f.loaded.names()
	f.loaded = f.ordered(s.ruleFiles, nil)
	return &Rules{s, f, interval}, nil
}

// Order is what group_eval_order has to name, so that promtool evaluates groups after those that they read; nothing where
// no group reads another.
func (r *Rules) Order() []string { return r.file.order }

// names are the groups that read others, in order, behind one that is read: groups without a name have the rank of the
// first that has one.
func (o *ordered) names() []string {
	var names, read []string
	for _, r := range o.rules {
		name := r.group.name
		isIn := func(i int) bool {
			return slices.ContainsFunc(o.open, func(pair [2]*ruleGroup) bool { return pair[i] == r.group })
		}
		switch {
		case isIn(1) && !slices.Contains(names, name):
			names = append(names, name)
		case isIn(0) && !isIn(1):
			read = append(read, name)
		}
	}
	if len(read) > 0 && !slices.Contains(names, read[0]) {
		names = slices.Insert(names, 0, read[0])
	}
	return names
}

// Series is an input series in the notation of test files.
type Series struct{ Series, Values string }

// Input is the input of a test.
type Input struct {
	Interval time.Duration // between samples
	Series   []Series
}

// ErrOrder says that the result depends on which of two groups is evaluated first, which promtool leaves to chance.
var ErrOrder = errors.New("what fires depends on the order of two groups of the same name, of which one reads the other")

// Observe returns which alerts of a name fire at each of these times since the start of the test. The error comes from ctx
// or from a rule, or is ErrOrder.
func (r *Rules) Observe(ctx context.Context, in Input, alert string, at []time.Duration) ([][]FiringAlert, error) {
	return r.observe(ctx, in, alert, at, false)
}

// ObserveLabels is Observe without annotations, for many times.
func (r *Rules) ObserveLabels(ctx context.Context, in Input, alert string, at []time.Duration) ([][]FiringAlert, error) {
	return r.observe(ctx, in, alert, at, true)
}

func (r *Rules) observe(ctx context.Context, in Input, alert string, at []time.Duration, labelsOnly bool) ([][]FiringAlert, error) {
	group := &testGroup{Interval: model.Duration(in.Interval)}
	for _, s := range in.Series {
		group.InputSeries = append(group.InputSeries, seriesText{Series: s.Series, Values: s.Values})
	}
	for _, t := range at {
		group.AlertTests = append(group.AlertTests, alertTest{EvalTime: model.Duration(t), Alertname: alert})
	}
	t := r.suite.prepare(r.file, group, 0, r.interval)
	if t.err != nil {
		return nil, t.err
	}
	seen, err := r.run(ctx, t, r.file.loaded.rules, labelsOnly)
	if err != nil || len(t.openPairs()) == 0 {
		return seen, err
	}
	reversed, err := r.run(ctx, t, r.file.loaded.opposite, labelsOnly)
	if err == nil && !slices.EqualFunc(seen, reversed, func(a, b []FiringAlert) bool { return slices.EqualFunc(a, b, FiringAlert.equal) }) {
		err = ErrOrder
	}
	return seen, err
}

func (a FiringAlert) equal(b FiringAlert) bool {
	return labels.Equal(a.Labels, b.Labels) && labels.Equal(a.Annotations, b.Annotations)
}

func (r *Rules) run(ctx context.Context, t *test, rules []*rule, labelsOnly bool) ([][]FiringAlert, error) {
	one := &run{test: t, engine: r.file.engine, labelsOnly: labelsOnly}
	one.rules, one.alertsSelected = t.live(rules)
	defer one.close()
	if errs := one.evaluate(ctx); len(errs) > 0 {
		return nil, errs[0]
	}
	var seen [][]FiringAlert
	for _, a := range t.AlertTests {
		firing := slices.Clone(one.got[t.slotOf(a)][a.Alertname])
		slices.SortFunc(firing, func(a, b FiringAlert) int {
			return cmp.Or(labels.Compare(a.Labels, b.Labels), labels.Compare(a.Annotations, b.Annotations))
		})
		seen = append(seen, firing)
	}
	return seen, ctx.Err()
}
