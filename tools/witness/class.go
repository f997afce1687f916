package witness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// class is the value of a label, the same in all series that vector matching or a grouping ties together.
type class struct {
	parent   *class // nil for the representative
	name     string
	fixed    *string           // the value, where it is given; "" where no series has the label
	matchers []*labels.Matcher // which the value meets
	need     bool              // a series has the label
	index    int               // which of several series that differ in the label, from 0
}

// none is the class of a label that is not there.
func none(name string) *class { return given(name, "") }

// given is the class of a label with a value.
func given(name, value string) *class { return &class{name: name, fixed: &value} }

func (c *class) root() *class {
	for c.parent != nil {
		c = c.parent
	}
	return c
}

// unify makes two classes one. It returns false where they have different values.
func unify(a, b *class) bool {
	a, b = a.root(), b.root()
	if a == b {
		return true
	}
	if a.fixed != nil && b.fixed != nil && *a.fixed != *b.fixed {
		return false
	}
	b.parent = a
	a.fixed = cmp.Or(a.fixed, b.fixed)
	a.matchers = append(a.matchers, b.matchers...)
	a.need = a.need || b.need
	a.index = max(a.index, b.index)
	return true
}

// commonValues are label values that look familiar in a test.
var commonValues = map[string]string{
	"instance": "host-1:9100", "job": "job-1", "namespace": "default", "mountpoint": "/data", "fstype": "ext4", "device": "sda1",
}

// usual is the familiar value of a label, in a series of several that differ in it.
func usual(name string, index int) string {
	text := cmp.Or(commonValues[name], name+"-1")
	if index == 0 {
		return text
	}
	if strings.Contains(text, "1") {
		return strings.Replace(text, "1", fmt.Sprint(index+1), 1)
	}
	return fmt.Sprintf("%s-%d", text, index+1)
}

// choose finds a value that meets all matchers.
func (c *class) choose() (string, bool) {
	c = c.root()
	fits := func(v string) bool {
		if c.need && v == "" && c.fixed == nil {
			return false
		}
		return !slices.ContainsFunc(c.matchers, func(m *labels.Matcher) bool { return !m.Matches(v) })
	}
	if c.fixed != nil {
		return *c.fixed, fits(*c.fixed)
	}
	var candidates []string
	var shared []string // prefixes and alternatives of the patterns
	for _, m := range c.matchers {
		if m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp {
			shared = append(shared, Suggested(m)...)
		}
	}
	shared = slices.DeleteFunc(shared, func(v string) bool { return v == "" })
	if c.index > 0 {
		for _, v := range slices.Clone(shared) {
			candidates = append(candidates, fmt.Sprintf("%s%d", v, c.index+1), fmt.Sprintf("%s-%d", v, c.index+1))
		}
		distinct := slices.DeleteFunc(slices.Clone(shared), func(v string) bool { return !fits(v) })
		distinct = slices.Compact(distinct)
		if c.index < len(distinct) {
			candidates = append([]string{distinct[c.index]}, candidates...)
		}
		candidates = append(candidates, usual(c.name, c.index))
	} else {
		if !c.need {
			candidates = append(candidates, "")
		}
		candidates = append(candidates, shared...)
		candidates = append(candidates, usual(c.name, 0))
	}
	candidates = append(candidates, fmt.Sprint(c.index+1), fmt.Sprint(200+c.index), "other", "x", "a/b", "true")
	for _, v := range candidates {
		if fits(v) {
			return v, true
		}
	}
	// A value between the patterns that must match and those that must not.
	for _, v := range shared {
		for _, other := range shared {
			if fits(v + other) {
				return v + other, true
			}
		}
		for _, more := range []string{v + "1", v + "a", "a" + v, v + "-1", "x" + v + "x", v + "/x"} {
			if fits(more) {
				return more, true
			}
		}
	}
	return "", false
}

// isName reports whether a label is the metric's name.
func isName(label string) bool { return label == model.MetricNameLabel }
