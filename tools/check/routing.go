package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/route"
	"github.com/stemedb/firedrill/tools/rule"
)

// kind is the alerts that routing cannot tell apart.
type kind struct {
	arrival // the first of them
	all     []arrival
}

// arrival is an alert and what is known of its labels once Alertmanager gets it.
type arrival struct {
	rule.Alert
	labels route.Alert
}

// labelsOfAlerts returns what is known of the labels of the alerts of a rule as Alertmanager gets them.
func (c *checker) labelsOfAlerts(alert rule.Alert, expr parser.Expr, external *route.External) route.Alert {
	has := c.series.of(expr)
	return func(name string) (string, bool) {
		if !external.Keeps(name) {
			return "", false
		}
		if value, given := labelOf(alert, name); given {
			return value, !strings.Contains(value, "{{")
		}
		if value := matched(expr, name); value != "" && has.May(name) {
			return value, true
		}
		if has.May(name) {
			return "", false
		}
		return external.Label(name)
	}
}

// matched returns the value that all series of an expression have of a label, since each selector asks for it; empty where
// that is not certain.
func matched(expr parser.Expr, name string) string {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return matched(e.Expr, name)
	case *parser.MatrixSelector:
		return matched(e.VectorSelector, name)
	case *parser.VectorSelector:
		for _, m := range e.LabelMatchers {
			if m.Name == name && m.Type == promlabels.MatchEqual {
				return m.Value
			}
		}
	case *parser.SubqueryExpr:
		return matched(e.Expr, name)
	case *parser.AggregateExpr:
		if e.Op != parser.COUNT_VALUES {
			return matched(e.Expr, name)
		}
	case *parser.Call:
		if e.Func.Name == "label_replace" || e.Func.Name == "label_join" || e.Func.Name == "info" || len(e.Args) == 0 {
			return ""
		}
		for _, arg := range e.Args {
			if arg.Type() != parser.ValueTypeScalar && arg.Type() != parser.ValueTypeString {
				return matched(arg, name)
			}
		}
	case *parser.BinaryExpr:
		left, right := matched(e.LHS, name), matched(e.RHS, name)
		switch {
		case e.Op == parser.LAND || e.Op == parser.LUNLESS || e.RHS.Type() == parser.ValueTypeScalar:
			return left
		case e.LHS.Type() == parser.ValueTypeScalar:
			return right
		case left == right:
			return left
		}
	}
	return ""
}

// kinds returns the alerts as routing tells them apart.
func (c *checker) kinds(r *routing) []kind {
	names := append([]string{}, r.matched...)
	for _, in := range r.Inhibitions {
		for _, m := range slices.Concat(in.Source, in.Target) {
			names = append(names, m.Name)
		}
		for _, equal := range in.Equal {
			names = append(names, equal.Name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	seen := map[string]int{}
	var found []kind
	for _, alert := range c.alerts {
		expr, err := promql.ParseExpr(alert.Expr)
		if err != nil {
			continue // Run reports it
		}
		one := arrival{alert, c.labelsOfAlerts(alert, expr, r.external)}
		var key strings.Builder
		for _, name := range names {
			value, known := one.labels(name)
			fmt.Fprintf(&key, "%q%v", value, known)
		}
		at, ok := seen[key.String()]
		if !ok {
			at = len(found)
			seen[key.String()] = at
			found = append(found, kind{arrival: one})
		}
		found[at].all = append(found[at].all, one)
	}
	return found
}

func (c *checker) reportRoute(r *routing, at route.Place, check, format string, args ...any) {
	c.report(check, r.file, at.Line, at.Column, format, args...)
}

// configuration reports what is wrong with Alertmanager's configuration, on its own and for the alerts.
func (c *checker) configuration(r *routing) {
	c.lines[r.file] = r.Masked()
	var all []*[]route.Matcher
	r.Top.Walk(func(n *route.Node) bool {
		all = append(all, &n.Matchers)
		return true
	})
	for i := range r.Inhibitions {
		all = append(all, &r.Inhibitions[i].Source, &r.Inhibitions[i].Target)
	}
	wrong := map[*[]route.Matcher]bool{} // those that are reported, so that what follows from them is not
	for _, matchers := range all {
		for i := range *matchers {
			m := &(*matchers)[i]
			if c.pattern(r, *m) {
				wrong[matchers] = true
			} else {
				c.label(r, m)
			}
		}
	}
	kinds := c.kinds(r)
	c.unreached(r, kinds, wrong)
	for i := range r.Inhibitions {
		in := &r.Inhibitions[i]
		if !wrong[&in.Source] && !wrong[&in.Target] {
			c.inhibition(r, *in, kinds)
		}
	}
	c.intervals(r, time.Now())
	c.unused(r)
	c.messages(r, kinds)
}

// patternText matches what is a pattern and hardly a value.
var patternText = regexp.MustCompile(`^\*$|\.[*+]|^\^|\$$|\w\*$|^\*\w|^\(.*\|.*\)$|\w\|\w`)

// pattern reports a matcher that compares a label with a pattern by = or !=.
func (c *checker) pattern(r *routing, m route.Matcher) bool {
	if m.Type != labels.MatchEqual && m.Type != labels.MatchNotEqual || !patternText.MatchString(m.Value) {
		return false
	}
	for _, alert := range c.alerts {
		if value, given := labelOf(alert, m.Name); given && value == m.Value {
			return false
		}
	}
	value, op := m.Value, "=~"
	if m.Type == labels.MatchNotEqual {
		op = "!~"
	}
	switch {
	case value == "*":
		value = ".+"
	case strings.Contains(value, "*") && !strings.Contains(value, ".*"):
		value = strings.ReplaceAll(value, "*", ".*")
	}
	fix := fmt.Sprintf("write %s%s%q", m.Name, op, value)
	if m.Key != "matchers" && strings.HasSuffix(m.Key, "match") {
		fix = fmt.Sprintf("write it under %s_re, as in {%s: '%s'}", m.Key, m.Name, value)
	}
	c.reportRoute(r, m.Place, "route/pattern", "%s compares the label %s with the text %q, as = and != take no pattern: %s", m, m.Name, m.Value, fix)
	return true
}

// label reports a matcher on a label that is another's name misspelt, and corrects it for what follows.
func (c *checker) label(r *routing, m *route.Matcher) {
	for _, alert := range c.alerts {
		if _, given := alert.Labels[m.Name]; given || m.Name == model.AlertNameLabel {
			return
		}
	}
	if value, known := r.external.Label(m.Name); known && value != "" {
		return
	}
	for _, name := range append([]string{model.AlertNameLabel}, UsualLabels(c.alerts)...) {
		near := nearest.Within(1, m.Name, []string{name}) != "" && len(name) > 4
		if name == model.AlertNameLabel {
			near = nearest.Within(2, m.Name, []string{name}) != "" || strings.EqualFold(strings.ReplaceAll(m.Name, "_", ""), name) || m.Name == "alert"
		}
		if !near || m.Matches("") {
			continue
		}
		renamed, err := labels.NewMatcher(m.Type, name, m.Value)
		if err != nil || !slices.ContainsFunc(c.alerts, func(alert rule.Alert) bool {
			value, given := labelOf(alert, name)
			return given && renamed.Matches(value)
		}) {
			continue
		}
		what := fmt.Sprintf("nearly all alerts have the label %s", name)
		if name == model.AlertNameLabel {
			what = "the name of an alert is in its label alertname"
		}
		c.reportRoute(r, m.Place, "route/label", "%s asks for the label %s, which no rule gives, but %s: write %s", m, m.Name, what, renamed)
		m.Matcher = renamed
		return
	}
}
