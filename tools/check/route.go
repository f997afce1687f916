package check

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/route"
	"github.com/stemedb/firedrill/tools/rule"
)

// routing is Alertmanager's own view of where alerts go.
type routing struct {
	*route.Tree
	file string

	asked       []string // the labels that routes ask for, in order
	inhibitions []*inhibit.InhibitRule
}

// loadRouting reads an Alertmanager configuration; without a path, there is none.
func loadRouting(file string) (*routing, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: fix it until Alertmanager loads it", strings.TrimPrefix(err.Error(), "open "))
	}
	tree, err := route.Parse(file, content)
	if err != nil {
		return nil, err
	}
	r := &routing{Tree: tree, file: file}
	r.Root.Walk(func(route *dispatch.Route) {
		for _, m := range route.Matchers {
			r.asked = append(r.asked, m.Name)
		}
	})
	slices.Sort(r.asked)
	r.asked = slices.Compact(r.asked)
	for _, inhibition := range r.Config.InhibitRules {
		r.inhibitions = append(r.inhibitions, inhibit.NewInhibitRule(inhibition))
	}
	return r, nil
}

// route demands that an alert reaches somebody, going by the labels that its rule gives it. Where a route asks for a
// label whose value the series decide, nothing is said.
func (c *checker) route(alert rule.Alert, expr parser.Expr, r *routing) {
	var by []string
	for _, name := range r.asked {
		value, given := labelOf(alert, name)
		switch {
		case strings.Contains(value, "{{"), !given && c.series.of(expr).may(name):
			return
		case given && name != model.AlertNameLabel:
			by = append(by, fmt.Sprintf("%s %q", name, value))
		}
	}
	labels := map[string]string{model.AlertNameLabel: alert.Name}
	maps.Copy(labels, alert.Labels)
	notified, silent := r.Match(labels)
	if len(notified) > 0 {
		return
	}
	with, mend := "", "give it labels that are routed"
	if len(by) > 0 {
		with = "with " + strings.Join(by, " and ") + " "
	}
	if len(by) == 1 {
		mend = "give it a " + strings.Fields(by[0])[0] + " that is routed"
	}
	c.reportAt(alert, "labels.severity", 0, "route/receiver", "nobody hears of %s: %sit reaches only the receiver %s, which has no integration (%s): %s, or route this one",
		alert.Name, with, strings.Join(silent, ", "), r.file, mend)
}
