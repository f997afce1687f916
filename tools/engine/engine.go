// Package engine is Prometheus's rule evaluation on a virtual clock: it evaluates rule files as deployed, over a storage,
// for a span of time, as fast as possible.
//
// The groups are those of Prometheus's rules.Manager, evaluated by its PromQL engine with the server's defaults, so they
// write what a server would have written: ALERTS, ALERTS_FOR_STATE, the recorded series, and a stale marker where one of
// them ends.
package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	static "github.com/stemedb/firedrill/tools/promql"
)

// LookbackDelta is how far back a PromQL selector looks for the newest sample of a series, as in a server with default
// flags.
const LookbackDelta = 5 * time.Minute

// The default query limits of a server, and how long ago an alert's state may have been recorded to be restored.
const (
	queryTimeout    = 2 * time.Minute
	queryMaxSamples = 50_000_000
	outageTolerance = time.Hour
)

// alerts is the metric to which alerting rules write an alert's state.
const alerts = "ALERTS"

// AlertsForState is the metric to which alerting rules write the time since which an alert is active, in whole seconds
// of Unix time.
const AlertsForState = "ALERTS_FOR_STATE"

// Config is the part of a server's configuration that rules depend on.
type Config struct {
	RuleFiles          []RuleFile
	EvaluationInterval time.Duration // of groups that set none
	ExternalLabels     labels.Labels // $externalLabels in templates
	ExternalURL        string        // $externalURL in templates
}

// Storage is what the rules read and write, such as a tsdb.DB.
type Storage interface {
	storage.Queryable
	storage.AppendableV2
}

// Transition is a change of an alert's state.
type Transition struct {
	Alert    string
	Labels   labels.Labels // all of the alert's labels, with alertname
	From, To string        // inactive, pending or firing
	At       time.Time     // of the evaluation that made the change
}

// Engine evaluates rule groups. It is not safe for concurrent use.
type Engine struct {
	db          Storage
	sink        *sink
	queries     *promql.Engine
	groups      []*group
	current     *group    // being evaluated
	until       time.Time // up to which the storage has all series that the rules do not write
	recorded    map[string]bool
	transitions []Transition
}

// group is a rule group and its position on the virtual clock.
type group struct {
	*rules.Group
	alerting []*rules.AlertingRule    // in order of the file
	active   []map[uint64]activeAlert // of each alerting rule, after the last evaluation
	next     time.Time                // the next evaluation
	batches  map[string]*batch        // by expression
}

type activeAlert struct {
	labels labels.Labels
	state  rules.AlertState
}

// New loads the rule files and returns an engine that evaluates them over db. An error names the file and, if it has a
// position in it, line and column.
func New(cfg Config, db Storage) (*Engine, error) {
	if cfg.EvaluationInterval <= 0 {
		return nil, fmt.Errorf("evaluation interval %s: must be positive", cfg.EvaluationInterval)
	}
	externalURL, err := url.Parse(cfg.ExternalURL)
	if err != nil {
		return nil, fmt.Errorf("external URL: %w", err)
	}

	e := &Engine{db: db, sink: &sink{AppendableV2: db}, recorded: map[string]bool{}}
	promqlParser := parser.NewParser(static.Options)
	limits := promql.EngineOpts{Timeout: queryTimeout, MaxSamples: queryMaxSamples, LookbackDelta: LookbackDelta}
	e.queries = NewQueries(limits, cfg.EvaluationInterval)
	files := ruleFiles{parser: promqlParser, paths: map[string]string{}}
	var names []string
	for _, f := range cfg.RuleFiles {
		if files.paths[f.name()] != "" {
			return nil, fmt.Errorf("rule file %s: named twice", f.name())
		}
		files.paths[f.name()] = f.Path
		names = append(names, f.name())
	}

	manager := rules.NewManager(&rules.ManagerOptions{
		ExternalURL:     externalURL,
		QueryFunc:       e.batched(rules.EngineQueryFunc(e.queries, db)),
		NotifyFunc:      func(context.Context, string, ...*rules.Alert) {},
		AppendableV2:    e.sink,
		Queryable:       db,
		OutageTolerance: outageTolerance,
		GroupLoader:     files,
		Parser:          promqlParser,
	})
	loaded, errs := manager.LoadGroups(cfg.EvaluationInterval, cfg.ExternalLabels, cfg.ExternalURL, nil, false, names...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("load rule files: %w", errors.Join(errs...))
	}

	for _, g := range loaded {
		gr := &group{Group: g, batches: map[string]*batch{}}
		for _, r := range g.Rules() {
			if ar, ok := r.(*rules.AlertingRule); ok {
				gr.alerting = append(gr.alerting, ar)
			} else {
				e.recorded[r.Name()] = true
			}
		}
		gr.active = make([]map[uint64]activeAlert, len(gr.alerting))
		e.groups = append(e.groups, gr)
	}
	for _, g := range e.groups {
		for _, r := range g.Rules() {
			if e.isBatchable(r.Query()) {
				g.batches[r.Query().String()] = &batch{}
			}
		}
	}
	slices.SortFunc(e.groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.File(), b.File()), cmp.Compare(a.Name(), b.Name()))
	})
	return e, nil
}

