package check

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/inhibit"
	amlabels "github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// condition is one way to read an expression: a threshold over something or, where op is 0, the expression itself.
type condition struct {
	of    string // canonical
	op    parser.ItemType
	value float64
	expr  parser.Expr // what of is the form of
}

// parsedAlert is an alert with the conditions in its expression.
type parsedAlert struct {
	rule.Alert
	all []condition // whenever it fires, each of them holds for the same series; the first is the whole expression
	any []condition // whenever one of them holds, it fires for the same series
}

// deepest bounds how far a chain of "and" or "or" is followed.
const deepest = 20

func newParsedAlert(alert rule.Alert, expr parser.Expr) parsedAlert {
	c := parsedAlert{Alert: alert}
	for e := promql.Bare(expr); len(c.all) < deepest; {
		c.all = append(c.all, conditionOf(e))
		binary, ok := e.(*parser.BinaryExpr)
		if !ok || binary.Op != parser.LAND && binary.Op != parser.LUNLESS {
			break
		}
		e = promql.Bare(binary.LHS)
	}
	var visit func(e parser.Expr)
	visit = func(e parser.Expr) {
		if len(c.any) == deepest {
			return
		}
		c.any = append(c.any, conditionOf(e))
		if binary, ok := promql.Bare(e).(*parser.BinaryExpr); ok && binary.Op == parser.LOR {
			visit(binary.LHS)
			visit(binary.RHS)
		}
	}
	visit(expr)
	return c
}

// alwaysBeside reports whether other fires, for the same series, during all the time that c does.
func (c parsedAlert) alwaysBeside(other parsedAlert) bool {
	if other.For > c.For || other.KeepFiringFor < c.KeepFiringFor {
		return false
	}
	for _, narrow := range c.all {
		if slices.ContainsFunc(other.any, narrow.implies) {
			return true
		}
	}
	return false
}

func conditionOf(expr parser.Expr) condition {
	expr = promql.Bare(expr)
	e, ok := expr.(*parser.BinaryExpr)
	if !ok || !e.Op.IsComparisonOperator() || e.ReturnBool {
		return condition{of: promql.Canonical(expr), expr: expr}
	}
	left, right := linear(e.LHS), linear(e.RHS)
	switch {
	case right.scale == 0 && left.scale != 0:
		return condition{of: promql.Canonical(e.LHS), op: e.Op, value: right.constant, expr: e.LHS}
	case left.scale == 0 && right.scale != 0:
		return condition{of: promql.Canonical(e.RHS), op: promql.Mirror(e.Op), value: left.constant, expr: e.RHS}
	}
	return condition{of: promql.Canonical(expr), expr: expr}
}

// same reports whether two conditions mean the same.
func (c condition) same(o condition) bool { return c.of == o.of && c.op == o.op && c.value == o.value }

// narrower reports whether an expression selects some of the series that another one selects.
func narrower(one, other parser.Expr) bool {
	a, ok := promql.Bare(one).(*parser.VectorSelector)
	b, also := promql.Bare(other).(*parser.VectorSelector)
	if !ok || !also || len(b.LabelMatchers) >= len(a.LabelMatchers) {
		return false
	}
	without := *a
	without.LabelMatchers = b.LabelMatchers
	return promql.Canonical(&without) == promql.Canonical(b) && !slices.ContainsFunc(b.LabelMatchers, func(m *labels.Matcher) bool {
		return !slices.ContainsFunc(a.LabelMatchers, func(n *labels.Matcher) bool { return n.String() == m.String() })
	})
}

// implies reports whether every value that meets c meets wide too.
func (c condition) implies(wide condition) bool {
	if c.of != wide.of && !narrower(c.expr, wide.expr) {
		return false
	}
	if c.op == wide.op && math.Float64bits(c.value) == math.Float64bits(wide.value) || wide.op == 0 {
		return true // the same, or the series that wide fires for at any value
	}
	strict := c.op == parser.GTR || c.op == parser.LSS
	switch wide.op {
	case parser.GTR:
		return (c.op == parser.GTR || c.op == parser.GTE || c.op == parser.EQLC) && (c.value > wide.value || strict && c.value >= wide.value)
	case parser.GTE:
		return (c.op == parser.GTR || c.op == parser.GTE || c.op == parser.EQLC) && c.value >= wide.value
	case parser.LSS:
		return (c.op == parser.LSS || c.op == parser.LTE || c.op == parser.EQLC) && (c.value < wide.value || strict && c.value <= wide.value)
	case parser.LTE:
		return (c.op == parser.LSS || c.op == parser.LTE || c.op == parser.EQLC) && c.value <= wide.value
	}
	return false
}

