package promql

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// value is what is known of a label's value in each series of a result. A label that is missing has the value "".
type value struct {
	among    []string          // the values that it can have; nil for any
	matchers []*labels.Matcher // which it meets
	has      string            // why it is not missing; "" where that is not known
	assumed  bool              // has is what is usual, and not sure
	lacks    bool              // known to be missing from some of the series
}

var missing = value{among: []string{""}}

// admits reports whether the label can have the value.
func (v value) admits(text string) bool {
	if v.among != nil && !slices.Contains(v.among, text) || text == "" && v.has != "" {
		return false
	}
	return !slices.ContainsFunc(v.matchers, func(m *labels.Matcher) bool { return !m.Matches(text) })
}

// usual is the value with a reason for which exporters give it, unless more is known.
func (v value) usual(why string) value {
	if v.has == "" && !v.isMissing() && !v.lacks && v.admits("") {
		v.has, v.assumed = why, true
		v, _ = v.meet(value{}) // drops "" from those that it can have
	}
	return v
}

func (v value) isMissing() bool { return len(v.among) == 1 && v.among[0] == "" }

// meet is what is known where both hold; false where both cannot.
func (v value) meet(o value) (value, bool) {
	r := value{matchers: slices.Clone(v.matchers), has: v.has, assumed: v.assumed, lacks: v.lacks && o.lacks}
	if r.has == "" || r.assumed && o.has != "" {
		r.has, r.assumed = o.has, o.assumed
	}
	for _, m := range o.matchers {
		if !slices.ContainsFunc(r.matchers, func(n *labels.Matcher) bool { return n.String() == m.String() }) {
			r.matchers = append(r.matchers, m)
		}
	}
	switch {
	case v.among != nil:
		r.among = filtered(v.among, o.admits)
	case o.among != nil:
		r.among = o.among
	default:
		return r, metBySome(r.matchers, r.has == "")
	}
	r.among = filtered(r.among, v.admits)
	return r, len(r.among) > 0
}

func filtered(from []string, keep func(string) bool) []string {
	kept := []string{}
	for _, text := range from {
		if keep(text) {
			kept = append(kept, text)
		}
	}
	return kept
}

// either is what is known where one of the two holds.
func (v value) either(o value) value {
	r := value{lacks: v.isMissing() || v.lacks || o.isMissing() || o.lacks}
	if v.among != nil && o.among != nil {
		r.among = slices.Concat(v.among, filtered(o.among, func(text string) bool { return !slices.Contains(v.among, text) }))
		return r
	}
	for _, m := range slices.Concat(v.matchers, o.matchers) {
		if v.sure(m) && o.sure(m) {
			r.matchers = append(r.matchers, m)
		}
	}
	if !v.admits("") && !o.admits("") {
		r.has, r.assumed = "it is in both", v.assumed || o.assumed
		if v.has != "" {
			r.has = v.has
		}
	}
	return r
}

// sure reports whether a matcher surely matches.
func (v value) sure(m *labels.Matcher) bool {
	if v.among != nil {
		return !slices.ContainsFunc(v.among, func(text string) bool { return !m.Matches(text) })
	}
	return slices.ContainsFunc(v.matchers, func(n *labels.Matcher) bool { return n.String() == m.String() })
}

// describe tells of a label, as the object of a sentence: "status=~"5.."" or "no label status".
func (v value) describe(name string) string {
	switch {
	case v.isMissing():
		return "no label " + name
	case len(v.among) > 3 && len(v.matchers) > 0:
		return v.matchers[0].String()
	case v.among != nil:
		quoted := make([]string, len(v.among))
		for i, text := range v.among {
			quoted[i] = fmt.Sprintf("%q", text)
		}
		return name + "=" + strings.Join(quoted, " or ")
	case len(v.matchers) > 0:
		return v.matchers[0].String()
	case v.has != "":
		return "the label " + name + " (" + v.has + ")"
	}
	return "perhaps the label " + name
}

// Labels is what is known of the labels of the series of a result.
type Labels struct {
	open  bool // whether a label that is not in of can be there
	lacks bool // whether such a label is known to be missing from some of the series
	of    map[string]value
}

// OnlyLabels are labels of which each may be there, and no other.
func OnlyLabels(names ...string) Labels {
	l := Labels{of: map[string]value{}}
	for _, name := range names {
		l.of[name] = value{}
	}
	return l
}

// AnyLabels is nothing known.
var AnyLabels = Labels{open: true}

func (l Labels) value(name string) value {
	if v, ok := l.of[name]; ok {
		return v
	}
	if l.open {
		return value{lacks: l.lacks}
	}
	return missing
}

// May reports whether a series can have the label.
func (l Labels) May(name string) bool { return !l.value(name).isMissing() }

// Has reports whether each series has the label.
func (l Labels) Has(name string) bool { return !l.value(name).admits("") }

// Fixed returns the one value that the label can have, "" where it is missing, and whether it is the only one.
func (l Labels) Fixed(name string) (string, bool) {
	v := l.value(name)
	if len(v.among) == 1 {
		return v.among[0], true
	}
	return "", false
}

// Only returns the names of all labels that a series can have, without that of the metric, and whether they are known.
func (l Labels) Only() ([]string, bool) {
	if l.open {
		return nil, false
	}
	names := slices.Sorted(maps.Keys(l.of))
	return slices.DeleteFunc(names, func(name string) bool { return name == model.MetricNameLabel || !l.May(name) }), true
}

func (l Labels) with(name string, v value) Labels {
	of := maps.Clone(l.of)
	if of == nil {
		of = map[string]value{}
	}
	of[name] = v
	return Labels{open: l.open, lacks: l.lacks, of: of}
}

func (l Labels) without(names ...string) Labels {
	for _, name := range names {
		l = l.with(name, missing)
	}
	return l
}

func (l Labels) keeping(names []string) Labels {
	r := OnlyLabels()
	for _, name := range names {
		r.of[name] = l.value(name)
	}
	return r
}

// either is what is known of series of both kinds.
func (l Labels) either(o Labels) Labels {
	r := Labels{open: l.open || o.open, lacks: l.lacks || o.lacks || l.open != o.open, of: map[string]value{}}
	for _, name := range l.names(o) {
		r.of[name] = l.value(name).either(o.value(name))
	}
	return r
}

// names are those of which one of the two knows something, in order.
func (l Labels) names(o Labels) []string {
	all := maps.Clone(l.of)
	if all == nil {
		all = map[string]value{}
	}
	maps.Copy(all, o.of)
	return slices.Sorted(maps.Keys(all))
}

// String describes the labels as the object of a sentence: "no labels but job".
func (l Labels) String() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(l.of)) {
		if name != model.MetricNameLabel && l.May(name) != l.open {
			names = append(names, name)
		}
	}
	switch {
	case l.open && len(names) == 1:
		return "lost the label " + names[0]
	case l.open && len(names) > 0:
		return "lost the labels " + strings.Join(names, ", ")
	case l.open:
		return "any label"
	case len(names) == 0:
		return "no labels"
	case len(names) == 1:
		return "no label but " + names[0]
	}
	return "no labels but " + strings.Join(names, ", ")
}
