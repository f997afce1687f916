// Package match judges what was observed of a world: Gomega matchers, which do no I/O, and whose failures name the
// cause.
package match

import (
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega/types"

	"github.com/stemedb/firedrill/e2e/world"
)

// judgement judges one observation: it is "" where all is as wanted, and else says what is not.
type judgement struct {
	want  string
	judge func(world.Observation) string
}

// BeFiring wants the alert to fire, on what was scraped since the world was changed last.
func BeFiring() types.GomegaMatcher { return inState("firing") }

// BePending wants the alert to be pending, on what was scraped since the world was changed last.
func BePending() types.GomegaMatcher { return inState("pending") }

// BeQuiet wants the alert to be inactive and to have grounds for it: a healthy rule, targets that are up, the series
// there, all seen since the world was changed last.
func BeQuiet() types.GomegaMatcher { return judgement{"be quiet", quiet} }

// BeCleared wants the same of an alert that fired. It is another word, for another moment: cleared is not silent.
func BeCleared() types.GomegaMatcher { return judgement{"be cleared", quiet} }

func inState(state string) types.GomegaMatcher {
	return judgement{"be " + state, func(o world.Observation) string {
		switch {
		case o.Stale != nil:
			return o.Stale.Error()
		case o.State != state:
			return "it is " + o.State
		}
		return ""
	}}
}

func quiet(o world.Observation) string {
	switch {
	case o.Stale != nil:
		return o.Stale.Error()
	case o.Health != "ok":
		return "its rule is not healthy: " + o.LastError
	case o.State != "inactive":
		return "it is " + o.State
	case len(o.Targets) == 0:
		return "Prometheus has no target"
	case len(o.Absent) > 0:
		return "it is silent, not cleared: no samples of " + strings.Join(o.Absent, ", ")
	}
	for _, t := range o.Targets {
		if !t.Up {
			return "it is silent, not cleared: target " + t.Instance + " is down"
		}
	}
	return ""
}

// Match implements types.GomegaMatcher.
func (j judgement) Match(actual any) (bool, error) {
	o, ok := actual.(world.Observation)
	if !ok {
		return false, fmt.Errorf("wants a world.Observation, got %T", actual)
	}
	return j.judge(o) == "", nil
}

// FailureMessage implements types.GomegaMatcher.
func (j judgement) FailureMessage(actual any) string {
	o := actual.(world.Observation)
	return fmt.Sprintf("Expected the alert to %s, but %s:\n  %s", j.want, j.judge(o), o)
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (j judgement) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("Expected the alert not to %s, but\n  %s", j.want, actual)
}

// arrival wants a notification among those that receivers got.
type arrival struct {
	receiver, alert, status string
}

// HaveReached wants a notification that the alert fires to have reached the receiver.
func HaveReached(receiver string, alert *world.Alert) types.GomegaMatcher {
	return arrival{receiver, alert.Name, "firing"}
}

// HaveResolved wants the receiver to have been told, last of all, that the alert is resolved.
func HaveResolved(receiver string, alert *world.Alert) types.GomegaMatcher {
	return arrival{receiver, alert.Name, "resolved"}
}

// Match implements types.GomegaMatcher.
func (a arrival) Match(actual any) (bool, error) {
	got, ok := actual.([]world.Notification)
	if !ok {
		return false, fmt.Errorf("wants []world.Notification, got %T", actual)
	}
	mine := slices.DeleteFunc(slices.Clone(got), func(n world.Notification) bool {
		return n.Receiver != a.receiver || n.Alert() != a.alert
	})
	if a.status == "firing" {
		return slices.ContainsFunc(mine, func(n world.Notification) bool { return n.Status == "firing" }), nil
	}
	return len(mine) > 0 && mine[len(mine)-1].Status == "resolved", nil
}

// FailureMessage implements types.GomegaMatcher.
func (a arrival) FailureMessage(actual any) string {
	return fmt.Sprintf("Expected receiver %q to have got %s, %s; received:\n  %s", a.receiver, a.alert, a.status,
		world.List(actual.([]world.Notification)))
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (a arrival) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("Expected receiver %q not to have got %s, %s; received:\n  %s", a.receiver, a.alert, a.status,
		world.List(actual.([]world.Notification)))
}
