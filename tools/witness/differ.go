package witness

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/stemedb/firedrill/tools/evaluate"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Difference is the first evaluation at which two rules differ.
type Difference struct {
	At   time.Duration // since the start of the scenario
	A, B []Firing      // what fires by either rule; empty for nothing
}

// Original is an alert with which others are compared. It keeps what it did with each input. It is safe for concurrent use.
type Original struct {
	alert    rule.Alert
	interval time.Duration
	compiler *evaluate.Compiler
	compiled pairOfRules
	mutex    sync.Mutex
	seen     map[string]func() (*observed, error) // by the input
}

// pairOfRules is an alerting rule as it is, and without labels and annotations, whose templates take most of the time.
type pairOfRules struct{ full, bare *evaluate.Rules }

// observed is an input and the alert without labels and annotations over it.
type observed struct {
	data  *evaluate.Data
	start time.Time
	until time.Duration
	run   *evaluate.Run
}

// NewOriginal returns an alert that is evaluated every interval. An error is that of a rule which Prometheus would not load.
func NewOriginal(a rule.Alert, interval time.Duration) (*Original, error) {
	o := &Original{alert: a, interval: interval, compiler: evaluate.New(evaluate.Options{Features: static.Features}), seen: map[string]func() (*observed, error){}}
	var err error
	o.compiled, err = o.compile(a)
	return o, err
}

func (o *Original) compile(a rule.Alert) (p pairOfRules, err error) {
	if p.full, err = o.rules(a); err != nil {
		return p, err
	}
	a.Labels, a.Annotations = nil, nil
	p.bare, err = o.rules(a)
	return p, err
}

func (o *Original) rules(a rule.Alert) (*evaluate.Rules, error) {
	groups, err := o.compiler.Groups(a.File, []rulefmt.RuleGroup{groupOf(a, o.interval)})
	if err != nil {
		return nil, err
	}
	return o.compiler.Rules(groups), nil
}

// groupOf is a group of one alert.
func groupOf(a rule.Alert, interval time.Duration) rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: a.Group, Interval: model.Duration(interval), Rules: []rulefmt.Rule{{
		Alert: a.Name, Expr: a.Expr, For: model.Duration(a.For), KeepFiringFor: model.Duration(a.KeepFiringFor), Labels: a.Labels, Annotations: a.Annotations,
	}}}
}

// Comparison evaluates two rules over the same inputs.
type Comparison struct {
	*Original
	other pairOfRules
	// texts says that labels and annotations can differ where the labels of the expression's result do not.
	texts bool
}

// Compare prepares the comparison with another alert. An error is that of a rule which Prometheus would not load.
func (o *Original) Compare(b rule.Alert) (*Comparison, error) {
	other, err := o.compile(b)
	if err != nil {
		return nil, err
	}
	c := &Comparison{Original: o, other: other, texts: !maps.Equal(o.alert.Labels, b.Labels) || !maps.Equal(o.alert.Annotations, b.Annotations)}
	c.texts = c.texts || ShowsValue(b)
	return c, nil
}

// ShowsValue reports whether labels or annotations can show more of a result than its labels.
func ShowsValue(a rule.Alert) bool {
	for _, texts := range []map[string]string{a.Labels, a.Annotations} {
		for _, text := range texts {
			if beyondLabels.MatchString(text) {
				return true
			}
		}
	}
	return false
}

// beyondLabels matches templates that use more than the labels of a result: its value, a query, or the whole data.
var beyondLabels = regexp.MustCompile(`[vV]alue|query|\{\{[^}]*[\s(]\.[\s)}]|\{\{-?\.`)

// observe evaluates the original over a scenario, once.
func (o *Original) observe(ctx context.Context, s Scenario) (*observed, error) {
	seen := &observed{start: s.Start, until: lookback}
	if seen.start.IsZero() {
		seen.start = time.Unix(0, 0).UTC()
	}
	for _, check := range s.Checks {
		seen.until = max(seen.until, check.At)
	}
	key := fmt.Sprint(seen.start.Unix(), seen.until, s.Interval, s.Series)
	o.mutex.Lock()
	once, ok := o.seen[key]
	if !ok {
		once = sync.OnceValues(func() (*observed, error) {
			series, err := parsed(s.Series, seen.start, s.Interval)
			if err != nil {
				return nil, err
			}
			seen.data = evaluate.NewData(series)
			seen.run, err = o.run(ctx, o.compiled.bare, seen)
			if err != nil {
				return nil, err
			}
			seen.run.Close()
			return seen, nil
		})
		o.seen[key] = once
	}
	o.mutex.Unlock()
	return once()
}

func (o *Original) run(ctx context.Context, rules *evaluate.Rules, in *observed) (*evaluate.Run, error) {
	return rules.Run(ctx, evaluate.Input{Data: in.data, Start: in.start, Interval: o.interval, Length: in.until, Watch: rules.All()})
}

// Differ evaluates the rules over a scenario, and returns the first evaluation at which the firing alerts differ, or nil.
// An error comes from ctx or a query.
func (c *Comparison) Differ(ctx context.Context, s Scenario) (*Difference, error) {
	seen, err := c.observe(ctx, s)
	if err != nil {
		return nil, err
	}
	bare, err := c.run(ctx, c.other.bare, seen)
	if err != nil {
		return nil, err
	}
	bare.Close()
	one, other := c.compiled.bare.All()[0], c.other.bare.All()[0]
	same, fires := true, false
	for at, state := range seen.run.Evaluations(one) {
		same = same && slices.EqualFunc(state.Firing, bare.At(other, at).Firing, labels.Equal)
		fires = fires || len(state.Firing) > 0
	}
	if same && (!c.texts || !fires) {
		return nil, nil
	}
	return c.differ(ctx, seen)
}

// differ compares the rules with their labels and annotations.
func (c *Comparison) differ(ctx context.Context, in *observed) (*Difference, error) {
	var runs [2]*evaluate.Run
	var alert [2]*evaluate.Rule
	for i, rules := range []*evaluate.Rules{c.compiled.full, c.other.full} {
		run, err := c.run(ctx, rules, in)
		if err != nil {
			return nil, err
		}
		defer run.Close()
		runs[i], alert[i] = run, rules.All()[0]
	}
	compared := false
	for at, one := range runs[0].Evaluations(alert[0]) {
		other := runs[1].At(alert[1], at)
		same := slices.EqualFunc(one.Firing, other.Firing, labels.Equal)
		if same && (compared || len(one.Firing) == 0) {
			continue
		}
		compared = true // annotations are compared once: expanding them takes most of the time
		d := Difference{At: at.Sub(in.start)}
		var err error
		if d.A, err = whatFires(ctx, runs[0], alert[0], at); err != nil {
			return nil, err
		}
		if d.B, err = whatFires(ctx, runs[1], alert[1], at); err != nil {
			return nil, err
		}
		if !same || !slices.EqualFunc(d.A, d.B, func(x, y Firing) bool {
			return labels.Equal(x.Labels, y.Labels) && labels.Equal(x.Annotations, y.Annotations)
		}) {
			return &d, nil
		}
	}
	return nil, nil
}

// whatFires are the alerts that fire at a time, with alertname.
func whatFires(ctx context.Context, run *evaluate.Run, alert *evaluate.Rule, at time.Time) ([]Firing, error) {
	found, err := run.Firing(ctx, alert, at)
	var all []Firing
	for _, a := range found {
		all = append(all, Firing(a))
	}
	return all, err
}
