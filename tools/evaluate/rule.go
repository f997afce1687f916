package evaluate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"github.com/stemedb/firedrill/tools/engine"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// The limits within which promtool evaluates a query.
const (
	DefaultMaxSamples = 10_000
	queryTimeout      = 100 * time.Second
)

var quiet = slog.New(slog.DiscardHandler)

// Options say how expressions are parsed and evaluated. The zero value is what promtool does.
type Options struct {
	MaxSamples int           // that a query may load; 0 for DefaultMaxSamples
	Lookback   time.Duration // how far back a selector looks for a sample; 0 for that of a server with default flags
	Features   []string      // as --enable-feature of promtool; others than PromQL's are passed over
}

// Group is a rule group, compiled.
type Group struct {
	File, Name string
	Interval   time.Duration // 0 if it sets none
	Offset     time.Duration // query_offset
	Limit      int
	Rules      []*Rule
}

// Rule is a rule and what is known of it before it runs.
type Rule struct {
	Group       *Group
	Alerting    bool
	Name        string
	Expr        *Expression
	For         time.Duration
	KeepFiring  time.Duration
	Labels      labels.Labels
	Annotations labels.Labels
	// Queries is set if a template queries: the result depends on what other rules have written so far.
	Queries bool
	// source is the expression as it is in the file.
	source string
	// staticLabels is set if no label has a template, so that they are the same for every alert.
	staticLabels bool
}

// String says which rule it is.
func (r *Rule) String() string {
	kind := "record"
	if r.Alerting {
		kind = "alert"
	}
	return fmt.Sprintf("%s: %s (group %q, %s)", kind, r.Name, r.Group.Name, r.Group.File)
}

// Equal reports whether two rules have the same results, group apart.
func (r *Rule) Equal(o *Rule) bool {
	return r.Alerting == o.Alerting && r.Name == o.Name && r.Expr.Text == o.Expr.Text && r.For == o.For && r.KeepFiring == o.KeepFiring &&
		r.Labels.Hash() == o.Labels.Hash() && r.Annotations.Hash() == o.Annotations.Hash()
}

// writes returns the metrics that the rule writes.
func (r *Rule) writes() []string {
	if r.Alerting {
		return alertMetrics
	}
	return []string{r.Name}
}

// mayMatch reports whether the ALERTS or ALERTS_FOR_STATE of an alerting rule may match.
func (r *Rule) mayMatch(matchers []*labels.Matcher) bool {
	return !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
		if m.Name == labels.AlertName {
			return !m.Matches(r.Name)
		}
		text := r.Labels.Get(m.Name)
		return text != "" && !strings.Contains(text, "{{") && !m.Matches(text)
	})
}

// Compiler compiles rules, each expression once. It is safe for concurrent use.
type Compiler struct {
	options  Options
	parser   parser.Parser
	mutex    sync.Mutex
	compiled map[string]*Expression // by the text in the file
	engines  map[time.Duration]*promql.Engine
}

// New returns a compiler.
func New(o Options) *Compiler {
	o.MaxSamples, o.Lookback = cmp.Or(o.MaxSamples, DefaultMaxSamples), cmp.Or(o.Lookback, engine.LookbackDelta)
	return &Compiler{options: o, parser: static.ParserWith(o.Features), compiled: map[string]*Expression{}, engines: map[time.Duration]*promql.Engine{}}
}

// engine returns an engine for rules that are evaluated every interval, unless their group sets another.
func (c *Compiler) engine(interval time.Duration) *promql.Engine {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.engines[interval] == nil {
		c.engines[interval] = engine.NewQueries(promql.EngineOpts{
			MaxSamples: c.options.MaxSamples, Timeout: queryTimeout, LookbackDelta: c.options.Lookback, Parser: c.parser,
			EnableDelayedNameRemoval: slices.Contains(c.options.Features, "promql-delayed-name-removal"),
		}, interval)
	}
	return c.engines[interval]
}

