package evaluate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
)

// Input is what rules are evaluated over, and when.
type Input struct {
	Data   *Data
	Start  time.Time     // of the first evaluation of all groups; the zero value is Unix time 0
	Length time.Duration // from the first to the last evaluation
	// Interval is the evaluation interval of groups that set none, and the step of subqueries that set none.
	Interval    time.Duration
	OneInterval bool    // evaluate all groups every Interval, as promtool does
	Watch       []*Rule // alerting rules whose states are kept
	WriteAlerts bool    // write ALERTS and ALERTS_FOR_STATE even if no rule selects them
	// ExternalLabels and ExternalURL are those of templates.
	ExternalLabels labels.Labels
	ExternalURL    string
}

// interval returns the time from one evaluation of a group to the next.
func (in *Input) interval(g *Group) time.Duration {
	if in.OneInterval {
		return in.Interval
	}
	return cmp.Or(g.Interval, in.Interval)
}

// Run is the result of evaluating rules.
type Run struct {
	Input
	options  Options
	rules    []*Rule // those that can have a value or an error
	engine   *promql.Engine
	memory   *memory                  // of the evaluation by rule
	db       *teststorage.TestStorage // of the evaluation by time
	query    rules.QueryFunc          // over one of them
	states   [][]State                // of the watched alerting rules, those that differ from the one before
	recorded map[*Rule]bool
}

// ErrNeedsByTime is the error where only the evaluation by time can give the result.
var ErrNeedsByTime = errors.New("only the evaluation by time can tell")

// RuleError is the error of a rule that cannot be evaluated.
type RuleError struct {
	Rule *Rule
	Err  error
}

func (e *RuleError) Error() string { return fmt.Sprintf("the rule fails: %s: %v", e.Rule, e.Err) }
func (e *RuleError) Unwrap() error { return e.Err }

// Run evaluates the rules, by rule if that can give the result, else by time. The error is ctx's, or that of a rule that
// cannot be evaluated with this input, a RuleError.
func (r *Rules) Run(ctx context.Context, in Input) (*Run, error) {
	run, err := r.RunByRule(ctx, in)
	if errors.Is(err, ErrNeedsByTime) {
		return r.RunByTime(ctx, in)
	}
	return run, err
}

func (r *Rules) start(in Input) *Run {
	if in.Start.IsZero() {
		in.Start = time.Unix(0, 0).UTC()
	}
	return &Run{
		Input: in, options: r.compiler.options, rules: r.Live(in.Data.Metrics()).rules, engine: r.compiler.engine(in.Interval),
		states: make([][]State, len(in.Watch)), recorded: map[*Rule]bool{},
	}
}

// over sets the storage of queries.
func (r *Run) over(q storage.Queryable) { r.query = rules.EngineQueryFunc(r.engine, q) }

// Close removes what the evaluation by time has stored.
func (r *Run) Close() {
	if r.db != nil {
		_ = r.db.Close() // only a folder of temporary files could be left
	}
}

// end is the time of the last evaluation.
func (r *Run) end() time.Time { return r.Start.Add(r.Length) }

// till is a time in milliseconds, as promtool computes it.
func till(t time.Time) int64 { return t.Sub(time.Unix(0, 0)).Milliseconds() }

// written reports whether the ALERTS and ALERTS_FOR_STATE of an alerting rule are.
func (r *Run) written(alert *Rule) bool {
	return r.WriteAlerts || slices.ContainsFunc(r.rules, func(one *Rule) bool { return one.Expr.Reads(alert) })
}

// State is the state of an alerting rule from one evaluation on.
type State struct {
	At time.Time // of the evaluation
	// Pending and Firing hold the labels of the alerts in these states, with alertname, sorted.
	Pending, Firing []labels.Labels
	// annotations are those of the firing alerts, if the evaluation has expanded them.
	annotations []labels.Labels
}

// Active reports whether an alert is pending or fires.
func (s State) Active() bool { return len(s.Pending)+len(s.Firing) > 0 }

// States returns the states of a watched alerting rule, each that differs from the one before it, beginning with the
// first that is active.
func (r *Run) States(alert *Rule) []State {
	if i := slices.Index(r.Watch, alert); i >= 0 {
		return r.states[i]
	}
	return nil
}

// At returns the state of a watched alerting rule at a time: that of the last evaluation until then.
func (r *Run) At(alert *Rule, at time.Time) State {
	states := r.States(alert)
	after, _ := slices.BinarySearchFunc(states, at, func(s State, at time.Time) int {
		if s.At.After(at) {
			return 1
		}
		return -1
	})
	if after == 0 {
		return State{At: r.Start}
	}
	return states[after-1]
}

// Evaluations returns the state of a watched alerting rule after each of its evaluations.
func (r *Run) Evaluations(alert *Rule) iter.Seq2[time.Time, State] {
	return func(yield func(time.Time, State) bool) {
		states, state := r.States(alert), State{At: r.Start}
		for at := r.Start; !at.After(r.end()); at = at.Add(r.interval(alert.Group)) {
			if len(states) > 0 && !states[0].At.After(at) {
				state, states = states[0], states[1:]
			}
			if !yield(at, state) {
				return
			}
		}
	}
}

// keep notes the state of a watched alerting rule after an evaluation.
func (r *Run) keep(a *alerting, at time.Time) {
	i := slices.Index(r.Watch, a.Rule)
	if i < 0 {
		return
	}
	now, last := a.state(at), State{}
	if n := len(r.states[i]); n > 0 {
		last = r.states[i][n-1]
	}
	if !now.equal(last) {
		r.states[i] = append(r.states[i], now)
	}
}

func (s State) equal(o State) bool {
	return slices.EqualFunc(s.Pending, o.Pending, labels.Equal) && slices.EqualFunc(s.Firing, o.Firing, labels.Equal) &&
		slices.EqualFunc(s.annotations, o.annotations, labels.Equal)
}

// Recorded reports whether a recording rule had a value.
func (r *Run) Recorded(rule *Rule) bool { return r.recorded[rule] }

// Values evaluates an expression at one time, over the input and what the rules have written.
func (r *Run) Values(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	return r.query(ctx, expr, at)
}

// Range evaluates an expression from one time to another, over the input and what the rules have written. It has a value
// at some of these times if the result is not empty.
func (r *Run) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	var over storage.Queryable = r.memory
	if r.db != nil {
		over = r.db
	}
	q, err := r.engine.NewRangeQuery(ctx, over, nil, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	// The query is not closed: that would take back the result.
	return q.Exec(ctx).Matrix()
}
