package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Alert is an alert of the rules, in the testbed.
type Alert struct {
	rule.Alert
	testbed *Testbed
}

// Alert finds an alert by its name. The error names those that exist.
func (t *Testbed) Alert(name string) (*Alert, error) {
	var names []string
	for _, a := range t.config.Rules.Alerts {
		if a.Name == name {
			return &Alert{Alert: a, testbed: t}, nil
		}
		names = append(names, a.Name)
	}
	return nil, fmt.Errorf("no rule raises an alert %s: there are %s", name, strings.Join(names, ", "))
}

// Runbook reads the runbook of that name, such as that of a procedure.
func (t *Testbed) Runbook(name string) (*runbook.Runbook, error) {
	folder, err := runbook.ReadFolder(t.config.Runbooks, t.config.Grammar)
	if err != nil {
		return nil, err
	}
	return folder.Named(name)
}

// Runbook reads the runbook of the alert, which its name or its runbook_url leads to.
func (a *Alert) Runbook() (*runbook.Runbook, error) {
	folder, err := runbook.ReadFolder(a.testbed.config.Runbooks, a.testbed.config.Grammar)
	if err != nil {
		return nil, err
	}
	return folder.For(a.Name, a.Annotations["runbook_url"])
}

// Receivers are the receivers that an alert with these labels reaches, by Alertmanager's configuration as deployed, and
// those among them that are told when it is resolved (send_resolved). Both are sorted.
func (t *Testbed) Receivers(labels map[string]string) (all, toldResolved []string) {
	return receiversOf(t.configuration.alertmanager, labels)
}

// Observation is what Prometheus said of an alert at one moment, and what belongs to it.
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
	// Stale says why what was seen tells nothing about the present: something was not scraped or evaluated since the last
	// change. Nil when all was.
	Stale error
	// Absent are the series that the expression reads and that have no sample since the last change.
	Absent []string
	System string         // how the system under test is, as Config.Describe says
	Last   runbook.Result // the step that ran last, if any did
	At     time.Time
	// Values are of the series that the rule compares with its threshold, a text each, where none of them makes it active.
	Values []string

	static   map[string]string // labels of the rule
	interval time.Duration     // of the scrapes
}

// Instance is one active alert of the rule.
type Instance struct {
	Labels map[string]string
	State  string
	Since  time.Time
	Value  float64
	// HeldUntil is until when keep_firing_for keeps it firing though its expression is empty; zero where it is not.
	HeldUntil time.Time
}

// Target is one target of Prometheus.
type Target struct {
	Job, Instance string
	Up            bool
	LastError     string
}

// Observe looks at the alert, at the targets, and at the system under test.
func (a *Alert) Observe(ctx context.Context) (Observation, error) {
	t := a.testbed
	changed := t.lastChange()
	t.mu.Lock()
	last := t.last
	t.mu.Unlock()
	seen, err := t.status(ctx)
	if err != nil {
		return Observation{}, err
	}
	o := Observation{
		Alert: a.Name, Rule: fmt.Sprintf("%s:%d", t.relative(a.File), a.Line), Expr: a.Expr,
		Stale: t.stale(ctx, seen, changed), Last: last, At: time.Now(), static: a.Labels, interval: t.config.Interval,
	}
	i := slices.IndexFunc(seen.rules, func(r prometheus.AlertingRule) bool { return r.Name == a.Name })
	if i < 0 {
		return o, fmt.Errorf("Prometheus has no rule %s", a.Name)
	}
	r := seen.rules[i]
	o.State, o.Health, o.LastError, o.Evaluated = r.State, string(r.Health), r.LastError, r.LastEvaluation
	held, err := a.held(ctx)
	if err != nil {
		return o, err
	}
	for _, active := range r.Alerts {
		value, err := strconv.ParseFloat(active.Value, 64)
		if err != nil {
			return o, fmt.Errorf("value of %s: %w", a.Name, err)
		}
		o.Instances = append(o.Instances, Instance{
			Labels: plain(active.Labels), State: string(active.State), Since: active.ActiveAt, Value: value,
			HeldUntil: held[active.Labels.Fingerprint()],
		})
	}
	for _, target := range seen.targets {
		o.Targets = append(o.Targets, Target{
			Job: string(target.Labels["job"]), Instance: string(target.Labels["instance"]), Up: target.Health == prometheus.HealthGood, LastError: target.LastError,
		})
	}
	if o.Absent, err = t.absent(ctx, a.Expr, changed); err != nil {
		return o, err
	}
	if len(o.Instances) == 0 {
		if o.Values, err = a.values(ctx); err != nil {
			return o, err
		}
	}
	if t.config.Describe != nil {
		o.System = t.config.Describe(ctx)
	}
	return o, nil
}