// identity is the labels by which Alertmanager distinguishes alerts, as far as the rule gives them. Templates that show the value
// differ by more than their text.
func identity(alert rule.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", alert.Name)
	for _, name := range slices.Sorted(maps.Keys(alert.Labels)) {
		fmt.Fprintf(&b, " %q=%q", name, alert.Labels[name])
	}
	return b.String()
}

func showsValue(alert rule.Alert) bool {
	for _, text := range alert.Labels {
		if strings.Contains(text, "{{") && strings.Contains(strings.ToLower(text), "value") {
			return true
		}
	}
	return false
}

// duplicates finds the alerts that are defined twice, and those that cannot be distinguished from another: to Alertmanager, alerts
// with the same name and labels are one.
func (c *checker) duplicates(alerts []parsedAlert) {
	same := map[string][]parsedAlert{}
	for _, cl := range alerts {
		if !showsValue(cl.Alert) {
			key := identity(cl.Alert)
			same[key] = append(same[key], cl)
		}
	}
	for _, group := range same {
		group = group[:min(len(group), maxAlike)]
		for i, second := range group {
			for j, first := range group {
				where := fmt.Sprintf("%s:%d", first.File, first.Line)
				equal := first.all[0].same(second.all[0])
				switch {
				case i == j:
					continue
				case equal && first.For == second.For && first.KeepFiringFor == second.KeepFiringFor:
					if j > i {
						continue
					}
					c.reportAt(second.Alert, "alert", 0, "alert/duplicate", "%s is defined at %s already, with the same labels and the same expression: remove one of the two", second.Name, where)
				case second.alwaysBeside(first):
					c.reportAt(second.Alert, "alert", 0, "alert/hidden", "this %s cannot be distinguished from the one at %s, which fires whenever it does and has the same labels, so that Alertmanager takes the two for one: give it another label, such as another severity, or remove it",
						second.Name, where)
				default:
					continue
				}
				break
			}
		}
	}
}

// maxAlike bounds how many alerts of one name and the same labels are compared with each other.
const maxAlike = 100

// inhibited finds the alerts that an inhibition rule mutes for as long as they fire.
func (c *checker) inhibited(alerts []parsedAlert, r *routing) {
	byCondition := map[string][]parsedAlert{}
	for _, cl := range alerts {
		seen := map[string]bool{}
		for _, wide := range cl.any {
			if !seen[wide.of] && len(byCondition[wide.of]) < maxAlike {
				seen[wide.of] = true
				byCondition[wide.of] = append(byCondition[wide.of], cl)
			}
		}
	}
	for _, target := range alerts {
		if source, ok := c.inhibitor(target, byCondition, r); ok {
			c.reportAt(target.Alert, "alert", 0, "alert/hidden", "%s never notifies: an inhibition rule of %s mutes it while %s fires, which fires whenever it does (%s:%d): fix the inhibition rule, or remove the alert",
				target.Name, r.file, source.Name, source.File, source.Line)
		}
	}
}

func (c *checker) inhibitor(target parsedAlert, byCondition map[string][]parsedAlert, r *routing) (parsedAlert, bool) {
	for _, narrow := range target.all {
		for _, source := range byCondition[narrow.of] {
			if identity(source.Alert) != identity(target.Alert) && target.alwaysBeside(source) &&
				slices.ContainsFunc(r.inhibitions, func(i *inhibit.InhibitRule) bool { return mutes(i, source.Alert, target.Alert) }) {
				return source, true
			}
		}
	}
	return parsedAlert{}, false
}

// mutes reports whether an inhibition rule certainly mutes one alert while another fires for the same series.
func mutes(i *inhibit.InhibitRule, source, target rule.Alert) bool {
	if !matches(i.SourceMatchers, source, false) || !matches(i.TargetMatchers, target, false) {
		return false
	}
	// Alertmanager does not mute a target that is a source as well, where the source is a target as well.
	if matches(i.SourceMatchers, target, true) && matches(i.TargetMatchers, source, true) {
		return false
	}
	for name := range i.Equal {
		s, given := labelOf(source, string(name))
		t, givenToo := labelOf(target, string(name))
		// A label that neither rule gives comes from the series, which is the same.
		if given != givenToo || given && (s != t || strings.Contains(s, "{{")) {
			return false
		}
	}
	return true
}

func labelOf(alert rule.Alert, name string) (value string, given bool) {
	if name == model.AlertNameLabel {
		return alert.Name, true
	}
	value, given = alert.Labels[name]
	return value, given
}

// matches reports whether an alert meets all matchers for certain or, if possibly is set, whether it may.
func matches(matchers amlabels.Matchers, alert rule.Alert, possibly bool) bool {
	for _, m := range matchers {
		value, given := labelOf(alert, m.Name)
		known := given && !strings.Contains(value, "{{")
		if known && !m.Matches(value) || !known && !possibly {
			return false
		}
	}
	return true
}
