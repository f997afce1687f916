package witness

import (
	"time"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Answer says whether an alert can fire.
type Answer string

const (
	Fires    Answer = "fires"        // an input was found at which it does
	Never    Answer = "never fires"  // whatever the input
	Always   Answer = "always fires" // whatever the input
	NotKnown Answer = "not known"    // no input was found, and no reason why there is none
)

// Result is the answer for one alert.
type Result struct {
	Alert    rule.Alert
	Interval time.Duration // between evaluations
	Answer   Answer
	// Why is what contradicts itself where it never fires, what holds always, or why the search gave up.
	Why []promql.Reason
	// Sure says that a Never rests on the text alone; otherwise it rests on what exporters do as well.
	Sure bool
	// Input is the smallest input found at which the alert fires, for the answer Fires.
	Input Scenario
	// Boundaries are the conditions that were seen to decide, each with its nearest inputs.
	Boundaries []Boundary
	// Unknown are the conditions for which no boundary was found.
	Unknown []Unknown
}
