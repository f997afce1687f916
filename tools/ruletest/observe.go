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

	"github.com/stemedb/firedrill/tools/evaluate"
	static "github.com/stemedb/firedrill/tools/promql"
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
	f := &file{}
	for _, one := range files {
		f.path = cmp.Or(f.path, one.Path)
		groups, errs := rulefmt.Parse(one.Content, false, model.UTF8Validation, static.ParserWith(options.Features), quiet)
		if len(errs) > 0 {
			return nil, fmt.Errorf("%s: %w", one.Path, errors.Join(errs...))
		}
		compiled, err := s.compileFile(one.Path, groups)
		if err != nil {
			return nil, err
		}
		f.rules, s.ruleFiles[one.Path] = append(f.rules, one.Path), compiled
	}
	f.loaded = s.ordered(f, nil)
	f.order = f.loaded.names()
	f.loaded = s.ordered(f, nil)
	return &Rules{s, f, interval}, nil
}

// Order is what group_eval_order has to name, so that promtool evaluates groups after those that they read; nothing where
// no group reads another.
func (r *Rules) Order() []string { return r.file.order }

// Live is how many rules can have a value where there are series of these metrics.
func (r *Rules) Live(metrics map[string]bool) int {
	return len(r.file.loaded.rules.Live(metrics).All())
}

// names are the groups that read others, in order, behind one that is read: groups without a name have the rank of the
// first that has one.
func (o *ordered) names() []string {
	var names, read []string
	for _, r := range o.rules.All() {
		name := r.Group.Name
		isIn := func(i int) bool {
			return slices.ContainsFunc(o.open, func(pair [2]*evaluate.Group) bool { return pair[i] == r.Group })
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
	Start    time.Time     // of the test; the zero value is Unix time 0
	Series   []Series
}

// ErrOrder says that the result depends on which of two groups is evaluated first, which promtool leaves to chance.
var ErrOrder = errors.New("what fires depends on the order of two groups of the same name, of which one reads the other")

// Observe returns which alerts of a name fire at each of these times since the start of the test. The error comes from ctx
// or from a rule, or is ErrOrder.
func (r *Rules) Observe(ctx context.Context, in Input, alert string, at []time.Duration) ([][]evaluate.Alert, error) {
	return r.observe(ctx, in, alert, at, false)
}

// ObserveLabels is Observe without annotations, for many times.
func (r *Rules) ObserveLabels(ctx context.Context, in Input, alert string, at []time.Duration) ([][]evaluate.Alert, error) {
	return r.observe(ctx, in, alert, at, true)
}

func (r *Rules) observe(ctx context.Context, in Input, alert string, at []time.Duration, labelsOnly bool) ([][]evaluate.Alert, error) {
	group := &testGroup{Interval: model.Duration(in.Interval)}
	group.Start.Time = in.Start
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
	if err == nil && !slices.EqualFunc(seen, reversed, func(a, b []evaluate.Alert) bool { return slices.EqualFunc(a, b, equal) }) {
		err = ErrOrder
	}
	return seen, err
}

func equal(a, b evaluate.Alert) bool {
	return labels.Equal(a.Labels, b.Labels) && labels.Equal(a.Annotations, b.Annotations)
}

func (r *Rules) run(ctx context.Context, t *test, rules *evaluate.Rules, labelsOnly bool) ([][]evaluate.Alert, error) {
	one := &run{test: t, rules: rules}
	if err := one.evaluate(ctx); err != nil {
		return nil, err
	}
	defer one.result.Close()
	var seen [][]evaluate.Alert
	for _, a := range t.AlertTests {
		at := t.at(t.slotOf(a))
		var all []evaluate.Alert
		for _, rule := range one.result.Watch {
			if labelsOnly {
				for _, l := range one.result.At(rule, at).Firing {
					all = append(all, evaluate.Alert{Labels: l})
				}
				continue
			}
			firing, err := one.result.Firing(ctx, rule, at)
			if err != nil {
				return nil, err
			}
			all = append(all, firing...)
		}
		slices.SortFunc(all, func(a, b evaluate.Alert) int {
			return cmp.Or(labels.Compare(a.Labels, b.Labels), labels.Compare(a.Annotations, b.Annotations))
		})
		seen = append(seen, all)
	}
	return seen, ctx.Err()
}