// NewQueries returns a PromQL engine with these limits and a server's defaults, for rules that are evaluated every interval.
func NewQueries(limits promql.EngineOpts, interval time.Duration) *promql.Engine {
	limits.NoStepSubqueryIntervalFn = func(int64) int64 { return interval.Milliseconds() }
	limits.EnableAtModifier, limits.EnableNegativeOffset = true, true
	if limits.Parser == nil {
		limits.Parser = parser.NewParser(static.Options)
	}
	return promql.NewEngine(limits)
}

// Writes reports whether the rules write this metric: a recorded one, ALERTS or ALERTS_FOR_STATE.
func (e *Engine) Writes(metric string) bool {
	return metric == alerts || metric == AlertsForState || e.recorded[metric]
}

// Resume sets the clock to the end of the data, and restores the state that a server stopped there would restore: alerts
// are active by the data, since the time in ALERTS_FOR_STATE. As in any restart of a server, an alert that only
// keep_firing_for kept firing is lost. Over an empty storage it is a fresh start.
//
// Each group is then as it was after its last evaluation before end. Resume writes nothing.
func (e *Engine) Resume(ctx context.Context, end time.Time) error {
	e.sink.discard = true
	defer func() { e.sink.discard = false }()

	for _, g := range e.groups {
		at, err := e.lastEvaluation(ctx, g, end)
		if err != nil {
			return fmt.Errorf("find the last evaluation of group %q in %s: %w", g.Name(), g.File(), err)
		}
		// The first evaluation creates the alerts whose state is then restored. The second sees them with their real
		// age, and records the series that a server would have to mark stale next.
		g.Eval(ctx, at)
		g.RestoreForState(at.Add(-g.QueryOffset()))
		g.Eval(ctx, at)
		if err := ctx.Err(); err != nil {
			return err
		}
		g.observe()
		// Samples have whole milliseconds, so at may be just before the exact evaluation time.
		g.next = g.EvalTimestamp(at.Add(time.Millisecond).UnixNano()).Add(g.Interval())
	}
	return nil
}

// lastEvaluation returns when the group was last evaluated: the time of the newest sample that it wrote in the last
// intervals before end or, if there is none, its last regular evaluation time.
func (e *Engine) lastEvaluation(ctx context.Context, g *group, end time.Time) (_ time.Time, err error) {
	from := end.Add(-g.QueryOffset() - 2*g.Interval())
	q, err := e.db.Querier(from.UnixMilli(), end.UnixMilli())
	if err != nil {
		return time.Time{}, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()

	newest := from.UnixMilli()
	for _, r := range g.Rules() {
		var set storage.SeriesSet
		if ar, ok := r.(*rules.AlertingRule); ok {
			if set, err = ar.QueryForStateSeries(ctx, q); err != nil {
				return time.Time{}, err
			}
		} else {
			matchers := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, r.Name())}
			r.Labels().Range(func(l labels.Label) {
				matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
			})
			set = q.Select(ctx, false, nil, matchers...)
		}
		for set.Next() {
			samples := set.At().Iterator(nil)
			for samples.Next() != 0 {
				newest = max(newest, samples.AtT())
			}
			if err := samples.Err(); err != nil {
				return time.Time{}, err
			}
		}
		if err := set.Err(); err != nil {
			return time.Time{}, err
		}
	}
	if newest > from.UnixMilli() {
		return time.UnixMilli(newest).Add(g.QueryOffset()).UTC(), nil
	}
	return g.EvalTimestamp(end.UnixNano()), nil
}

