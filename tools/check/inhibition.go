package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/stemedb/firedrill/tools/route"
)

// inhibition reports an inhibition rule that never applies, or that one alert makes mute everything.
func (c *checker) inhibition(r *routing, in route.Inhibition, kinds []kind) {
	if why := neverInhibits(in); why != "" {
		c.reportRoute(r, in.Place, "inhibition/never", "this inhibition rule never applies: %s", why)
		return
	}
	var sources, targets []side
	for _, k := range kinds {
		isSource, surelySource := k.labels.Matches(in.Source)
		isTarget, surelyTarget := k.labels.Matches(in.Target)
		s := side{k, surelySource && surelyTarget}
		if isSource {
			sources = append(sources, s)
		}
		if isTarget {
			targets = append(targets, s)
		}
	}
	for _, side := range []struct {
		what     string
		matchers []route.Matcher
		found    []side
	}{{"source", in.Source, sources}, {"target", in.Target, targets}} {
		if len(side.found) == 0 {
			c.reportRoute(r, in.Place, "inhibition/unmatched", "this inhibition rule never applies: no alert is its %s (%s): %s, or remove the rule",
				side.what, route.Join(side.matchers), c.whyUnmatched(side.matchers, kinds))
			return
		}
	}
	if !pair(in, sources, targets) {
		c.reportRoute(r, in.Place, "inhibition/unmatched", "this inhibition rule never applies: no source (%s) and target (%s) %s: fix \"equal\" or the matchers, or remove the rule",
			some(namesOf(sources)), some(namesOf(targets)), apart(in, sources, targets))
		return
	}
	c.everything(r, in, sources, targets)
}

// side is alerts that can be on a side of an inhibition rule.
type side struct {
	kind
	both bool // whether they are certainly on both
}

// pair reports whether one of the sources may mute one of the targets.
func pair(in route.Inhibition, sources, targets []side) bool {
	return slices.ContainsFunc(sources, func(s side) bool {
		return slices.ContainsFunc(targets, func(t side) bool {
			return !(s.both && t.both) && in.SameIn(s.labels, t.labels)
		})
	})
}

func namesOf(kinds []side) []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
	}
	return names
}

// neverInhibits says why an inhibition rule never applies, whatever the alerts; empty where that is not certain.
func neverInhibits(in route.Inhibition) string {
	for _, side := range [][]route.Matcher{in.Source, in.Target} {
		if may, _ := route.Any.Matches(side); !may {
			return fmt.Sprintf("no alert can match %s: fix the matchers", route.Join(side))
		}
	}
	same := len(in.Source) == len(in.Target)
	for _, m := range in.Source {
		same = same && slices.ContainsFunc(in.Target, func(other route.Matcher) bool { return other.String() == m.String() })
	}
	if same {
		return "its source and its target are the same alerts, and Alertmanager lets no alert that is both be muted by another that is both: make them differ"
	}
	for _, equal := range in.Equal {
		var both []route.Matcher
		for _, m := range slices.Concat(in.Source, in.Target) {
			if m.Name == equal.Name {
				both = append(both, m)
			}
		}
		if may, _ := route.Any.Matches(both); !may {
			return fmt.Sprintf("\"equal\" asks for the same %s in source and target, which %s excludes: take %s out of \"equal\"", equal.Name, route.Join(both), equal.Name)
		}
	}
	return ""
}

// apart says what keeps the sources of an inhibition rule from its targets.
func apart(in route.Inhibition, sources, targets []side) string {
	for _, equal := range in.Equal {
		alone := in
		alone.Equal = []route.Name{equal}
		if !pair(alone, sources, targets) {
			if equal.Name == model.AlertNameLabel {
				return "have the same name, as \"equal\" with alertname demands"
			}
			return fmt.Sprintf("have the same %s, as \"equal\" demands", equal.Name)
		}
	}
	if len(in.Equal) == 0 {
		return "differ, and Alertmanager lets no alert that is both be muted by another that is both"
	}
	var names []string
	for _, equal := range in.Equal {
		names = append(names, equal.Name)
	}
	return fmt.Sprintf("are the same in %s, as \"equal\" demands", strings.Join(names, ", "))
}

// everything reports an inhibition rule by which any of several sources mutes all targets, wherever they are.
func (c *checker) everything(r *routing, in route.Inhibition, sources, targets []side) {
	for _, m := range in.Source {
		if m.Name == model.AlertNameLabel {
			return // one alert is meant
		}
		if m.Type == labels.MatchEqual && slices.ContainsFunc(in.Target, func(other route.Matcher) bool { return other.String() == m.String() }) {
			return // they belong together
		}
	}
	for _, equal := range in.Equal {
		for _, k := range slices.Concat(sources, targets) {
			if value, known := k.labels(equal.Name); !known || value != "" {
				return
			}
		}
	}
	if len(slices.Compact(slices.Sorted(slices.Values(namesOf(sources))))) < 2 || len(slices.Compact(slices.Sorted(slices.Values(namesOf(targets))))) < 2 {
		return
	}
	why := "it has no \"equal\""
	if len(in.Equal) > 0 {
		var names []string
		for _, equal := range in.Equal {
			names = append(names, equal.Name)
		}
		why = fmt.Sprintf("no alert has a label of its \"equal\" (%s), and what both lack is equal", strings.Join(names, ", "))
	}
	c.reportRoute(r, in.Place, "inhibition/everything", "while any of its sources fires (%s), this inhibition rule mutes all its targets (%s), wherever they are: %s: name labels there that both sides have, such as instance or namespace",
		some(namesOf(sources)), some(namesOf(targets)), why)
}