// values are those of the series that the rule compares with a number, three at most.
func (a *Alert) values(ctx context.Context) (values []string, err error) {
	compared, signal := journal.Of(a.Alert)
	if compared.Threshold == nil {
		return nil, nil
	}
	found, _, _, err := a.testbed.api.Query(ctx, signal.Expr, time.Time{})
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for %s: %w", signal.Expr, err)
	}
	vector, _ := found.(model.Vector)
	slices.SortFunc(vector, func(a, b *model.Sample) int { return strings.Compare(a.Metric.String(), b.Metric.String()) })
	for _, sample := range vector[:min(3, len(vector))] {
		values = append(values, fmt.Sprintf("%s is %.6g", labelText(plain(model.LabelSet(sample.Metric)), nil), float64(sample.Value)))
	}
	return values, nil
}

// held is until when keep_firing_for keeps the alert's instances firing though their expression is empty. The client
// library does not read that field.
func (a *Alert) held(ctx context.Context) (map[model.Fingerprint]time.Time, error) {
	if a.KeepFiringFor == 0 {
		return nil, nil
	}
	content, err := a.testbed.get(ctx, portPrometheus, "/api/v1/alerts")
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus for its alerts: %w", err)
	}
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels          model.LabelSet
				KeepFiringSince *time.Time
			}
		}
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("ask Prometheus for its alerts: %w", err)
	}
	until := map[model.Fingerprint]time.Time{}
	for _, alert := range answer.Data.Alerts {
		if alert.KeepFiringSince != nil && !alert.KeepFiringSince.IsZero() {
			until[alert.Labels.Fingerprint()] = alert.KeepFiringSince.Add(a.KeepFiringFor)
		}
	}
	return until, nil
}

