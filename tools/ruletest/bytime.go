package ruletest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/teststorage"
)

// maxEvaluations limits the evaluations of one test.
const maxEvaluations = 10_000_000

// run is one run of a test.
type run struct {
	*test
	engine *promql.Engine
	rules  []*rule // those that can have a value or an error, in order of evaluation
	// alertsSelected is set if a rule or the test selects ALERTS or ALERTS_FOR_STATE.
	alertsSelected bool
	memory         *memory                  // of the evaluation by rule
	db             *teststorage.TestStorage // of the evaluation by time
	filled         []int                    // of each input series, the samples that db holds
	query          rules.QueryFunc          // over one of them

	// got holds the alerts that were firing, by evaluation and alert name, where the test asserts on them.
	got map[int]map[string][]FiringAlert
	// labelsOnly is set if nobody looks at the annotations of alerts.
	labelsOnly bool
	// coverage is nil unless it is asked for.
	coverage *coverage
}

// evaluate evaluates the rules over the whole test.
func (r *run) evaluate(ctx context.Context) []error {
	if r.canEvaluateByRule() {
		err := r.evaluateByRule(ctx)
		if !errors.Is(err, errNeedsByTime) {
			return errorList(err)
		}
	}
	return r.evaluateByTime(ctx)
}

// reset starts with a new storage.
func (r *run) reset(over storage.Queryable) {
	r.query = rules.EngineQueryFunc(r.engine, over)
	r.got = map[int]map[string][]FiringAlert{}
	r.coverage.reset()
}

// close removes the storage.
func (r *run) close() {
	if r.db != nil {
		_ = r.db.Close() // only a folder of temporary files could be left
	}
}

// at returns the time of an evaluation.
func (r *run) at(slot int) time.Time {
	return r.start().Add(time.Duration(slot) * r.interval)
}

// slotOf returns the evaluation that an alert test looks at: the last one at or before its time.
func (t *test) slotOf(a alertTest) int {
	return int(time.Duration(a.EvalTime) / t.interval)
}

// observe records what the test asserts on after an evaluation.
func (r *run) observe(ctx context.Context, a *alerting, slot int, values []value) error {
	if !slices.Contains(r.asserted[a.name], slot) {
		return nil
	}
	r.coverage.observe(a)
	alerts, err := a.firing(ctx, r.at(slot), values, !r.labelsOnly)
	if err != nil {
		return err
	}
	if len(alerts) > 0 {
		if r.got[slot] == nil {
			r.got[slot] = map[string][]FiringAlert{}
		}
		r.got[slot][a.name] = append(r.got[slot][a.name], alerts...)
	}
	return nil
}

// evaluateByTime evaluates as promtool does: at each time all rules in their order, over Prometheus's storage.
func (r *run) evaluateByTime(ctx context.Context) (failures []error) {
	var err error
	if r.db, err = teststorage.NewWithError(func(o *tsdb.Options) {
		o.WALSegmentSize, o.NoLockfile, o.StripeSize, o.EnableExemplarStorage = -1, true, 1<<10, false
	}); err != nil {
		return errorList(err)
	}
	r.reset(r.db)
	r.filled = make([]int, len(r.input.series))
	groups := r.groups()
	for slot := range r.slots {
		if ctx.Err() != nil {
			return errorList(ctx.Err())
		}
		at := r.at(slot)
		if err := r.fill(ctx, millisecondsTill(at)); err != nil {
			return errorList(fmt.Errorf("at %s: %w", at.Sub(r.start()), err))
		}
		for _, g := range groups {
			if every := r.every[g.rules[0].group]; every > 1 && slot%every != 0 {
				continue
			}
			g.Eval(ctx, at)
			for i, one := range g.Rules() {
				if err := one.LastError(); err != nil {
					failures = append(failures, fmt.Errorf("at %s the rule fails: %s: %w", at.Sub(r.start()), g.rules[i], err))
				}
			}
			for _, a := range g.alerting {
				a.active = a.state() > rules.StateInactive
				r.coverage.evaluated(a)
			}
		}
		if len(failures) > 0 {
			return failures
		}
		for _, g := range groups {
			for _, a := range g.alerting {
				if err := r.observe(ctx, a, slot, nil); err != nil {
					return errorList(err)
				}
			}
		}
	}
	return nil
}

// timedGroup is a group of Prometheus's, and its rules.
type timedGroup struct {
	*rules.Group
	rules    []*rule
	alerting []*alerting
}

// groups returns the rule groups in order.
func (r *run) groups() []timedGroup {
	opts := &rules.ManagerOptions{
		QueryFunc: r.query, AppendableV2: r.db, NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
	}
	var groups []timedGroup
	for rest := r.rules; len(rest) > 0; {
		own := rest[0].group
		n := slices.IndexFunc(rest, func(rule *rule) bool { return rule.group != own })
		if n < 0 {
			n = len(rest)
		}
		g := timedGroup{rules: rest[:n]}
		var all []rules.Rule
		for _, rule := range g.rules {
			if rule.alert {
				a := newAlerting(rule, r.testGroup, rule.expr.parsed)
				g.alerting = append(g.alerting, a)
				all = append(all, a.alertingRule)
			} else {
				all = append(all, &recording{rules.NewRecordingRule(rule.name, rule.expr.parsed, rule.labels), rule, r.coverage})
			}
		}
		g.Group = rules.NewGroup(rules.GroupOptions{
			Name: own.name, File: own.file, Interval: r.interval, Limit: own.limit, QueryOffset: &own.offset, Rules: all, Opts: opts,
		})
		groups, rest = append(groups, g), rest[n:]
	}
	return groups
}

// recording is a recording rule whose coverage is recorded.
type recording struct {
	*rules.RecordingRule
	rule     *rule
	coverage *coverage
}

// Eval implements rules.Rule.
func (r *recording) Eval(ctx context.Context, offset time.Duration, at time.Time, query rules.QueryFunc, external *url.URL, limit int) (promql.Vector, error) {
	vector, err := r.RecordingRule.Eval(ctx, offset, at, query, external, limit)
	if len(vector) > 0 {
		r.coverage.recorded(r.rule)
	}
	return vector, err
}

// fill appends the samples of the input series up to a time.
func (r *run) fill(ctx context.Context, until int64) error {
	app := r.db.AppenderV2(ctx)
	for i, s := range r.input.series {
		for ; r.filled[i] < len(s.samples) && s.samples[r.filled[i]].t <= until; r.filled[i]++ {
			smpl := s.samples[r.filled[i]]
			if smpl.h != nil {
				smpl.h = smpl.h.Copy() // the storage changes it
			}
			if _, err := app.Append(0, s.labels, 0, smpl.t, smpl.v, nil, smpl.h, storage.AppendV2Options{}); err != nil {
				return errors.Join(fmt.Errorf("the input series %s: %w", s.labels, err), app.Rollback())
			}
		}
	}
	return app.Commit()
}

// errorList is a list of err, or nil.
func errorList(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
