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
	file     string
	external *route.External         // nil where Prometheus's configuration is not given
	firings  map[string]route.Firing // by alert and the labels that it is given

	matched     []string // the labels that routes match on, in order
	grouped     []string // the labels that routes group by
	inhibitions []*inhibit.InhibitRule
}

// loadRouting reads an Alertmanager configuration; without a path, there is none. Prometheus's may be missing.
func loadRouting(file, prometheus string) (*routing, error) {
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
	r := &routing{Tree: tree, file: file, firings: map[string]route.Firing{}}
	if prometheus != "" {
		content, err := os.ReadFile(prometheus)
		if err != nil {
			return nil, fmt.Errorf("%s: fix it until Prometheus loads it", strings.TrimPrefix(err.Error(), "open "))
		}
		if r.external, err = route.ParseExternal(prometheus, content); err != nil {
			return nil, err
		}
	}
	r.Root.Walk(func(route *dispatch.Route) {
		for _, m := range route.Matchers {
			r.matched = append(r.matched, m.Name)
		}
		for name := range route.RouteOpts.GroupBy {
			r.grouped = append(r.grouped, string(name))
		}
	})
	slices.Sort(r.matched)
	r.matched = slices.Compact(r.matched)
	for _, inhibition := range r.Config.InhibitRules {
		r.inhibitions = append(r.inhibitions, inhibit.NewInhibitRule(inhibition))
	}
	return r, nil
}

// route demands that an alert reaches a receiver with an integration, going by the labels that its rule gives it. Where a
// route matches on a label whose value comes from the series, nothing is reported.
func (c *checker) route(alert rule.Alert, expr parser.Expr, r *routing) {
	var by []string
	field := "alert" // the first label that routes match on, where the rule has one
	for _, name := range r.matched {
		value, given := labelOf(alert, name)
		switch {
		case strings.Contains(value, "{{"), !given && c.series.of(expr).May(name), !r.external.Keeps(name):
			return
		case given && name != model.AlertNameLabel:
			if by == nil {
				field = "labels." + name
			}
			by = append(by, fmt.Sprintf("%s %q", name, value))
		}
	}
	labels := r.external.All()
	labels[model.AlertNameLabel] = alert.Name
	maps.Copy(labels, alert.Labels)
	notified, silent := r.Match(labels)
	if len(notified) > 0 {
		return
	}
	with, fix := "", "give it labels that a route matches"
	if len(by) > 0 {
		with = "with " + strings.Join(by, " and ") + " "
	}
	if len(by) == 1 {
		fix = "give it a " + strings.Fields(by[0])[0] + " that a route matches"
	}
	c.reportAt(alert, field, 0, "route/receiver", "no notification of %s is sent: %sit reaches only the receiver %s, which has no integration (%s): %s, or add a route for it",
		alert.Name, with, strings.Join(silent, ", "), r.file, fix)
}