// absent are the selectors of the expression that match no series with a sample since the moment.
func (t *Testbed) absent(ctx context.Context, expr string, since time.Time) ([]string, error) {
	parsed, err := parser.NewParser(promql.Options).ParseExpr(expr)
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
		found, _, _, err := t.api.Query(ctx, "max(timestamp("+selector+"))", time.Time{})
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
func (t *Testbed) Firing(ctx context.Context) ([]string, error) {
	seen, err := t.status(ctx)
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
	return slices.Compact(names), nil
}

// EverFired says whether the alert has fired at any moment of Prometheus's history since Begin, leaps included.
func (a *Alert) EverFired(ctx context.Context) (bool, error) {
	found, _, _, err := a.testbed.api.Query(ctx, fmt.Sprintf(`last_over_time(ALERTS{alertname=%q,alertstate="firing"}[30d])`, a.Name), time.Time{})
	if err != nil {
		return false, fmt.Errorf("ask Prometheus for the history of %s: %w", a.Name, err)
	}
	vector, _ := found.(model.Vector)
	return len(vector) > 0, nil
}

// InState is nil where the alert is firing or pending, as asked, on what was scraped since the last change; else it says
// why not.
func (o Observation) InState(state string) error {
	switch {
	case o.Stale != nil:
		return o.mismatch("be "+state, o.Stale.Error())
	case o.State != state:
		return o.mismatch("be "+state, "it is "+o.State)
	}
	return nil
}

// Inactive is nil where the alert is inactive and has grounds for it: a healthy rule, targets that are up, the series
// there, all seen since the last change. Else it says what is missing: an alert that falls silent is not resolved.
func (o Observation) Inactive() error {
	because := ""
	switch {
	case o.Stale != nil:
		because = o.Stale.Error()
	case o.Health != "ok":
		because = "its rule is not healthy: " + o.LastError
	case o.State != "inactive":
		because = "it is " + o.State
	case len(o.Targets) == 0:
		because = "Prometheus has no target"
	case len(o.Absent) > 0:
		because = "it is silent, not resolved: no samples of " + strings.Join(o.Absent, ", ")
	default:
		for _, target := range o.Targets {
			if !target.Up {
				because = "it is silent, not resolved: target " + target.Instance + " is down"
			}
		}
	}
	if because == "" {
		return nil
	}
	return o.mismatch("be inactive", because)
}

func (o Observation) mismatch(want, because string) error {
	return fmt.Errorf("expected %s to %s, but %s:\n  %s", o.Alert, want, because, o)
}

// String is what an on-call wants to know first.
func (o Observation) String() string {
	var b strings.Builder
	if len(o.Instances) == 0 {
		fmt.Fprintf(&b, "%s is %s: %s (%s)", o.Alert, o.State, strings.TrimSpace(o.Expr), o.Rule)
		if len(o.Values) > 0 {
			fmt.Fprintf(&b, ", now %s", strings.Join(o.Values, ", "))
		}
	}
	for i, instance := range o.Instances {
		if i > 0 {
			b.WriteString("\n  ")
		}
		fmt.Fprintf(&b, "%s%s is %s: value %.6g", o.Alert, labelText(instance.Labels, o.static), instance.State, instance.Value)
		if strings.Contains(o.Expr, "_seconds") {
			fmt.Fprintf(&b, " (%s)", Rough(time.Duration(instance.Value*float64(time.Second))))
		}
		fmt.Fprintf(&b, ", %s (%s), for %s", strings.TrimSpace(o.Expr), o.Rule, Rough(o.At.Sub(instance.Since)))
		if !instance.HeldUntil.IsZero() {
			fmt.Fprintf(&b, ", held by keep_firing_for until %s, in %s", instance.HeldUntil.Format(time.TimeOnly), Rough(instance.HeldUntil.Sub(o.At)))
		}
	}
	fmt.Fprintf(&b, ",\n  evaluated %s ago, rule health %s", Rough(o.At.Sub(o.Evaluated)), o.Health)
	if o.LastError != "" {
		fmt.Fprintf(&b, " (%s)", o.LastError)
	}
	if len(o.Targets) == 0 {
		b.WriteString(", no target")
	}
	for _, target := range o.Targets {
		if target.Up {
			fmt.Fprintf(&b, ", target %s up", target.Instance)
		} else {
			fmt.Fprintf(&b, ", target %s DOWN (%s)", target.Instance, target.LastError)
			if strings.Contains(target.LastError, "context deadline exceeded") {
				fmt.Fprintf(&b, ": the testbed gives a scrape %s", o.interval)
			}
		}
	}
	if len(o.Absent) > 0 {
		fmt.Fprintf(&b, ", no samples of %s", strings.Join(o.Absent, ", "))
	}
	if o.Stale != nil {
		fmt.Fprintf(&b, ", %s", o.Stale)
	}
	if o.System != "" {
		fmt.Fprintf(&b, ",\n  %s", o.System)
	}
	if o.Last.Of > 0 {
		summary, _, _ := strings.Cut(o.Last.String(), "\n")
		fmt.Fprintf(&b, "\n  last step %s", summary)
	}
	return b.String()
}

// labelText is an alert's labels, sorted, without its name and without those that the rule gives to all its instances.
func labelText(labels, static map[string]string) string {
	var pairs []string
	for name, value := range labels {
		if fixed, ok := static[name]; name != model.AlertNameLabel && !(ok && fixed == value) {
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
func (t *Testbed) relative(path string) string {
	if short, err := filepath.Rel(t.config.Root, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// Rough is a duration in the two units that matter: 6d23h, 1h0m, 42s.
func Rough(d time.Duration) string {
	if d < 0 {
		return "-" + Rough(-d)
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

// Window is how far the alert's expression looks back.
func (a *Alert) Window() time.Duration { return a.testbed.config.Rules.Window(a.Expr) }
