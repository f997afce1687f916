// Package drill proves one branch of one alert's runbook in a testbed: it breaks something real, sees the alert fire and
// its notification arrive, follows the branch to the letter, and sees the alert resolved because the fault is gone.
package drill

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/runbook"
	"github.com/stemedb/firedrill/tools/sideeffect"
	"github.com/stemedb/firedrill/tools/testbed"
)

// Action changes the system under test.
type Action = func(context.Context) error

// Drill is one branch of one runbook: the fault, and what is to be seen around it.
type Drill struct {
	Alert   string
	Runbook string // the name of the runbook that has the branch, where it is not the alert's
	Branch  string // its heading in the runbook
	// Prepare makes the system what it is before the fault: its load, its settings. Nil for nothing.
	Prepare Action
	// Fault breaks something real.
	Fault Action
	// Also are the other alerts that the fault raises, all of them.
	Also []string
	// StaysFiring has the drill show that the alert does not resolve by itself within an hour.
	StaysFiring bool
	// WrongBranch is a branch that the operator follows first, which this fault makes fail at its first step.
	WrongBranch string
	// Exclusive has no other drill run beside this one: its fault uses up the processor, say.
	Exclusive bool
	// Investigation is the heading of the investigation steps, where it is not one of the usual (see runbook.Sections).
	Investigation string
	// Allow are the dangerous side effects of the branch that are no failure, as sideeffect.Dangerous takes them.
	Allow []string
	// HandOver leaves it to people to follow the branch, and returns once they have. Nil: the drill follows it.
	HandOver func(context.Context, testbed.Notification) error
	// Verify is called before the branch is followed. What it returns is called once the alert is resolved, and says what
	// is not well. Nil for nothing.
	Verify func(context.Context) (Action, error)
}

// Error is why a drill failed, and at which of its steps.
type Error struct {
	Step string
	Err  error
}

