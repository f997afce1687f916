package check

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	promlabels "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/nearest"
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
		if value := matched(expr, name); value != "" && has.may(name) {
			return value, true
		}
		if has.may(name) {
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

// unreached reports the routes that no alert reaches.
func (c *checker) unreached(r *routing, kinds []kind, wrong map[*[]route.Matcher]bool) {
	r.Top.Walk(func(n *route.Node) bool {
		if n.Parent == nil {
			return true
		}
		if wrong[&n.Matchers] {
			return false
		}
		if !route.Alert(route.Any).Reaches(n) {
			c.shadowed(r, n)
			return false
		}
		if slices.ContainsFunc(kinds, func(k kind) bool { return k.labels.Reaches(n) }) {
			return true
		}
		c.reportRoute(r, n.Place, "route/unreached", "no alert reaches this route (%s): %s", n, c.whyUnreached(r, n, kinds))
		return false
	})
}

// shadowed reports a route that no alert whatever can reach.
func (c *checker) shadowed(r *routing, n *route.Node) {
	var wanted []route.Matcher
	for _, on := range n.Path() {
		wanted = append(wanted, on.Matchers...)
	}
	if may, _ := route.Alert(route.Any).Matches(wanted); !may {
		c.reportRoute(r, n.Place, "route/shadowed", "no alert can match %s: fix the matchers that contradict each other, or remove the route", route.Join(wanted))
		return
	}
	before := n.Before()
	takes := slices.IndexFunc(before, func(earlier *route.Node) bool {
		return !route.Alert(route.Any).Passes(wanted, earlier)
	})
	if takes < 0 {
		c.reportRoute(r, n.Place, "route/shadowed", "no alert reaches this route (%s): the routes before it (%s) take all that it matches: put it before them, or add \"continue: true\" to one", n, places(r, before))
		return
	}
	earlier := before[takes]
	fix := "put this one before it, or add \"continue: true\" to it"
	if len(earlier.Matchers) == 0 {
		fix = "give that one matchers, put it last, or add \"continue: true\" to it"
	}
	c.reportRoute(r, n.Place, "route/shadowed", "no alert reaches this route (%s): the route at %s (%s) is tried before it and takes all that it matches: %s",
		n, earlier.Place.In(r.file), earlier, fix)
}

func places(r *routing, nodes []*route.Node) string {
	var texts []string
	for _, n := range nodes[:min(3, len(nodes))] {
		texts = append(texts, n.Place.In(r.file))
	}
	if len(nodes) > 3 {
		texts = append(texts, fmt.Sprintf("and %d more", len(nodes)-3))
	}
	return strings.Join(texts, ", ")
}

// whyUnreached says why none of the alerts reaches a route that some alert could reach.
func (c *checker) whyUnreached(r *routing, n *route.Node, kinds []kind) string {
	var path []route.Matcher
	for _, on := range slices.Backward(n.Path()) {
		path = append(path, on.Matchers...)
	}
	if why := c.whyUnmatched(path, kinds); why != "" {
		return why + ", or remove the route"
	}
	var taken []string
	for _, k := range kinds {
		if may, _ := k.labels.Matches(path); may {
			taken = append(taken, k.Name)
		}
	}
	return fmt.Sprintf("the routes before it (%s) take what it matches (%s): put it before them, or remove it", places(r, n.Before()), some(taken))
}

// whyUnmatched says why none of the alerts meets all matchers, and what to do; empty where one does.
func (c *checker) whyUnmatched(matchers []route.Matcher, kinds []kind) string {
	matching := func(some []route.Matcher) bool {
		return slices.ContainsFunc(kinds, func(k kind) bool {
			may, _ := k.labels.Matches(some)
			return may
		})
	}
	if matching(matchers) {
		return ""
	}
	for i, m := range matchers {
		if matching(matchers[i : i+1]) {
			continue
		}
		var values []string
		for _, k := range kinds {
			if value, known := k.labels(m.Name); known && value != "" {
				values = append(values, value)
			}
		}
		if m.Name == model.AlertNameLabel {
			values = nil
			for _, alert := range c.alerts {
				values = append(values, alert.Name)
			}
		}
		slices.Sort(values)
		values = slices.Compact(values)
		if len(values) == 0 {
			return fmt.Sprintf("none has %s, since none has the label %s: give it to the alerts that are meant", m, m.Name)
		}
		near := nearest.Within(max(1, len(m.Value)/4), m.Value, values)
		if begin := slices.IndexFunc(values, func(value string) bool {
			return len(m.Value) > 2 && (strings.HasPrefix(value, m.Value) || strings.HasPrefix(m.Value, value))
		}); near == "" && begin >= 0 {
			near = values[begin]
		}
		if m.Type == labels.MatchEqual && near != "" {
			return fmt.Sprintf("none has %s: write %q if that is meant", m, near)
		}
		if m.Name == model.AlertNameLabel {
			return fmt.Sprintf("no rule of %s raises an alert that meets %s: fix the name", cmp.Or(c.rulesDir, "the rules"), m)
		}
		return fmt.Sprintf("none has %s, their %s is %s: fix the value", m, m.Name, some(values))
	}
	// An alert's name says which is meant: the others are wrong rather.
	byName := func(m route.Matcher) int {
		if m.Name == model.AlertNameLabel {
			return 1
		}
		return 0
	}
	matchers = slices.SortedStableFunc(slices.Values(matchers), func(a, b route.Matcher) int { return byName(a) - byName(b) })
	for i, m := range matchers {
		rest := slices.Delete(slices.Clone(matchers), i, i+1)
		if !matching(rest) {
			continue
		}
		var values, names []string
		for _, k := range kinds {
			if may, _ := k.labels.Matches(rest); may {
				names = append(names, k.Name)
				if value, known := k.labels(m.Name); known && !m.Matches(value) {
					values = append(values, fmt.Sprintf("%s=%q", m.Name, value))
				}
			}
		}
		return fmt.Sprintf("none has %s: what has %s (%s) has %s: fix the matchers", route.Join(matchers), route.Join(rest), some(names), some(values))
	}
	return fmt.Sprintf("none has %s at the same time: fix the matchers", route.Join(matchers))
}

// some is the first of a list of names, without repetitions.
func some(names []string) string {
	const most = 3
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// unused reports the receivers and the time intervals that no route names.
func (c *checker) unused(r *routing) {
	used, times := map[string]bool{}, map[string]bool{}
	r.Top.Walk(func(n *route.Node) bool {
		used[n.Receiver.Name] = true
		for _, name := range slices.Concat(n.RouteOpts.MuteTimeIntervals, n.RouteOpts.ActiveTimeIntervals) {
			times[name] = true
		}
		return true
	})
	for _, receiver := range r.Receivers {
		if !used[receiver.Name.Name] {
			c.reportRoute(r, receiver.Place, "route/unused", "no route has the receiver %q: add a route for it, or remove it", receiver.Name.Name)
		}
	}
	for _, in := range r.Intervals {
		if !times[in.Name.Name] {
			c.reportRoute(r, in.Place, "route/unused", "no route is muted or active by the time interval %q: name it in a route, or remove it", in.Name.Name)
		}
	}
}

// intervals reports the routes that are muted at all times, and the time intervals that do not hold any more.
func (c *checker) intervals(r *routing, now time.Time) {
	extents := map[string]route.Extent{}
	byName := map[string]route.Interval{}
	for _, in := range r.Intervals {
		extents[in.Name.Name] = route.ExtentOf(in.Elements, now)
		byName[in.Name.Name] = in
	}
	blamed := map[string]bool{}
	r.Top.Walk(func(n *route.Node) bool {
		for list, silent := range map[string]route.Extent{"mute_time_intervals": route.Always, "active_time_intervals": route.Never} {
			names := n.RouteOpts.MuteTimeIntervals
			if silent == route.Never {
				names = n.RouteOpts.ActiveTimeIntervals
			}
			var union route.Interval
			for _, name := range names {
				union.Elements = append(union.Elements, byName[name].Elements...)
			}
			if len(names) == 0 || route.ExtentOf(union.Elements, now) != silent {
				continue
			}
			when := "hold at all times"
			if silent == route.Never {
				when = "never hold"
			}
			if len(names) == 1 {
				when = strings.Replace(when, "hold", "holds", 1)
			}
			at := n.Place
			for _, given := range slices.Concat(n.Mute, n.Active) {
				if given.Name == names[0] {
					at = given.Place
				}
			}
			var defined []string
			for _, name := range names {
				blamed[name] = true
				defined = append(defined, fmt.Sprintf("%q (%s)", name, byName[name].Place.In(r.file)))
			}
			c.reportRoute(r, at, "route/muted", "this route never notifies: its %s %s %s: fix the time interval, or take it out of the route", list, strings.Join(defined, ", "), when)
		}
		return true
	})
	for _, in := range r.Intervals {
		if blamed[in.Name.Name] {
			continue
		}
		if len(in.Elements) == 0 {
			c.reportRoute(r, in.Place, "route/interval", "the time interval %q never holds, since it is empty: give it times, or remove it", in.Name.Name)
		}
		over := len(in.Elements) > 0
		for i, element := range in.Elements {
			isOver := route.Over(element, now)
			over = over && isOver
			if !isOver && route.ExtentOf(in.Elements[i:i+1], now) == route.Never {
				c.reportRoute(r, in.Places[i], "route/interval", "this part of the time interval %q never holds, since there is no such day: fix its days and months", in.Name.Name)
			}
		}
		if over {
			c.reportRoute(r, in.Place, "route/interval", "the time interval %q does not hold any more, since its years are over: write later ones, or remove it", in.Name.Name)
		}
	}
}

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
				// Alertmanager's own templates suit every alert, as long as no file defines them anew.
				if strings.Contains(field.Text, "{{") && (field.Given || renderer.Redefines()) {
					c.message(r, renderer, receiver.Name.Name+", "+integration.Name, field, at, arrivals, kinds)
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
