package route

import (
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/pkg/labels"
	promlabels "github.com/prometheus/prometheus/model/labels"
)

// Alert is what is known of the labels of the alerts that one rule raises: it returns the value of a label, empty where there
// is none, and whether that is known. An unknown one may be missing, or have any value.
type Alert func(name string) (value string, known bool)

// Any is an alert of which nothing is known.
var Any Alert = func(string) (string, bool) { return "", false }

// Exactly is an alert of which all labels are known.
func Exactly(labels map[string]string) Alert {
	return func(name string) (string, bool) { return labels[name], true }
}

// Matches reports whether the alerts may meet all matchers, and whether they certainly do.
func (a Alert) Matches(matchers []Matcher) (may, certainly bool) {
	certainly = true
	for _, m := range matchers {
		value, known := a(m.Name)
		if known && !m.Matches(value) {
			return false, false
		}
		certainly = certainly && known
	}
	return certainly || a.search(matchers, nil), certainly
}

// Reaches reports whether the alerts may reach a route, given the routes that Alertmanager tries before. It errs towards
// yes.
func (a Alert) Reaches(n *Node) bool {
	var wanted []Matcher
	for _, on := range n.Path() {
		for _, m := range on.Matchers {
			if value, known := a(m.Name); known && !m.Matches(value) {
				return false
			}
		}
		wanted = append(wanted, on.Matchers...)
	}
	var before [][]Matcher
	for _, sibling := range n.Before() {
		before = append(before, sibling.Matchers)
	}
	return a.search(wanted, before)
}

// mostTried bounds how many combinations of values are tried.
const mostTried = 20_000

// search reports whether there is a choice of the labels that are not known which meets all wanted matchers, and not all
// of any list in before.
func (a Alert) search(wanted []Matcher, before [][]Matcher) bool {
	// What is certain of the known values is sorted out first.
	open := map[string][]Matcher{} // by the label, of all lists
	for _, m := range wanted {
		if value, known := a(m.Name); !known {
			open[m.Name] = append(open[m.Name], m)
		} else if !m.Matches(value) {
			return false
		}
	}
	var blocking [][]Matcher
	for _, list := range before {
		var left []Matcher
		blocks := true
		for _, m := range list {
			if value, known := a(m.Name); !known {
				if !has(wanted, m.Matcher) {
					left = append(left, m)
				}
			} else if !m.Matches(value) {
				blocks = false
			}
		}
		if blocks && len(left) == 0 {
			return false
		}
		if blocks {
			blocking = append(blocking, left)
			for _, m := range left {
				open[m.Name] = append(open[m.Name], m)
			}
		}
	}
	var names []string
	for name := range open {
		names = append(names, name)
	}
	slices.Sort(names)
	choices := map[string][]string{}
	all, combinations := true, 1
	for _, name := range names {
		values, every := candidates(open[name])
		values = slices.DeleteFunc(values, func(value string) bool {
			return slices.ContainsFunc(wanted, func(m Matcher) bool { return m.Name == name && !m.Matches(value) })
		})
		all = all && every
		choices[name] = values
		if combinations *= len(values); combinations > mostTried {
			return true
		}
	}
	chosen := map[string]string{}
	var try func(i int) bool
	try = func(i int) bool {
		if i == len(names) {
			return !slices.ContainsFunc(blocking, func(list []Matcher) bool {
				return !slices.ContainsFunc(list, func(m Matcher) bool { return !m.Matches(chosen[m.Name]) })
			})
		}
		for _, value := range choices[names[i]] {
			chosen[names[i]] = value
			if try(i + 1) {
				return true
			}
		}
		return false
	}
	return try(0) || !all
}

// candidates returns values of a label on which matchers can differ, and whether those are all that are needed.
func candidates(matchers []Matcher) (values []string, all bool) {
	values, all = []string{"", "\ufffdother"}, true
	for _, m := range matchers {
		if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
			values = append(values, m.Value)
			continue
		}
		if m.Value == ".*" || m.Value == ".+" {
			continue
		}
		if set := literals(m.Matcher); set != nil {
			values = append(values, set...)
			continue
		}
		all = false
		if re, err := syntax.Parse(m.Value, syntax.Perl); err == nil {
			values = append(values, sample(re))
			if re.Op == syntax.OpAlternate {
				for _, sub := range re.Sub {
					values = append(values, sample(sub))
				}
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values), all
}

// literals returns the values that a matcher by regular expression stands for; nil where there are too many.
func literals(m *labels.Matcher) []string {
	re, err := promlabels.NewFastRegexMatcher(m.Value)
	if err != nil {
		return nil
	}
	return re.SetMatches()
}

// sample returns a text that a regular expression matches, mostly.
func sample(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			return string(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpCapture, syntax.OpPlus:
		return sample(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sample(re.Sub[0]), re.Min)
	case syntax.OpAlternate:
		return sample(re.Sub[0])
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sample(sub))
		}
		return b.String()
	}
	return ""
}

// Passes reports whether alerts of which a may be one, and which meet the wanted matchers, may pass by a route that ends
// the search where it matches.
func (a Alert) Passes(wanted []Matcher, earlier *Node) bool {
	return a.search(wanted, [][]Matcher{earlier.Matchers})
}

// May reports whether a source may mute a target.
func (in Inhibition) May(source, target Alert) bool {
	if may, _ := source.Matches(in.Source); !may {
		return false
	}
	if may, _ := target.Matches(in.Target); !may {
		return false
	}
	_, isTarget := source.Matches(in.Target)
	_, isSource := target.Matches(in.Source)
	// Alertmanager lets no alert that is both be muted by another that is both.
	return !(isTarget && isSource) && in.SameIn(source, target)
}

// SameIn reports whether a source and a target may have the same values of the labels in "equal".
func (in Inhibition) SameIn(source, target Alert) bool {
	for _, equal := range in.Equal {
		s, known := source(equal.Name)
		t, too := target(equal.Name)
		if known && too && s != t {
			return false
		}
	}
	return true
}
