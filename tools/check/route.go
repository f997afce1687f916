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
	file  string
	root  *dispatch.Route
	heard map[string]bool // whether anything is configured behind a receiver

	asked       []string // the labels that routes ask for, in order
	inhibitions []*inhibit.InhibitRule
}

// likeAlertmanager sets the syntax of matchers to what Alertmanager accepts unless it is told otherwise.
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
			return nil, fmt.Errorf("%s:%s: %s: mend it until Alertmanager loads it", file, m[1], m[2])
		}
		return nil, fmt.Errorf("%s: %s: mend it until Alertmanager loads it", file, strings.TrimPrefix(text, "open "+file+": "))
	}
	r := &routing{file: file, root: dispatch.NewRoute(cfg.Route, nil), heard: map[string]bool{}}
	for _, receiver := range cfg.Receivers {
		// Each kind of integration is a list of its own, and each release of Alertmanager brings another.
		for _, field := range reflect.ValueOf(receiver).Fields() {
			if field.Kind() == reflect.Slice && field.Len() > 0 {
				r.heard[receiver.Name] = true
			}
		}
	}
	r.root.Walk(func(route *dispatch.Route) {
		for _, m := range route.Matchers {
			r.asked = append(r.asked, m.Name)
		}
	})
	slices.Sort(r.asked)
	r.asked = slices.Compact(r.asked)
	for _, inhibition := range cfg.InhibitRules {
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
	set := model.LabelSet{model.AlertNameLabel: model.LabelValue(alert.Name)}
	for name, value := range alert.Labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	var deaf []string
	for _, route := range r.root.Match(set) {
		if r.heard[route.RouteOpts.Receiver] {
			return
		}
		deaf = append(deaf, route.RouteOpts.Receiver)
	}
	slices.Sort(deaf)
	with, mend := "", "give it labels that are routed"
	if len(by) > 0 {
		with = "with " + strings.Join(by, " and ") + " "
	}
	if len(by) == 1 {
		mend = "give it a " + strings.Fields(by[0])[0] + " that is routed"
	}
	c.reportAt(alert, "labels.severity", 0, "route/receiver", "nobody hears of %s: %sit reaches only the receiver %s, which has no integration (%s): %s, or route this one",
		alert.Name, with, strings.Join(slices.Compact(deaf), ", "), r.file, mend)
}
