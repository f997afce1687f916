package ruletest

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// alerting is an alerting rule at work: Prometheus's own state machine, fed with the values of the expression.
//
// To expand templates is most of the work that an active alert makes, so what nobody looks at is not expanded. Labels
// without a template are set on the values before the machine sees them, which gives the alerts that it would have made.
// Annotations are left to the moments that are asserted on, unless they outlive the value that they were made of.
type alerting struct {
	*rule
	externalLabels labels.Labels
	externalURL    string
	machine        *rules.AlertingRule
	carries        bool // the machine has the annotations
	active         bool // after the last evaluation an alert was pending or firing
	fired          bool // an alert has been firing
}

// value is one element of the vector that a rule's expression gives.
type value struct {
	sample promql.Sample
	labels labels.Labels // of the alert, where the rule is plain
}

// unused is the expression of machines, whose values come from elsewhere.
var unused = &parser.NumberLiteral{}

func newAlerting(r *rule, t *testGroup) *alerting {
	a := &alerting{rule: r, externalLabels: t.ExternalLabels, externalURL: t.ExternalURL, carries: r.keepFiring > 0 || r.queries}
	set, notes := r.labels, labels.EmptyLabels()
	if a.carries {
		notes = r.annotations
	} else if r.plain {
		set = labels.EmptyLabels()
	}
	a.machine = rules.NewAlertingRule(r.name, unused, r.hold, r.keepFiring, set, notes, t.ExternalLabels, t.ExternalURL, true, quiet)
	return a
}

// ready says whether the machine wants the labels set on the values.
func (a *alerting) ready() bool { return a.plain && !a.carries }

// labelled returns the labels of the alert that a plain rule makes of a value.
func (r *rule) labelled(b *labels.Builder, metric labels.Labels) labels.Labels {
	b.Reset(metric)
	b.Del(labels.MetricName)
	r.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels()
}

// eval takes the rule to the next evaluation and returns what it writes. The query function is for templates.
func (a *alerting) eval(ctx context.Context, at time.Time, values []value, query rules.QueryFunc) (promql.Vector, error) {
	vector := make(promql.Vector, len(values))
	for i, v := range values {
		vector[i] = v.sample
		if a.ready() {
			vector[i].Metric = v.labels
		}
	}
	written, err := a.machine.Eval(ctx, a.group.offset, at, first(vector, query), nil, a.group.limit)
	a.active = len(written) > 0
	return written, err
}

// first answers the first query, which is the rule's own, with a vector, and leaves those of templates to next.
func first(vector promql.Vector, next rules.QueryFunc) rules.QueryFunc {
	asked := false
	return func(ctx context.Context, q string, t time.Time) (promql.Vector, error) {
		if asked {
			return next(ctx, q, t)
		}
		asked = true
		return vector, nil
	}
}

// FiringAlert is an alert that fires.
type FiringAlert struct {
	Labels, Annotations labels.Labels
}

// firing returns the alerts that are firing after the evaluation at a time, which gave these values.
func (a *alerting) firing(ctx context.Context, at time.Time, values []value) ([]FiringAlert, error) {
	if !a.active {
		return nil, nil
	}
	var firing []FiringAlert
	a.machine.ForEachActiveAlert(func(alert *rules.Alert) {
		if alert.State == rules.StateFiring {
			firing = append(firing, FiringAlert{alert.Labels, alert.Annotations})
		}
	})
	if a.carries || a.annotations.IsEmpty() || len(firing) == 0 {
		return firing, nil
	}
	// A rule without `for` makes its alerts, annotations and all, of the values alone.
	vector := make(promql.Vector, len(values))
	for i, v := range values {
		vector[i] = v.sample
	}
	once := rules.NewAlertingRule(a.name, unused, 0, 0, a.labels, a.annotations, a.externalLabels, a.externalURL, true, quiet)
	if _, err := once.Eval(ctx, a.group.offset, at, first(vector, nil), nil, 0); err != nil {
		return nil, err
	}
	annotations := map[string]labels.Labels{}
	once.ForEachActiveAlert(func(alert *rules.Alert) {
		annotations[alert.Labels.String()] = alert.Annotations
	})
	for i := range firing {
		firing[i].Annotations = annotations[firing[i].Labels.String()]
	}
	return firing, nil
}

// state returns the state of the rule as a whole: that of the alert which is furthest.
func (a *alerting) state() rules.AlertState {
	state := rules.StateInactive
	a.machine.ForEachActiveAlert(func(alert *rules.Alert) { state = max(state, alert.State) })
	return state
}
