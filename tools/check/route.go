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
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/common/model"
	"github.com/stemedb/firedrill/tools/rule"
)

// routing is Alertmanager's own view of where alerts go.
type routing struct {
	file  string
	root  *dispatch.Route
	heard map[string]bool // whether anything is configured behind a receiver
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
	return r, nil
}

// route demands that an alert reaches somebody, going by the labels that its rule gives it.
func (c *checker) route(alert rule.Alert, r *routing) {
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
	c.reportAt(alert, "labels.severity", 0, "route/receiver", "nobody hears of %s: with severity %q it reaches only the receiver %s, which has no integration (%s): give it a severity that is routed, or route this one",
		alert.Name, alert.Labels["severity"], strings.Join(slices.Compact(deaf), ", "), r.file)
}