// Run evaluates the groups, each at its regular times, up to and including until. The storage must already hold all
// series up to then that the rules do not write. Groups due at the same time are evaluated in order of file and name. A
// rule that fails does so as in a server: its alerts keep their state. The error is of the storage or ctx.
func (e *Engine) Run(ctx context.Context, until time.Time) error {
	if len(e.groups) == 0 {
		return ctx.Err()
	}
	e.until = until
	defer e.release()
	for {
		g := slices.MinFunc(e.groups, func(a, b *group) int { return a.next.Compare(b.next) })
		if g.next.After(until) {
			return ctx.Err()
		}
		e.current = g
		g.Eval(ctx, g.next)
		e.current = nil
		if err := cmp.Or(ctx.Err(), e.sink.err); err != nil {
			return fmt.Errorf("evaluate group %q in %s at %s: %w", g.Name(), g.File(), g.next.Format(time.RFC3339Nano), err)
		}
		e.transitions = append(e.transitions, g.observe()...)
		g.next = g.next.Add(g.Interval())
	}
}

// Transitions returns the changes of state during Run, in order of time.
func (e *Engine) Transitions() []Transition { return e.transitions }

// observe records the states of the group's alerts and returns what has changed since the last call.
func (g *group) observe() []Transition {
	var changed []Transition
	for i, rule := range g.alerting {
		before, after := g.active[i], map[uint64]activeAlert{}
		rule.ForEachActiveAlert(func(a *rules.Alert) {
			if a.State == rules.StatePending || a.State == rules.StateFiring {
				after[a.Labels.Hash()] = activeAlert{a.Labels, a.State}
			}
		})
		g.active[i] = after

		from := len(changed)
		change := func(l labels.Labels, from, to rules.AlertState) {
			if from != to {
				changed = append(changed, Transition{rule.Name(), l, from.String(), to.String(), g.next})
			}
		}
		for h, a := range after {
			b, was := before[h]
			if !was {
				b.state = rules.StateInactive
			}
			change(a.labels, b.state, a.state)
		}
		for h, b := range before {
			if _, is := after[h]; !is {
				change(b.labels, b.state, rules.StateInactive)
			}
		}
		slices.SortFunc(changed[from:], func(a, b Transition) int { return labels.Compare(a.Labels, b.Labels) })
	}
	return changed
}

// sink is the storage for the rules' samples. A group only logs the errors of its storage; sink keeps the first.
type sink struct {
	storage.AppendableV2
	discard bool
	err     error // the first unexpected one
}

func (s *sink) AppenderV2(ctx context.Context) storage.AppenderV2 {
	if s.discard {
		return discardAppender{}
	}
	return &appender{s.AppendableV2.AppenderV2(ctx), s}
}

type appender struct {
	storage.AppenderV2
	sink *sink
}

func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64,
	h *histogram.Histogram, fh *histogram.FloatHistogram, opts storage.AppendV2Options) (storage.SeriesRef, error) {
	ref, err := a.AppenderV2.Append(ref, ls, st, t, v, h, fh, opts)
	switch {
	case err == nil:
	case errors.Is(err, storage.ErrOutOfOrderSample), errors.Is(err, storage.ErrDuplicateSampleForTimestamp):
		// Two rules write the same series: a server logs that error and continues.
	default:
		a.sink.fail(fmt.Errorf("write %s: %w", ls, err))
	}
	return ref, err
}

func (a *appender) Commit() error {
	err := a.AppenderV2.Commit()
	if err != nil {
		a.sink.fail(fmt.Errorf("write to storage: %w", err))
	}
	return err
}

func (s *sink) fail(err error) { s.err = cmp.Or(s.err, err) }

// discardAppender discards samples.
type discardAppender struct{}

func (discardAppender) Append(ref storage.SeriesRef, _ labels.Labels, _, _ int64, _ float64,
	_ *histogram.Histogram, _ *histogram.FloatHistogram, _ storage.AppendV2Options) (storage.SeriesRef, error) {
	return ref, nil
}
func (discardAppender) Commit() error   { return nil }
func (discardAppender) Rollback() error { return nil }
