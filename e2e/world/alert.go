package world

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Alert is an alert of the rules, in the world.
type Alert struct {
	rule.Alert
	world *World
}

// Alert finds an alert by its name. The error names those that there are.
func (w *World) Alert(name string) (*Alert, error) {
	var names []string
	for _, a := range w.alerts {
		if a.Name == name {
			return &Alert{Alert: a, world: w}, nil
		}
		names = append(names, a.Name)
	}
	return nil, fmt.Errorf("no alert %s in %s: there are %s", name, w.config.Rules, strings.Join(names, ", "))
}

// Runbook reads the runbook of that name, such as the one of a procedure.
func (w *World) Runbook(name string) (*runbook.Runbook, error) {
	return runbook.Load(filepath.Join(w.config.Runbooks, name+".md"))
}

// Runbook reads the runbook that the alert's name leads to.
func (a *Alert) Runbook() (*runbook.Runbook, error) { return a.world.Runbook(a.Name) }

// Window is how far the alert's expression looks back: the longest range in it, 0 where there is none.
func (a *Alert) Window() time.Duration {
	var longest time.Duration
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(a.Expr)
	if err != nil {
		return 0 // no rule that Prometheus has loaded
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if matrix, ok := node.(*parser.MatrixSelector); ok {
			longest = max(longest, matrix.Range)
		}
		return nil
	})
	return longest
}

// Observation is what there was to see of an alert at one moment, and around it.
type Observation struct {
	Alert     string
	Rule      string // file:line
	Expr      string
	State     string // inactive, pending or firing
	Instances []Instance
	Health    string // of the rule: ok, err or unknown
	LastError string
	Evaluated time.Time
	Targets   []Target
	// Stale says why what was seen tells nothing about the world as it is now: something was not scraped or evaluated
	// since it was changed last. Nil when all was.
	Stale error
	// Absent are the series that the expression reads and that have no sample since the world was changed last.
	Absent []string
	Served string // what the service serves
	// Last is the step that was followed last, if any was.
	Last runbook.Result
	At   time.Time
}

// Instance is one active alert of the rule.
type Instance struct {
	Labels map[string]string
	State  string
	Since  time.Time
	Value  float64
}

// Target is one target of Prometheus.
type Target struct {
	Job, Instance string
	Up            bool
	LastError     string
}

// Observe looks at the alert, at the targets, and at the service.
func (a *Alert) Observe(ctx context.Context) (Observation, error) {
	w := a.world
	changed := w.sinceWhen()
	w.mu.Lock()
	last := w.last
	w.mu.Unlock()
	seen, err := w.watchers.look(ctx)
	if err != nil {
		return Observation{}, err
	}
	o := Observation{
		Alert: a.Name, Rule: fmt.Sprintf("%s:%d", w.relative(a.File), a.Line), Expr: a.Expr,
		Stale: w.watchers.since(ctx, seen, changed), Last: last, At: time.Now(),
	}
	i := slices.IndexFunc(seen.rules, func(r prometheus.AlertingRule) bool { return r.Name == a.Name })
	if i < 0 {
		return o, fmt.Errorf("Prometheus has no rule %s", a.Name)
	}
	r := seen.rules[i]
	o.State, o.Health, o.LastError, o.Evaluated = r.State, string(r.Health), r.LastError, r.LastEvaluation
	for _, active := range r.Alerts {
		value, err := strconv.ParseFloat(active.Value, 64)
		if err != nil {
			return o, fmt.Errorf("value of %s: %w", a.Name, err)
		}
		o.Instances = append(o.Instances, Instance{Labels: plain(active.Labels), State: string(active.State), Since: active.ActiveAt, Value: value})
	}
	for _, t := range seen.targets {
		o.Targets = append(o.Targets, Target{
			Job: string(t.Labels["job"]), Instance: string(t.Labels["instance"]), Up: t.Health == prometheus.HealthGood, LastError: t.LastError,
		})
	}
	if o.Absent, err = w.watchers.absent(ctx, a.Expr, changed); err != nil {
		return o, err
	}
	if served, err := w.host.Certificate(ctx); err != nil {
		o.Served = "serving nothing: " + err.Error()
	} else {
		o.Served = served.String()
	}
	return o, nil
}