// Groups compiles the groups of a rule file.
func (c *Compiler) Groups(file string, groups []rulefmt.RuleGroup) ([]*Group, error) {
	var all []*Group
	for _, g := range groups {
		compiled := &Group{File: file, Name: g.Name, Limit: g.Limit, Interval: time.Duration(g.Interval)}
		if g.QueryOffset != nil {
			compiled.Offset = time.Duration(*g.QueryOffset)
		}
		for _, r := range g.Rules {
			one, err := c.rule(r, g.Labels)
			if err != nil {
				return nil, fmt.Errorf("%s: the expression of %s%s in group %q: %w", file, r.Alert, r.Record, g.Name, err)
			}
			one.Group = compiled
			compiled.Rules = append(compiled.Rules, one)
		}
		all = append(all, compiled)
	}
	return all, nil
}

// Set compiles all rules of a set, and orders their groups.
func (c *Compiler) Set(set rule.Set) (*Rules, error) {
	var all []*Group
	for _, g := range set.Groups {
		one, err := c.Groups(g.File, []rulefmt.RuleGroup{g.RuleGroup})
		if err != nil {
			return nil, err
		}
		all = append(all, one...)
	}
	sorted, _ := Order(all)
	return c.Rules(sorted), nil
}

// Find returns the rule that is an alert of a set, or nil.
func (r *Rules) Find(a rule.Alert) *Rule {
	for _, one := range r.rules {
		if one.Alerting && one.Name == a.Name && one.Group.File == a.File && one.Group.Name == a.Group && one.source == a.Expr &&
			one.For == a.For && one.KeepFiring == a.KeepFiringFor && labels.Equal(one.Labels, labels.FromMap(a.Labels)) {
			return one
		}
	}
	return nil
}

func (c *Compiler) rule(r rulefmt.Rule, groupLabels map[string]string) (*Rule, error) {
	expr, err := c.Expression(r.Expr)
	if err != nil {
		return nil, err
	}
	one := &Rule{
		Alerting: r.Alert != "", Name: r.Alert + r.Record, Expr: expr, source: r.Expr, For: time.Duration(r.For), KeepFiring: time.Duration(r.KeepFiringFor),
		Labels: rules.FromMaps(groupLabels, r.Labels), Annotations: labels.FromMap(r.Annotations), staticLabels: true,
	}
	one.Labels.Range(func(l labels.Label) {
		one.staticLabels = one.staticLabels && !strings.Contains(l.Value, "{{")
		one.Queries = one.Queries || one.Alerting && mayQuery(l.Value)
	})
	one.Annotations.Range(func(l labels.Label) { one.Queries = one.Queries || mayQuery(l.Value) })
	return one, nil
}

// mayQuery reports whether a template has the word query in an action.
func mayQuery(template string) bool {
	for i, part := range strings.Split(template, "{{") {
		// The end of an action may stand in a text within it as well: the last one counts.
		if end := strings.LastIndex(part, "}}"); i > 0 && strings.Contains(part[:max(end, 0)], "query") {
			return true
		}
	}
	return false
}

// Expression compiles an expression.
func (c *Compiler) Expression(text string) (*Expression, error) {
	c.mutex.Lock()
	e := c.compiled[text]
	c.mutex.Unlock()
	if e != nil {
		return e, nil
	}
	parsed, err := c.parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	e = &Expression{Text: parsed.String(), Parsed: parsed, past: true, Always: static.Always(parsed)}
	inert, tryEmpty := inspect(parsed, e)
	// An invalid argument, such as a regular expression, fails at any time, with any data.
	e.inert = inert && (!tryEmpty || c.tryEmpty(e.Text))
	c.mutex.Lock()
	c.compiled[text] = e
	c.mutex.Unlock()
	return e, nil
}

// tryEmpty evaluates an expression without data.
func (c *Compiler) tryEmpty(text string) bool {
	q, err := c.engine(time.Minute).NewInstantQuery(context.Background(), emptyStorage{}, nil, text, time.Unix(0, 0))
	if err != nil {
		return false
	}
	defer q.Close()
	return q.Exec(context.Background()).Err == nil
}

// emptyStorage is a storage without series.
type emptyStorage struct{}

func (emptyStorage) Querier(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil }
