package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/route"
)

// unreached reports the routes that no alert reaches.
func (c *checker) unreached(r *routing, kinds []kind, wrong map[*[]route.Matcher]bool) {
	r.Top.Walk(func(n *route.Node) bool {
		if n.Parent == nil {
			return true
		}
		if wrong[&n.Matchers] {
			return false
		}
		if !route.Any.Reaches(n) {
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
	if may, _ := route.Any.Matches(wanted); !may {
		c.reportRoute(r, n.Place, "route/shadowed", "no alert can match %s: fix the matchers that contradict each other, or remove the route", route.Join(wanted))
		return
	}
	before := n.Before()
	takes := slices.IndexFunc(before, func(earlier *route.Node) bool {
		return !route.Any.Passes(wanted, earlier)
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
