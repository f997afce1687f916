package ruletest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/evaluate"
	"github.com/stemedb/firedrill/tools/nearest"
)

// vacuous finds the assertions and input series of a test that say nothing of the rules: they would hold, or be ignored,
// whatever the rules are.
func (t *test) vacuous(warn func(line int, format string, args ...any)) {
	all := t.file.loaded.rules.All()
	if len(all) == 0 {
		return // a warning of the file says so
	}
	var names []string
	for _, r := range all {
		if r.Alerting {
			names = append(names, r.Name)
		}
	}
	for _, a := range t.AlertTests {
		if !slices.Contains(names, a.Alertname) {
			hint := ""
			if near := nearest.Within(2, a.Alertname, names); near != "" {
				hint = ", such as " + near
			}
			warn(a.line, "no rule of the rule_files raises an alert %q, so that nothing is tested: name one that a rule raises%s", a.Alertname, hint)
		} else if what := t.missing(a); what != "" {
			warn(a.line, "%s does not fire at %s whatever its rule says, since %s: give the test such series", a.Alertname, a.EvalTime, what)
		}
	}
	said := map[string]bool{}
	for _, s := range t.InputSeries {
		metric, err := promqlParser.ParseMetric(strings.TrimSpace(s.Series))
		name := metric.Get(model.MetricNameLabel)
		if err == nil && !said[name] && !t.read(name) {
			said[name] = true
			warn(s.line, "no rule of the rule_files and no expr of the test reads %s: remove the series, or fix its name", name)
		}
	}
}

// read reports whether a rule or the test may read a metric.
func (t *test) read(metric string) bool {
	return t.reads(metric) || slices.ContainsFunc(t.file.loaded.rules.All(), func(r *evaluate.Rule) bool {
		return r.Expr.Selects(metric) || r.Queries && (mentions(r.Annotations, metric) || mentions(r.Labels, metric))
	})
}

// mentions reports whether a text, which may be a template with a query, has a metric's name in it.
func mentions(texts labels.Labels, metric string) bool {
	found := false
	texts.Range(func(l labels.Label) { found = found || strings.Contains(l.Value, metric) })
	return found
}

// missing says which samples are missing for an assertion that an alert does not fire to be more than nothing: no rule
// of that name has a sample to look at until then. It is empty where one has, or where the alert is expected to fire.
func (t *test) missing(a alertTest) string {
	if len(a.Expected) > 0 {
		return ""
	}
	at := t.at(t.slotOf(a)).UnixMilli()
	there := map[string]bool{}
	for _, s := range t.series {
		if s.first() <= at {
			there[s.Metric.Get(model.MetricNameLabel)] = true
		}
	}
	live := t.file.loaded.rules.Live(there).All()
	var names []string
	for _, r := range t.file.loaded.rules.All() {
		switch {
		case !r.Alerting || r.Name != a.Alertname:
		case slices.Contains(live, r):
			return ""
		case r.Expr.Any:
			return "the test has no series until then"
		default:
			names = append(names, r.Expr.Names...)
		}
	}
	slices.Sort(names)
	return fmt.Sprintf("until then the test has no sample of %s, which it reads", strings.Join(slices.Compact(names), ", "))
}
