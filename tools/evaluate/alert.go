package evaluate

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// alerting evaluates an alerting rule with Prometheus's own state machine. Expanding templates takes most of the time of
// an active alert. So in the evaluation by rule, labels without a template are set on the values before the state machine
// sees them, which gives the same alerts, and annotations are expanded only when they are asked for.
type alerting struct {
	*Rule
	machine         *rules.AlertingRule
	withAnnotations bool // machine expands the annotations
	active          bool // an alert is pending or firing since the last evaluation
}

// value is one element of the vector that a rule's expression gives.
type value struct {
	sample promql.Sample
	labels labels.Labels // of the alert, where the rule has static labels
}

// unused is the expression of a machine whose values come from elsewhere.
var unused parser.Expr = &parser.NumberLiteral{}

// byTime returns the rule as Prometheus has it.
func (in *Input) byTime(r *Rule) *alerting {
	return &alerting{Rule: r, withAnnotations: true, machine: in.machine(r, r.Expr.Parsed, r.For, r.KeepFiring, r.Labels, r.Annotations)}
}

// byRule returns the rule for values from elsewhere.
func (in *Input) byRule(r *Rule) *alerting {
	set := r.Labels
	if r.staticLabels {
		set = labels.EmptyLabels()
	}
	return &alerting{Rule: r, machine: in.machine(r, unused, r.For, r.KeepFiring, set, labels.EmptyLabels())}
}

func (in *Input) machine(r *Rule, expr parser.Expr, hold, keep time.Duration, set, annotations labels.Labels) *rules.AlertingRule {
	return rules.NewAlertingRule(r.Name, expr, hold, keep, set, annotations, in.ExternalLabels, in.ExternalURL, true, quiet)
}

// labelled returns the labels of the alert that a rule with static labels makes of a value.
func (r *Rule) labelled(b *labels.Builder, metric labels.Labels) labels.Labels {
	b.Reset(metric)
	b.Del(labels.MetricName)
	r.Labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels()
}

// eval evaluates the rule once with values from elsewhere and returns what it writes.
func (a *alerting) eval(ctx context.Context, at time.Time, values []value) (promql.Vector, error) {
	vector := make(promql.Vector, len(values))
	for i, v := range values {
		vector[i] = v.sample
		if a.staticLabels {
			vector[i].Metric = v.labels
		}
	}
	written, err := a.machine.Eval(ctx, 0, at, answer(vector), nil, a.Group.Limit)
	a.active = false
	a.machine.ForEachActiveAlert(func(alert *rules.Alert) { a.active = a.active || alert.State > rules.StateInactive })
	return written, err
}

// answer answers every query with a vector.
func answer(vector promql.Vector) rules.QueryFunc {
	return func(context.Context, string, time.Time) (promql.Vector, error) { return vector, nil }
}

// state returns the state of the rule after an evaluation.
func (a *alerting) state(at time.Time) State {
	s := State{At: at}
	var firing []Alert
	a.machine.ForEachActiveAlert(func(alert *rules.Alert) {
		switch alert.State {
		case rules.StatePending:
			s.Pending = append(s.Pending, alert.Labels)
		case rules.StateFiring:
			firing = append(firing, Alert{alert.Labels, alert.Annotations})
		}
	})
	slices.SortFunc(s.Pending, labels.Compare)
	slices.SortFunc(firing, func(a, b Alert) int { return labels.Compare(a.Labels, b.Labels) })
	for _, alert := range firing {
		s.Firing = append(s.Firing, alert.Labels)
		if a.withAnnotations {
			s.annotations = append(s.annotations, alert.Annotations)
		}
	}
	return s
}

// Alert is an alert that fires.
type Alert struct{ Labels, Annotations labels.Labels }

// Firing returns the alerts of a watched alerting rule that fire at a time, with their annotations, in the order of
// their labels.
func (r *Run) Firing(ctx context.Context, alert *Rule, at time.Time) ([]Alert, error) {
	state := r.At(alert, at)
	all := make([]Alert, len(state.Firing))
	for i, ls := range state.Firing {
		all[i].Labels = ls
		if state.annotations != nil {
			all[i].Annotations = state.annotations[i]
		}
	}
	if state.annotations != nil || alert.Annotations.IsEmpty() {
		return all, nil
	}
	// A rule without for makes the same annotations from the values alone. Those of an alert that is kept firing are those
	// of its last value.
	interval := r.interval(alert.Group)
	missing := len(all)
	for t := r.Start.Add(at.Sub(r.Start).Truncate(interval)); missing > 0 && !t.Before(r.Start); t = t.Add(-interval) {
		annotated, err := r.annotated(ctx, alert, t)
		if err != nil {
			return nil, err
		}
		for i := range all {
			if ls, ok := annotated[all[i].Labels.String()]; ok && all[i].Annotations.IsEmpty() {
				all[i].Annotations = ls
				missing--
			}
		}
	}
	return all, nil
}

// annotated returns the annotations of the alerts whose condition holds at a time, by their labels.
func (r *Run) annotated(ctx context.Context, alert *Rule, at time.Time) (map[string]labels.Labels, error) {
	once := r.machine(alert, alert.Expr.Parsed, 0, 0, alert.Labels, alert.Annotations)
	if _, err := once.Eval(ctx, 0, at, r.query, nil, 0); err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	annotations := map[string]labels.Labels{}
	once.ForEachActiveAlert(func(a *rules.Alert) { annotations[a.Labels.String()] = a.Annotations })
	return annotations, nil
}
