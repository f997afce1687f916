// Package journal is the record of a run of the suites as data: what was proven, with which versions, and each step with
// its time. Reports are made of it.
//
// All moments are UTC. Those of a proof are on one axis, the time line that its Prometheus has at the end of the spec: a
// leap of an hour has moved all that was before it back by that hour. Only Started is in the machine's
// time, which agrees with Prometheus's at the end of the spec.
package journal

import "time"

// Schema is the format of the journals that this package reads and writes, which schema.json describes.
const Schema = "firedrill/journal/v1"

// Kind is what a run was for.
type Kind string

// The kinds of runs.
const (
	KindProof Kind = "proof" // of rules and runbooks
	KindDrill Kind = "drill" // of a disaster as well, with objectives
)

// Verdict is whether something is proven.
type Verdict string

// The verdicts. What did not run to its end is neither true nor false.
const (
	True    Verdict = "true"
	False   Verdict = "false"
	Unknown Verdict = "unknown"
)

// Journal is one run.
type Journal struct {
	Schema   string      `json:"schema"`
	Kind     Kind        `json:"kind"`
	Run      Run         `json:"run"`
	Versions []Component `json:"versions"`
	Images   []Image     `json:"images"`
	Inputs   []Input     `json:"inputs"`
	Proofs   []Proof     `json:"proofs"`
}

// Run says when, by what and of what a journal was made.
type Run struct {
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Command is the command line, one argument each.
	Command   []string `json:"command"`
	Firedrill string   `json:"firedrill"` // its version
	Go        string   `json:"go"`        // the version that it was built with
	// Commit is git's name of the commit that was checked out; empty where that is not known.
	Commit string `json:"commit,omitempty"`
	// Dirty says that the working tree differed from Commit.
	Dirty bool `json:"dirty,omitempty"`
	// Testbeds is how long each testbed took to start.
	Testbeds []Seconds `json:"testbeds_up_seconds,omitempty"`
}

// Component is a program that took part, as in Prometheus 3.16.0.
type Component struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Image is a container image that took part.
type Image struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	Digest    string `json:"digest"` // as in sha256:…, of the image's configuration
}

// Input is a rule file or a runbook of the run.
type Input struct {
	Path   string `json:"path"`   // relative to the repository, with slashes
	SHA256 string `json:"sha256"` // in hexadecimal
}

// Proof is what a spec tried, and what came of it.
type Proof struct {
	Suite   string  `json:"suite"`
	Spec    string  `json:"spec"` // its full text; empty for what concerns the suite as a whole
	Alert   string  `json:"alert"`
	Branch  string  `json:"branch"` // the branch of the runbook, or what else was tried
	What    string  `json:"what"`   // what happened: "fired, runbook followed, resolved"
	Verdict Verdict `json:"verdict"`
	Failure string  `json:"failure,omitempty"` // why the verdict is not true

	Started time.Time `json:"started"` // in the machine's own time
	Ended   time.Time `json:"ended"`
	Leapt   Seconds   `json:"leapt_seconds"`
	// Beyond is the time from the fault to the arrival of the resolution, less what the runbook's own commands took; 0
	// where nothing was resolved.
	Beyond Seconds `json:"beyond_seconds,omitempty"`

	Rule          *Rule          `json:"rule,omitempty"`
	Signal        *Signal        `json:"signal,omitempty"`
	Bands         []Band         `json:"bands,omitempty"`
	Steps         []Step         `json:"steps,omitempty"`
	Leaps         []Leap         `json:"leaps,omitempty"`
	Notifications []Notification `json:"notifications,omitempty"`
	SideEffects   []SideEffect   `json:"side_effects,omitempty"`
	Drill         *Drill         `json:"drill,omitempty"`
	// Evidence is a folder of the report that holds what was kept of a failure, with slashes.
	Evidence string `json:"evidence,omitempty"`
}

// Rule is the alerting rule as it was deployed.
type Rule struct {
	File        string            `json:"file"`
	Line        int               `json:"line"`
	Expr        string            `json:"expr"`
	For         Seconds           `json:"for_seconds"`
	Threshold   *Threshold        `json:"threshold,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Threshold is the number that a rule compares its signal with.
type Threshold struct {
	Op    string  `json:"op"` // <, <=, >, >=, == or !=, as if the signal stood on its left
	Value float64 `json:"value"`
}

// Signal is what the timeline draws.
type Signal struct {
	Expr   string   `json:"expr"`
	Unit   string   `json:"unit,omitempty"` // seconds, bytes or ratio, where its name has it
	Series []Series `json:"series"`
}

// Series is one series of a signal, its samples in the order of time.
type Series struct {
	Labels  map[string]string `json:"labels"`
	Samples []Sample          `json:"samples"`
}

// Band is a time in which an alert was in one state.
type Band struct {
	Alert  string            `json:"alert"`
	Labels map[string]string `json:"labels,omitempty"`
	State  State             `json:"state"`
	From   time.Time         `json:"from"`
	To     time.Time         `json:"to"`
}

// State is an alert's state. Resolved is inactive after it was firing.
type State string

// The states of an alert.
const (
	Inactive State = "inactive"
	Pending  State = "pending"
	Firing   State = "firing"
	Resolved State = "resolved"
)

// Step is a step of a runbook that was followed.
type Step struct {
	At       time.Time `json:"at"`
	Took     Seconds   `json:"took_seconds"`
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Branch   string    `json:"branch"`
	Command  string    `json:"command"` // verbatim
	Output   string    `json:"output"`
	Exit     *int      `json:"exit"` // null where the step did not end, or was only shown
	Expected int       `json:"expected_exit"`
	Skipped  bool      `json:"skipped,omitempty"` // it is only shown, so that it was not run
}

// Verdict is whether a step ended as its runbook says.
func (s Step) Verdict() Verdict {
	switch {
	case s.Skipped:
		return Unknown
	case s.Exit != nil && *s.Exit == s.Expected:
		return True
	}
	return False
}

// Leap is time that was given to Prometheus as history.
type Leap struct {
	From        time.Time    `json:"from"`
	To          time.Time    `json:"to"`
	Took        Seconds      `json:"took_seconds"` // in the machine's own time
	Transitions []Transition `json:"transitions,omitempty"`
}

// Leapt is how much time was leapt.
func (l Leap) Leapt() time.Duration { return l.To.Sub(l.From) }

// Transition is a change of an alert's state within a leap.
type Transition struct {
	At    time.Time `json:"at"`
	Alert string    `json:"alert"`
	From  string    `json:"from"`
	To    string    `json:"to"`
}

// Notification is a notification of one alert that a receiver got.
type Notification struct {
	At          time.Time         `json:"at"`
	Receiver    string            `json:"receiver"`
	Status      string            `json:"status"` // firing or resolved
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// SideEffect is a change that the runbook's steps left on the operator's machine, or what could not be compared there
// (kind "not examined"). The dangerous ones come first.
type SideEffect struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"` // as in /etc/app/key.pem, app.service or "tcp 0.0.0.0:80"
	Before  string `json:"before"`  // empty where it was not there
	After   string `json:"after"`
	Danger  string `json:"danger,omitempty"`  // the danger's name
	Allowed bool   `json:"allowed,omitempty"` // the drill allows the danger
}
