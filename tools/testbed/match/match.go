// Package match judges what was observed of a testbed: Gomega matchers, which do no I/O, and whose failures name the cause.
package match

import (
	"fmt"

	"github.com/onsi/gomega/types"

	"github.com/stemedb/firedrill/tools/testbed"
)

// BeFiring wants the alert to fire, on what was scraped since the last change.
func BeFiring() types.GomegaMatcher { return inState("firing") }

// BePending wants the alert to be pending, on what was scraped since the last change.
func BePending() types.GomegaMatcher { return inState("pending") }

func inState(state string) types.GomegaMatcher {
	return judgement{"be " + state, func(o testbed.Observation) error { return o.InState(state) }}
}

// BeInactive wants the alert to be inactive and to have grounds for it, as Observation.Inactive says: an alert that is
// silent is not resolved.
func BeInactive() types.GomegaMatcher { return judgement{"be inactive", testbed.Observation.Inactive} }

// judgement judges one observation.
type judgement struct {
	want  string
	judge func(testbed.Observation) error
}

// Match implements types.GomegaMatcher.
func (j judgement) Match(actual any) (bool, error) {
	o, ok := actual.(testbed.Observation)
	if !ok {
		return false, fmt.Errorf("wants a testbed.Observation, got %T", actual)
	}
	return j.judge(o) == nil, nil
}

// FailureMessage implements types.GomegaMatcher.
func (j judgement) FailureMessage(actual any) string {
	return j.judge(actual.(testbed.Observation)).Error()
}

// NegatedFailureMessage implements types.GomegaMatcher.
func (j judgement) NegatedFailureMessage(actual any) string {
	return fmt.Sprintf("expected the alert not to %s, but\n  %s", j.want, actual)
}

// HaveReached wants the receiver to have got a notification that the alert fires.
func HaveReached(receiver string, alert *testbed.Alert) types.GomegaMatcher {
	return arrival{receiver, alert.Name, "firing", func(all []testbed.Notification) bool {
		for _, n := range all {
			if n.Receiver == receiver && n.Alert() == alert.Name && n.Status == "firing" {
				return true
			}
		}
		return false
	}}
}

// HaveResolved wants the receiver to have been told, last of all, that the alert is resolved.
func HaveResolved(receiver string, alert *testbed.Alert) types.GomegaMatcher {
	return arrival{receiver, alert.Name, "resolved", func(all []testbed.Notification) bool {
		return testbed.Resolved(all, receiver, alert.Name)
	}}
}

// arrival wants a notification among those that receivers got.
type arrival struct {
	receiver, alert, status string
	found                   func([]testbed.Notification) bool
}

// Match implements types.GomegaMatcher.
func (a arrival) Match(actual any) (bool, error) {
	all, ok := actual.([]testbed.Notification)
	if !ok {
		return false, fmt.Errorf("wants []testbed.Notification, got %T", actual)
	}
	return a.found(all), nil
}

// FailureMessage implements types.GomegaMatcher.
func (a arrival) FailureMessage(actual any) string { return a.message("", actual) }

// NegatedFailureMessage implements types.GomegaMatcher.
func (a arrival) NegatedFailureMessage(actual any) string { return a.message("not ", actual) }

func (a arrival) message(not string, actual any) string {
	return fmt.Sprintf("expected receiver %q %sto have got %s, %s; received:\n  %s", a.receiver, not, a.alert, a.status,
		testbed.List(actual.([]testbed.Notification)))
}
