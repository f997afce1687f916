package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/route"
)

// messages reports what Alertmanager could not render for one firing alert.
func (c *checker) messages(r *routing, kinds []kind) {
	renderer, err := r.Renderer()
	if err != nil {
		c.reportRoute(r, route.Place{Line: 1}, "route/template", "%v", err)
		return
	}
	for _, wrong := range renderer.Wrong {
		c.report("route/template", wrong.File, max(1, wrong.Line), 0, "Alertmanager does not start with this file of templates: %s: fix it", wrong.Reason)
	}
	if len(renderer.Wrong) > 0 {
		return
	}
	arrivals := map[*route.Node][]arrival{}
	var nodes []*route.Node
	r.Top.Walk(func(n *route.Node) bool {
		nodes = append(nodes, n)
		for _, k := range kinds {
			if k.labels.Reaches(n) {
				arrivals[n] = append(arrivals[n], k.all...)
			}
		}
		return true
	})
	for _, receiver := range r.Receivers {
		var at []*route.Node
		for _, n := range nodes {
			if n.RouteOpts.Receiver == receiver.Name.Name {
				at = append(at, n)
			}
		}
		for _, integration := range r.Integrations(receiver.Name.Name) {
			for _, field := range integration.Fields {
				// Alertmanager's own templates suit every alert, as long as no file defines them again.
				if strings.Contains(field.Text, "{{") && (field.Given || renderer.Redefines()) {
					c.message(r, renderer, receiver.Name.Name+", "+integration.Name, field, at, arrivals, kinds)
					if field.Given && !field.Secret {
						c.shown(r, renderer, receiver.Name.Name+", "+integration.Name, field, at, arrivals)
					}
				}
			}
		}
	}
}

// message reports a field of a receiver that cannot be rendered for an alert.
func (c *checker) message(r *routing, renderer *route.Renderer, receiver string, field route.Field, at []*route.Node, arrivals map[*route.Node][]arrival, kinds []kind) {
	shown := renderer.Shown(field.Text)
	try := func(n *route.Node, alert arrival) bool {
		_, err := renderer.Render(field, n, r.firing(alert, shown))
		if err == nil {
			return true
		}
		reason := err.Error()
		if field.Secret {
			reason = "the template is wrong"
		}
		c.reportRoute(r, field.Place, "route/template", "no notification of %s is sent by %s: its %s does not render: %s: fix the template",
			alert.Name, receiver, field.Key, reason)
		return false
	}
	rendered := false
	for _, n := range at {
		for _, alert := range arrivals[n] {
			if rendered = true; !try(n, alert) {
				return
			}
		}
	}
	if !rendered && len(kinds) > 0 { // a receiver that no alert reaches
		try(append(at, r.Top)[0], kinds[0].all[0])
	}
}

// shown reports the labels and annotations that a field of a receiver shows, and that are never there.
func (c *checker) shown(r *routing, renderer *route.Renderer, receiver string, field route.Field, at []*route.Node, arrivals map[*route.Node][]arrival) {
	var reaching []arrival
	for _, n := range at {
		reaching = append(reaching, arrivals[n]...)
	}
	for _, u := range renderer.Uses(field.Text) {
		why, fix := "", "leave it out"
		var names []string
		switch u.Of {
		case "GroupLabels":
			grouped := func(n *route.Node) bool {
				_, ok := n.RouteOpts.GroupBy[model.LabelName(u.Name)]
				return ok || n.RouteOpts.GroupByAll
			}
			if i := slices.IndexFunc(at, func(n *route.Node) bool { return !grouped(n) }); i >= 0 {
				why = fmt.Sprintf("the route at %s does not group by %s", at[i].Place.In(r.file), u.Name)
				fix = fmt.Sprintf("add %s to its group_by, or show .CommonLabels.%s", u.Name, u.Name)
			}
		case "CommonLabels", "Labels":
			names = UsualLabels(c.alerts)
			// Without Prometheus's configuration it is not known which labels that adds: only a slip is certain.
			isSlip := r.external == nil && nearest.Within(slips(u.Name), u.Name, names) != ""
			has := func(alert arrival) bool {
				if isSlip {
					_, given := alert.Labels[u.Name]
					return given || c.series.may(alert.Expr, u.Name)
				}
				value, known := alert.labels(u.Name)
				return value != "" || !known
			}
			if len(reaching) > 0 && !slices.ContainsFunc(reaching, has) {
				why = "no alert that reaches it has the label " + u.Name
			}
		case "CommonAnnotations", "Annotations":
			if len(reaching) > 0 && !slices.ContainsFunc(reaching, func(alert arrival) bool { return alert.Annotations[u.Name] != "" }) {
				why = "no alert that reaches it has the annotation " + u.Name
				for _, alert := range reaching {
					names = slices.AppendSeq(names, maps.Keys(alert.Annotations))
				}
			}
		}
		if why == "" {
			continue
		}
		if near := nearest.Within(slips(u.Name), u.Name, names); near != "" {
			fix = fmt.Sprintf("did you mean %s?", near)
		}
		p := place{file: r.file, line: field.Place.Line, column: field.Place.Column}
		const most = 30 // lines of a text
		for n := p.line; n < p.line+most; n++ {
			if text := c.line(r.file, n); strings.Contains(text, u.Of+"."+u.Name) {
				p.line = n
				p = p.around(text, u.Of+"."+u.Name)
				break
			}
		}
		c.reportPlace(p, "route/text", "the %s of %s shows nothing for .%s.%s, since %s: %s", field.Key, receiver, u.Of, u.Name, why, fix)
		if u.Of != "GroupLabels" { // alerts can come from elsewhere
			c.findings[len(c.findings)-1].Severity = finding.Warning
		}
	}
}

// firing returns an alert as Alertmanager gets it, with a value for each label that a template shows and it may have.
func (r *routing) firing(alert arrival, shown []string) route.Firing {
	key := fmt.Sprint(alert.File, ":", alert.Line, shown)
	if found, ok := r.firings[key]; ok {
		return found
	}
	series := map[string]string{}
	for _, name := range append(shown, scraped...) {
		value, certain := alert.labels(name)
		if _, given := labelOf(alert.Alert, name); given {
			continue
		}
		if !certain {
			value = "a-value-of-the-label-" + name
		}
		if value != "" {
			series[name] = value
		}
	}
	all := maps.Clone(series)
	all[model.AlertNameLabel] = alert.Name
	for name, text := range alert.Labels {
		all[name], _ = alert.Render(text, series, nil) // alert/template reports what cannot be rendered
	}
	annotations := map[string]string{}
	for name, text := range alert.Annotations {
		annotations[name], _ = alert.Render(text, series, nil)
	}
	r.firings[key] = route.Firing{Labels: all, Annotations: annotations}
	return r.firings[key]
}
