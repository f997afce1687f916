// Package witness answers whether alerts can fire: for each alert it looks for an input at which Prometheus's engine lets
// it fire, and for the nearest input at which it does not.
//
// That an alert never fires, or always, follows from its text; package promql knows. For the others it makes plans: which
// side of an "or" holds, how many series an aggregation takes, what is missing. For each plan it chooses labels that match,
// then changes one number of the input after the other until all comparisons hold, and asks the engine.
package witness

import (
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/engine"
	static "github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// DefaultInterval is the evaluation interval of groups that set none, as in promtool.
const DefaultInterval = time.Minute

// lookback is how long a selector returns the last sample of a series.
const lookback = engine.LookbackDelta

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
	Why []static.Reason
	// Sure says that a Never rests on the text alone; otherwise it rests on what exporters do as well.
	Sure bool
	// Input is the smallest input found at which the alert fires, for the answer Fires.
	Input Scenario
	// Boundaries are the conditions that were seen to decide, each with its nearest inputs.
	Boundaries []Boundary
	// Unknown are the conditions for which no boundary was found.
	Unknown []Unknown
}

// Boundary is a threshold of an alert, as observed.
type Boundary struct {
	Alert     rule.Alert
	Condition string // of the expression, the part that decides here
	Fires     string // the input at which the alert fires
	Quiet     string // the nearest input at which it does not
	// After is how long the condition holds before the alert fires.
	After time.Duration
	// Clears says what makes a firing alert resolve, and after how long.
	Clears    []string
	Scenarios []Scenario
}

// Scenario is a set of input series and what the alert was observed to do with it.
type Scenario struct {
	Name     string
	Interval time.Duration // between samples
	Start    time.Time     // of the input and of the evaluations; the zero value is Unix time 0
	Series   []Series
	Checks   []Check // in the order of time
}

// Series is an input series in the notation of promtool's unit tests.
type Series struct {
	Series string // such as up{job="api"}
	Values string // such as 1x60 0x5
}

// Check is what an alert was observed to do at one evaluation.
type Check struct {
	At     time.Duration
	Firing []Firing
	Why    string // a short comment, or ""
}

// Firing is a firing alert as it would be sent, without alertname.
type Firing struct{ Labels, Annotations labels.Labels }

// Unknown is a part of an expression for which no boundary was found.
type Unknown struct {
	Condition string
	Reason    string
}

var promqlParser = parser.NewParser(static.Options)

// parsed reads input series as promtool does, with samples every interval from the start.
func parsed(all []Series, start time.Time, interval time.Duration) ([]promql.Series, error) {
	var found []promql.Series
	for _, s := range all {
		l, values, err := promqlParser.ParseSeriesDesc(s.Series + " " + s.Values)
		if err != nil {
			return nil, fmt.Errorf("series %s %s: %w", s.Series, s.Values, err)
		}
		one := promql.Series{Metric: l}
		for i, v := range values {
			if !v.Omitted {
				one.Floats = append(one.Floats, promql.FPoint{T: start.UnixMilli() + int64(i)*interval.Milliseconds(), F: v.Value})
			}
		}
		found = append(found, one)
	}
	return found, nil
}