// absent are the selectors of the expression that match no series with a sample since the moment.
func (m *watchers) absent(ctx context.Context, expr string, since time.Time) ([]string, error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, fmt.Errorf("parse %q: %w", expr, err)
	}
	var missing []string
	for _, selectors := range parser.ExtractSelectors(parsed) {
		var matchers []string
		for _, m := range selectors {
			matchers = append(matchers, m.String())
		}
		selector := "{" + strings.Join(matchers, ",") + "}"
		found, _, _, err := m.api.Query(ctx, "max(timestamp("+selector+"))", time.Time{})
		if err != nil {
			return nil, fmt.Errorf("ask Prometheus for %s: %w", selector, err)
		}
		vector, ok := found.(model.Vector)
		if !ok || len(vector) == 0 || time.UnixMilli(int64(float64(vector[0].Value)*1000)).Before(since) {
			missing = append(missing, selector)
		}
	}
	return missing, nil
}

// Firing are the names of all alerts that fire, sorted.
func (w *World) Firing(ctx context.Context) ([]string, error) {
	seen, err := w.watchers.look(ctx)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, r := range seen.rules {
		if r.State == string(prometheus.AlertStateFiring) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// EverFired says whether the alert has fired at any moment of Prometheus's history since Begin, leaps included.
func (a *Alert) EverFired(ctx context.Context) (bool, error) {
	found, _, _, err := a.world.watchers.api.Query(ctx, fmt.Sprintf(`last_over_time(ALERTS{alertname=%q,alertstate="firing"}[30d])`, a.Name), time.Time{})
	if err != nil {
		return false, fmt.Errorf("ask Prometheus for the history of %s: %w", a.Name, err)
	}
	vector, _ := found.(model.Vector)
	return len(vector) > 0, nil
}

// String is what an on-call wants to know at one glance.
func (o Observation) String() string {
	var b strings.Builder
	if len(o.Instances) == 0 {
		fmt.Fprintf(&b, "%s is %s: %s (%s)", o.Alert, o.State, strings.TrimSpace(o.Expr), o.Rule)
	}
	for i, instance := range o.Instances {
		if i > 0 {
			b.WriteString("\n  ")
		}
		fmt.Fprintf(&b, "%s%s is %s: value %.0f", o.Alert, distinguishing(instance.Labels), instance.State, instance.Value)
		if strings.Contains(o.Expr, "_seconds") {
			fmt.Fprintf(&b, " (%s)", rough(time.Duration(instance.Value*float64(time.Second))))
		}
		fmt.Fprintf(&b, ", %s (%s), for %s", strings.TrimSpace(o.Expr), o.Rule, rough(o.At.Sub(instance.Since)))
	}
	fmt.Fprintf(&b, ",\n  evaluated %s ago, rule health %s", rough(o.At.Sub(o.Evaluated)), o.Health)
	if o.LastError != "" {
		fmt.Fprintf(&b, " (%s)", o.LastError)
	}
	if len(o.Targets) == 0 {
		b.WriteString(", no target")
	}
	for _, t := range o.Targets {
		if t.Up {
			fmt.Fprintf(&b, ", target %s up", t.Instance)
		} else {
			fmt.Fprintf(&b, ", target %s DOWN (%s)", t.Instance, t.LastError)
		}
	}
	if len(o.Absent) > 0 {
		fmt.Fprintf(&b, ", no samples of %s", strings.Join(o.Absent, ", "))
	}
	if o.Stale != nil {
		fmt.Fprintf(&b, ", %s", o.Stale)
	}
	fmt.Fprintf(&b, ",\n  %s", o.Served)
	if o.Last.Of > 0 {
		summary, _, _ := strings.Cut(o.Last.String(), "\n")
		fmt.Fprintf(&b, "\n  last step %s", summary)
	}
	return b.String()
}

// distinguishing are the labels that tell instances apart: not those that the rule gives to all.
func distinguishing(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		switch name {
		case "alertname", "severity", "team":
		default:
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
		}
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

func plain(labels model.LabelSet) map[string]string {
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		out[string(name)] = string(value)
	}
	return out
}

// relative is the path as a reader of the repository knows it.
func (w *World) relative(path string) string {
	if short, err := filepath.Rel(w.config.Root, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// rough is a duration in the two units that matter: 6d23h, 1h0m, 42s.
func rough(d time.Duration) string {
	if d < 0 {
		return "-" + rough(-d)
	}
	switch day := 24 * time.Hour; {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= 10*time.Second:
		return d.Truncate(time.Second).String()
	}
	return d.Truncate(100 * time.Millisecond).String()
}
