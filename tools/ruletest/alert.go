package ruletest

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// alerting evaluates an alerting rule with Prometheus's own state machine, given the values of the expression. Expanding
// templates takes most of the time of an active alert. So labels without a template are set on the values before the
// state machine sees them, which gives the same alerts, and annotations are expanded only when they are asserted on,
// unless keep_firing_for makes them outlive their value.
type alerting struct {
	*rule
	externalLabels  labels.Labels
	externalURL     string
	alertingRule    *rules.AlertingRule
	withAnnotations bool // alertingRule expands the annotations
	active          bool // an alert is pending or firing since the last evaluation
	fired           bool // an alert has been firing
}

// value is one element of the vector that a rule's expression gives.
type value struct {
	sample promql.Sample
	labels labels.Labels // of the alert, where the rule has static labels
}

// unused is the expression of alertingRule where its values come from elsewhere.
var unused parser.Expr = &parser.NumberLiteral{}

func newAlerting(r *rule, t *testGroup, expr parser.Expr) *alerting {
	a := &alerting{rule: r, externalLabels: t.ExternalLabels, externalURL: t.ExternalURL}
	a.withAnnotations = expr != unused || r.keepFiring > 0 || r.queries
	set, notes := r.labels, labels.EmptyLabels()
	if a.withAnnotations {
		notes = r.annotations
	} else if r.staticLabels {
		set = labels.EmptyLabels()
	}
	a.alertingRule = rules.NewAlertingRule(r.name, expr, r.hold, r.keepFiring, set, notes, t.ExternalLabels, t.ExternalURL, true, quiet)
	return a
}

// setsLabels reports whether the labels are set on the values.
func (a *alerting) setsLabels() bool { return a.staticLabels && !a.withAnnotations }

// labelled returns the labels of the alert that a rule with static labels makes of a value.
func (r *rule) labelled(b *labels.Builder, metric labels.Labels) labels.Labels {
	b.Reset(metric)
	b.Del(labels.MetricName)
	r.labels.Range(func(l labels.Label) { b.Set(l.Name, l.Value) })
	return b.Labels()
}

// eval evaluates the rule once and returns what it writes.
func (a *alerting) eval(ctx context.Context, at time.Time, values []value) (promql.Vector, error) {
	vector := make(promql.Vector, len(values))
	for i, v := range values {
		vector[i] = v.sample
		if a.setsLabels() {
			vector[i].Metric = v.labels
		}
	}
	written, err := a.alertingRule.Eval(ctx, 0, at, answer(vector), nil, a.group.limit)
	a.active = len(written) > 0
	return written, err
}

// answer answers every query with a vector.
func answer(vector promql.Vector) rules.QueryFunc {
	return func(context.Context, string, time.Time) (promql.Vector, error) { return vector, nil }
}

// FiringAlert is an alert that fires.
type FiringAlert struct {
	Labels, Annotations labels.Labels
}

// firing returns the alerts that fire after the evaluation at a time that gave these values, if asked for with their
// annotations.
func (a *alerting) firing(ctx context.Context, at time.Time, values []value, annotated bool) ([]FiringAlert, error) {
	if !a.active {
		return nil, nil
	}
	var firing []FiringAlert
	a.alertingRule.ForEachActiveAlert(func(alert *rules.Alert) {
		if alert.State == rules.StateFiring {
			firing = append(firing, FiringAlert{alert.Labels, alert.Annotations})
		}
	})
	if !annotated || a.withAnnotations || a.annotations.IsEmpty() || len(firing) == 0 {
		return firing, nil
	}
	// A rule without for makes the same annotations from the values alone.
	vector := make(promql.Vector, len(values))
	for i, v := range values {
		vector[i] = v.sample
	}
	once := rules.NewAlertingRule(a.name, unused, 0, 0, a.labels, a.annotations, a.externalLabels, a.externalURL, true, quiet)
	if _, err := once.Eval(ctx, 0, at, answer(vector), nil, 0); err != nil {
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

// state returns the highest state of the rule's alerts.
func (a *alerting) state() rules.AlertState {
	state := rules.StateInactive
	a.alertingRule.ForEachActiveAlert(func(alert *rules.Alert) { state = max(state, alert.State) })
	return state
}
