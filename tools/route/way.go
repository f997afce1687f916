package route

import (
	"slices"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Step is a route that Alertmanager tries for an alert.
type Step struct {
	*Node
	Depth int // 0 for the root
	// Missed is the first matcher that the alert does not meet; nil where it meets all.
	Missed *Matcher
	// Notifies is whether the alert is grouped and notified by this route: none below it matches.
	Notifies bool
}

// Way returns the routes that Alertmanager tries for an alert with these labels, in that order. Those that it does not try,
// since another one ended the search, are left out.
func (t *Tree) Way(labels map[string]string) []Step {
	var steps []Step
	var try func(n *Node, depth int) bool
	try = func(n *Node, depth int) bool {
		at := len(steps)
		steps = append(steps, Step{Node: n, Depth: depth})
		for i, m := range n.Matchers {
			if !m.Matches(labels[m.Name]) {
				steps[at].Missed = &n.Matchers[i]
				return false
			}
		}
		below := false
		for _, b := range n.Below {
			if try(b, depth+1) {
				below = true
				if !b.Continue {
					break
				}
			}
		}
		steps[at].Notifies = !below
		return true
	}
	try(t.Top, 0)
	return steps
}

// Interval returns a time interval by its name.
func (t *Tree) Interval(name string) Interval {
	for _, in := range t.Intervals {
		if in.Name.Name == name {
			return in
		}
	}
	return Interval{Name: Name{name, Place{1, 1}}, Elements: []timeinterval.TimeInterval{}}
}

// Holds reports whether the time interval holds at a time.
func (in Interval) Holds(at time.Time) bool {
	return slices.ContainsFunc(in.Elements, func(element timeinterval.TimeInterval) bool { return element.ContainsTime(at.UTC()) })
}

// Silent reports whether a route never notifies from now on, since it is muted at all times or never active.
func (t *Tree) Silent(n *Node, now time.Time) bool {
	all := func(names []string) (elements []timeinterval.TimeInterval) {
		for _, name := range names {
			elements = append(elements, t.Interval(name).Elements...)
		}
		return elements
	}
	mute, active := n.RouteOpts.MuteTimeIntervals, n.RouteOpts.ActiveTimeIntervals
	return len(mute) > 0 && ExtentOf(all(mute), now) == Always || len(active) > 0 && ExtentOf(all(active), now) == Never
}
