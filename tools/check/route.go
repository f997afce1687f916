package check

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/rule"
)

// routing is Alertmanager's own view of where alerts go.
type routing struct {
	file           string
	root           *dispatch.Route
	hasIntegration map[string]bool // by receiver

	matched     []string // the labels that routes match on, in order
	grouped     []string // the labels that routes group by
	inhibitions []*inhibit.InhibitRule
}

// likeAlertmanager sets the syntax of matchers to Alertmanager's default.
var likeAlertmanager = sync.OnceFunc(func() {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
})

var (
	configLine  = regexp.MustCompile(`line (\d+): (.*)`)
	quotedValue = regexp.MustCompile("`[^`]*`")
)

// loadRouting reads an Alertmanager configuration; without a path, there is none.
func loadRouting(file string) (*routing, error) {
	if file == "" {
		return nil, nil
	}
	likeAlertmanager()
	cfg, err := config.LoadFile(file)
	if err != nil {
		// The values that the decoder quotes may be secrets.
		text := quotedValue.ReplaceAllString(err.Error(), "value")
		if m := configLine.FindStringSubmatch(text); m != nil {
			return nil, fmt.Errorf("%s:%s: %s: fix it so that Alertmanager loads it", file, m[1], m[2])
		}
		return nil, fmt.Errorf("%s: %s: fix it so that Alertmanager loads it", file, strings.TrimPrefix(text, "open "+file+": "))
	}
	r := &routing{file: file, root: dispatch.NewRoute(cfg.Route, nil), hasIntegration: map[string]bool{}}
	for _, receiver := range cfg.Receivers {
		// Each kind of integration is a separate list, and releases of Alertmanager add more.
		for _, field := range reflect.ValueOf(receiver).Fields() {
			if field.Kind() == reflect.Slice && field.Len() > 0 {
				r.hasIntegration[receiver.Name] = true
			}
		}
	}
	r.root.Walk(func(route *dispatch.Route) {
		for _, m := range route.Matchers {
			r.matched = append(r.matched, m.Name)
		}
		for name := range route.RouteOpts.GroupBy {
			r.grouped = append(r.grouped, string(name))
		}
	})
	slices.Sort(r.matched)
	r.matched = slices.Compact(r.matched)
	for _, inhibition := range cfg.InhibitRules {
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
		case strings.Contains(value, "{{"), !given && c.series.of(expr).may(name):
			return
		case given && name != model.AlertNameLabel:
			if by == nil {
				field = "labels." + name
			}
			by = append(by, fmt.Sprintf("%s %q", name, value))
		}
	}
	set := model.LabelSet{model.AlertNameLabel: model.LabelValue(alert.Name)}
	for name, value := range alert.Labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	var receivers []string
	for _, route := range r.root.Match(set) {
		if r.hasIntegration[route.RouteOpts.Receiver] {
			return
		}
		receivers = append(receivers, route.RouteOpts.Receiver)
	}
	slices.Sort(receivers)
	with, fix := "", "give it labels that a route matches"
	if len(by) > 0 {
		with = "with " + strings.Join(by, " and ") + " "
	}
	if len(by) == 1 {
		fix = "give it a " + strings.Fields(by[0])[0] + " that a route matches"
	}
	c.reportAt(alert, field, 0, "route/receiver", "no notification of %s is sent: %sit reaches only the receiver %s, which has no integration (%s): %s, or add a route for it",
		alert.Name, with, strings.Join(slices.Compact(receivers), ", "), r.file, fix)
}