func (e *Error) Error() string { return e.Step + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// handOver is how long people have to follow a branch.
const handOver = 4 * time.Hour

// Run runs a drill in a testbed that has begun. It returns how the drill went as far as it came, with the verdict, and an
// *Error where a step failed.
func Run(ctx context.Context, t *testbed.Testbed, d Drill) (journal.Proof, error) {
	r := &run{Testbed: t, drill: d}
	started := time.Now()
	err := r.run(ctx)
	proof := journal.Proof{Alert: d.Alert}
	if r.alert != nil {
		var recorded error
		if proof, recorded = t.Record(context.WithoutCancel(ctx), r.alert); recorded != nil {
			t.Say("the timeline of %s is incomplete: %v", d.Alert, recorded)
		}
	}
	proof.Branch, proof.Started, proof.Ended = d.Branch, started.UTC(), time.Now().UTC()
	proof.SideEffects = sideeffect.Record(r.changes, d.Allow)
	proof.Leapt, proof.Beyond = journal.Seconds(t.Leapt()), journal.Seconds(r.beyond)
	if err != nil {
		proof.Verdict, proof.Failure = journal.False, err.Error()
		if ctx.Err() != nil { // interrupted: nothing is shown
			proof.Verdict = journal.Unknown
		}
		return proof, err
	}
	proof.Verdict, proof.What = journal.True, "fired, runbook followed, resolved"
	if d.StaysFiring {
		proof.What = "fired, did not self-resolve, runbook followed, resolved"
	}
	return proof, nil
}

// run is a drill under way.
type run struct {
	*testbed.Testbed
	drill Drill

	alert        *testbed.Alert
	also         []*testbed.Alert
	book         *runbook.Runbook
	branch       runbook.Branch
	firing       []string // the alerts that fired before the fault
	faultAt      time.Time
	notification testbed.Notification
	verify       Action
	well         sideeffect.State // of the operator's machine before the fault
	before       sideeffect.State // and before the branch
	changes      []sideeffect.Change
	beyond       time.Duration // from the fault to the resolution, less the runbook's own commands
}

func (r *run) run(ctx context.Context) (err error) {
	if err := r.find(); err != nil {
		return &Error{"find alert and runbook", err}
	}
	following := testbed.Timeout
	for _, step := range r.book.Steps() {
		following += step.Timeout
	}
	if r.drill.HandOver != nil {
		following = handOver
	}
	for _, step := range []struct {
		name  string
		limit time.Duration
		do    Action
		skip  bool
	}{
		{"prepare", 4 * testbed.Timeout, r.drill.Prepare, r.drill.Prepare == nil},
		{"inactive before the fault", 2 * testbed.Timeout, r.inactiveBefore, false},
		{"fault", 4 * testbed.Timeout, r.fault, false},
		{"firing", 5 * testbed.Timeout, r.fire, false},
		{"notified", 2 * testbed.Timeout, r.notified, false},
		{"no self-resolution", 3 * testbed.Timeout, r.staysFiring, !r.drill.StaysFiring},
		{"exactly the expected alerts", 3 * testbed.Timeout, r.onlyExpectedFire, false},
		{"investigation", following, r.investigate, false},
		{"wrong branch first", following, r.followWrongBranch, r.drill.WrongBranch == ""},
		{"before the runbook", 2 * testbed.Timeout, r.observe, false},
		{"runbook", following, r.follow, false},
		{"resolved", 6 * testbed.Timeout, r.resolved, false},
		{"steady state", 6 * testbed.Timeout, r.steadyState, false},
		{"verify", 2 * testbed.Timeout, func(ctx context.Context) error { return r.verify(ctx) }, r.drill.Verify == nil},
		{"side effects", 2 * testbed.Timeout, r.sideEffects, false},
	} {
		if step.skip {
			continue
		}
		r.Say("%s", step.name)
		limited, cancel := context.WithTimeoutCause(ctx, step.limit, fmt.Errorf("this step may take %s", step.limit))
		err := step.do(limited)
		if err != nil && limited.Err() != nil && !errors.Is(err, context.Cause(limited)) {
			err = fmt.Errorf("%w: %w", context.Cause(limited), err)
		}
		cancel()
		if err != nil {
			return &Error{step.name, err}
		}
	}
	return nil
}

// find looks up what the drill names.
func (r *run) find() (err error) {
	if r.alert, err = r.Alert(r.drill.Alert); err != nil {
		return err
	}
	for _, name := range r.drill.Also {
		alert, err := r.Alert(name)
		if err != nil {
			return err
		}
		r.also = append(r.also, alert)
	}
	if r.drill.Runbook == "" {
		r.book, err = r.alert.Runbook()
	} else {
		r.book, err = r.Testbed.Runbook(r.drill.Runbook)
	}
	if err != nil {
		return err
	}
	r.branch, err = r.book.Branch(r.drill.Branch)
	return err
}

// await waits until an observation of the alert is as wanted.
func (r *run) await(ctx context.Context, what string, judge func(testbed.Observation) error) error {
	return r.Await(ctx, r.alert.Name+" to be "+what, func(ctx context.Context) error {
		o, err := r.alert.Observe(ctx)
		if err != nil {
			return err
		}
		return judge(o)
	})
}

func firing(o testbed.Observation) error { return o.InState("firing") }

func (r *run) inactiveBefore(ctx context.Context) (err error) {
	if err := r.await(ctx, "inactive", testbed.Observation.Inactive); err != nil {
		return err
	}
	if r.firing, err = r.Firing(ctx); err != nil {
		return err
	}
	r.well, err = r.snapshot(ctx)
	return err
}

// snapshot lists what is on the operator's machine, with a low priority where it has nice: a scrape that comes too late for
// it would end the alert.
func (r *run) snapshot(ctx context.Context) (sideeffect.State, error) {
	return sideeffect.Snapshot(ctx, func(ctx context.Context, script string) (string, error) {
		const nicely = `type -P nice >/dev/null && exec nice -n 19 bash -c "$1"; exec bash -c "$1"`
		return r.Operator().Command(ctx, "bash", "-c", nicely, "snapshot", script)
	})
}

func (r *run) fault(ctx context.Context) error {
	r.faultAt = time.Now()
	return r.drill.Fault(ctx)
}

// fire gives the alert, and the others that the fault raises, the time that their rules ask for.
func (r *run) fire(ctx context.Context) error {
	if err := Fire(ctx, r.Testbed, r.alert); err != nil {
		return err
	}
	rest := time.Duration(0)
	for _, other := range r.also {
		rest = max(rest, other.Window()+other.For-r.Leapt())
	}
	if rest <= 0 {
		return nil
	}
	if err := r.Leap(ctx, rest); err != nil {
		return err
	}
	return r.await(ctx, "firing", firing)
}

// Fire waits until an alert whose fault has been injected fires, and gives it the time that its rule asks for: as long as
// it looks back, and its `for`.
func Fire(ctx context.Context, t *testbed.Testbed, alert *testbed.Alert) error {
	r := &run{Testbed: t, alert: alert}
	switch window := alert.Window(); {
	case window > 0: // a rate over minutes is not seen in seconds
		if err := t.Steady(ctx); err != nil {
			return err
		}
		if err := t.Leap(ctx, window+alert.For); err != nil {
			return err
		}
	case alert.For > 0:
		if err := r.await(ctx, "pending", func(o testbed.Observation) error { return o.InState("pending") }); err != nil {
			return err
		}
		if err := t.Leap(ctx, alert.For); err != nil {
			return err
		}
	}
	return r.await(ctx, "firing", firing)
}

func (r *run) notified(ctx context.Context) (err error) {
	r.notification, err = Notified(ctx, r.Testbed, r.alert)
	return err
}

// Notified waits until the notification of a firing alert has reached the receivers that Alertmanager's configuration has
// for it, and judges it: it has the rule's labels, and its annotations are rendered.
func Notified(ctx context.Context, t *testbed.Testbed, alert *testbed.Alert) (testbed.Notification, error) {
	page, err := t.Notified(ctx, alert)
	if err != nil {
		return page, err
	}
	for name, value := range alert.Labels {
		if !strings.Contains(value, "{{") && page.Labels[name] != value {
			return page, fmt.Errorf("the notification has the label %s=%q, and the rule %q", name, page.Labels[name], value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(alert.Annotations)) {
		text := page.Annotations[name]
		if text == "" || strings.Contains(text, "<no value>") || strings.Contains(text, "{{") || strings.Contains(text, "<error expanding template") {
			return page, fmt.Errorf("the notification's annotation %s is not rendered: %q", name, text)
		}
	}
	return page, nil
}

func (r *run) staysFiring(ctx context.Context) error {
	if err := r.Leap(ctx, r.alert.For+r.alert.Window()+time.Hour); err != nil {
		return err
	}
	if err := r.await(ctx, "firing", firing); err != nil {
		return err
	}
	all, err := r.Notifications(ctx)
	_, told := r.Receivers(r.notification.Labels)
	for _, receiver := range told {
		if err == nil && testbed.Resolved(all, receiver, r.alert.Name) {
			err = fmt.Errorf("receiver %q was told that %s is resolved; received:\n  %s", receiver, r.alert.Name, testbed.List(all))
		}
	}
	return err
}

// onlyExpectedFire wants the alerts that the drill names to fire beside those from before, and no other.
func (r *run) onlyExpectedFire(ctx context.Context) error {
	return r.awaitFiring(ctx, append(append(slices.Clone(r.drill.Also), r.alert.Name), r.firing...))
}

// difference says which alerts fire that are not wanted, and which do not that are. Both lists are sorted.
func difference(got, want []string) string {
	var said []string
	for _, name := range got {
		if !slices.Contains(want, name) {
			said = append(said, name+" fires as well: write it to the drill's also, or find out why")
		}
	}
	for _, name := range want {
		if !slices.Contains(got, name) {
			said = append(said, name+" does not fire")
		}
	}
	return strings.Join(said, "; ")
}

func (r *run) awaitFiring(ctx context.Context, want []string) error {
	slices.Sort(want)
	want = slices.Compact(want)
	return r.Await(ctx, "exactly "+list(want)+" to fire", func(ctx context.Context) error {
		got, err := r.Firing(ctx)
		if err != nil || slices.Equal(got, want) {
			return err
		}
		return fmt.Errorf("%s (these fire: %s)", difference(got, want), list(got))
	})
}

func list(names []string) string {
	if len(names) == 0 {
		return "no alert"
	}
	return strings.Join(names, ", ")
}

func (r *run) investigate(ctx context.Context) error {
	section, err := r.book.Investigation()
	if r.drill.Investigation != "" {
		section, err = r.book.Section(r.drill.Investigation)
	}
	if err != nil {
		return err
	}
	if len(section.Steps) == 0 {
		return nil
	}
	_, err = r.Follow(ctx, section, r.notification.Labels)
	return err
}

// followWrongBranch wants the other branch to fail at its first step, before it changes anything.
func (r *run) followWrongBranch(ctx context.Context) error {
	branch, err := r.book.Branch(r.drill.WrongBranch)
	if err != nil {
		return err
	}
	transcript, err := r.Follow(ctx, branch, r.notification.Labels)
	switch {
	case err == nil:
		return fmt.Errorf("the branch %q succeeded, and the fault is there to make it fail", r.drill.WrongBranch)
	case len(transcript) != 1:
		return fmt.Errorf("the branch %q failed at step %d, after it may have changed something: it has to fail at the first: %w", r.drill.WrongBranch, len(transcript), err)
	}
	return r.await(ctx, "firing", firing)
}

func (r *run) observe(ctx context.Context) (err error) {
	if r.drill.Verify != nil {
		if r.verify, err = r.drill.Verify(ctx); err != nil {
			return err
		}
	}
	r.before, err = r.snapshot(ctx)
	return err
}

func (r *run) follow(ctx context.Context) error {
	if r.drill.HandOver != nil {
		return r.drill.HandOver(ctx, r.notification)
	}
	_, err := r.Follow(ctx, r.branch, r.notification.Labels)
	return err
}

// resolved wants the alert inactive on fresh samples, and its receivers told where they are configured to be
// (send_resolved).
func (r *run) resolved(ctx context.Context) error {
	_, told := r.Receivers(r.notification.Labels)
	if err := r.leapToEnd(ctx, r.alert); err != nil {
		return err
	}
	if err := r.await(ctx, "inactive", testbed.Observation.Inactive); err != nil {
		return err
	}
	err := r.Await(ctx, fmt.Sprintf("%q to be told that %s is resolved", told, r.alert.Name), func(ctx context.Context) error {
		all, err := r.Notifications(ctx)
		for _, receiver := range told {
			if err == nil && !testbed.Resolved(all, receiver, r.alert.Name) {
				err = fmt.Errorf("receiver %q was not told; received:\n  %s", receiver, testbed.List(all))
			}
		}
		return err
	})
	r.beyond = time.Since(r.faultAt) - r.Followed()
	return err
}

// leapToEnd gives an alert the time that its rule still looks back on the fault, or keeps it firing.
func (r *run) leapToEnd(ctx context.Context, alert *testbed.Alert) error {
	d := alert.Window() + alert.KeepFiringFor
	if d == 0 {
		return nil
	}
	if err := r.Steady(ctx); err != nil {
		return err
	}
	return r.LeapToEnd(ctx, d, alert)
}

// steadyState wants exactly the alerts to fire that fired before the fault.
func (r *run) steadyState(ctx context.Context) error {
	for _, other := range r.also {
		now, err := r.Firing(ctx)
		if err != nil {
			return err
		}
		if slices.Contains(now, other.Name) {
			if err := r.leapToEnd(ctx, other); err != nil {
				return err
			}
		}
	}
	return r.awaitFiring(ctx, slices.Clone(r.firing))
}

// sideEffects wants nothing dangerous among what the branch changed on the operator's machine.
func (r *run) sideEffects(ctx context.Context) error {
	after, err := r.snapshot(ctx)
	if err != nil {
		return err
	}
	r.changes = sideeffect.Compare(r.before, after, r.well)
	dangers := sideeffect.Dangerous(r.changes, r.drill.Allow)
	if len(dangers) == 0 {
		return nil
	}
	var lines []string
	for _, change := range dangers {
		lines = append(lines, change.String())
	}
	return fmt.Errorf("the branch leaves behind what is dangerous:\n  %s", strings.Join(lines, "\n  "))
}
