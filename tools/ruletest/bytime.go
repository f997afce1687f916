package ruletest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	prometheusvalue "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
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
	memory         *memory
	query          rules.QueryFunc // over memory

	// got holds the alerts that were firing, by evaluation and alert name, where the test asserts on them.
	got map[int]map[string][]FiringAlert
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

// reset starts with an empty storage.
func (r *run) reset(written func(string) bool) {
	r.memory = newMemory(r.input, written)
	r.query = rules.EngineQueryFunc(r.engine, r.memory)
	r.got = map[int]map[string][]FiringAlert{}
	r.coverage.reset()
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
	alerts, err := a.firing(ctx, r.at(slot), values)
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

// evaluateByTime evaluates as a server does: at each time all rules in their order.
func (r *run) evaluateByTime(ctx context.Context) (failures []error) {
	r.reset(func(name string) bool {
		return slices.ContainsFunc(r.rules, func(rule *rule) bool { return rule.writes(name) })
	})
	states := make([]*ruleState, len(r.rules))
	for i, rule := range r.rules {
		states[i] = &ruleState{rule: rule, previous: map[string]labels.Labels{}}
		if rule.alert {
			states[i].alerting = newAlerting(rule, r.testGroup)
		} else {
			states[i].recording = rules.NewRecordingRule(rule.name, unused, rule.labels)
		}
	}
	for slot := range r.slots {
		if ctx.Err() != nil {
			return errorList(ctx.Err())
		}
		at := r.at(slot)
		r.memory.now = millisecondsTill(at)
		if err := r.memory.fill(); err != nil {
			return errorList(fmt.Errorf("at %s: %w", at.Sub(r.start()), err))
		}
		for _, s := range states {
			if every := r.every[s.group]; every > 1 && slot%every != 0 {
				continue
			}
			if err := s.evalAt(ctx, r, at); err != nil {
				failures = append(failures, fmt.Errorf("at %s the rule fails: %s: %w", at.Sub(r.start()), s.rule, err))
			}
		}
		if len(failures) > 0 {
			return failures
		}
		for _, s := range states {
			if s.alerting == nil {
				continue
			}
			if err := r.observe(ctx, s.alerting, slot, s.values); err != nil {
				return errorList(err)
			}
		}
	}
	return nil
}

// ruleState is the state of a rule between evaluations.
type ruleState struct {
	*rule
	alerting  *alerting
	recording *rules.RecordingRule
	values    []value                  // of the last evaluation
	previous  map[string]labels.Labels // written at the last evaluation
}

// evalAt evaluates the rule and writes the result, as a rule group does.
func (s *ruleState) evalAt(ctx context.Context, r *run, at time.Time) error {
	vector, err := r.query(ctx, s.expr.text, at.Add(-s.group.offset))
	if err != nil {
		return err
	}
	if s.alerting != nil {
		s.values = s.values[:0]
		b := labels.NewBuilder(labels.EmptyLabels())
		for _, smpl := range vector {
			v := value{sample: smpl}
			if s.alerting.setsLabels() {
				v.labels = s.labelled(b, smpl.Metric)
			}
			s.values = append(s.values, v)
		}
		vector, err = s.alerting.eval(ctx, at, s.values, r.query)
		r.coverage.evaluated(s.alerting)
	} else {
		vector, err = s.recording.Eval(ctx, s.group.offset, at, first(vector, nil), nil, s.group.limit)
		if len(vector) > 0 {
			r.coverage.recorded(s.rule)
		}
	}
	if err != nil {
		return err
	}
	s.previous, err = r.memory.write(vector, s.previous, timestamp.FromTime(at.Add(-s.group.offset)))
	return err
}

// write writes the result of a rule, and a stale marker for each series of the previous evaluation that is missing from
// it. It returns the series written.
func (m *memory) write(vector promql.Vector, previous map[string]labels.Labels, t int64) (map[string]labels.Labels, error) {
	var failure error
	app := appender{m: m}
	written := make(map[string]labels.Labels, len(vector))
	for _, s := range vector {
		if err := app.append(s.Metric, sample{t: s.T, v: s.F, h: s.H}); err != nil {
			failure = fmt.Errorf("writing %s: %w", s.Metric, err)
			continue
		}
		written[string(s.Metric.Bytes(nil))] = s.Metric
	}
	for key, ls := range previous {
		if _, again := written[key]; !again {
			_ = app.append(ls, staleAt(t)) // refused where another rule writes the series now
		}
	}
	app.commit()
	return written, failure
}

// fill appends the samples of the pending input series up to now.
func (m *memory) fill() error {
	app := appender{m: m}
	for _, p := range m.pending {
		for ; p.next < len(p.samples) && p.samples[p.next].t <= m.now; p.next++ {
			if err := app.append(p.labels, p.samples[p.next]); err != nil {
				return fmt.Errorf("the input series %s: %w", p.labels, err)
			}
		}
	}
	app.commit()
	return nil
}

// staleAt is a stale marker.
func staleAt(t int64) sample { return sample{t: t, v: math.Float64frombits(prometheusvalue.StaleNaN)} }

// errorList is a list of err, or nil.
func errorList(err error) []error {
	if err == nil {
		return nil
	}
	return []error{err}
}
