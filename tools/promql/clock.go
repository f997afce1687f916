package promql

import (
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// ofLookback is what the age of a sample rests on.
var ofLookback = "a series ends " + model.Duration(Lookback).String() + " after its last sample (the default of --query.lookback-delta)"

// timestamped is where timestamp() lies as seen from time(): it is the time of a selector's sample, and that of the
// evaluation for anything else.
func (a *Analysis) timestamped(e *parser.Call) (*Interval, string) {
	s, ok := Bare(e.Args[0]).(*parser.VectorSelector)
	if !ok {
		return new(point(0)), "timestamp() of anything but a selector is time()"
	}
	if s.Timestamp != nil || s.StartOrEnd != 0 || s.OriginalOffsetExpr != nil {
		return nil, ""
	}
	at := point(-s.OriginalOffset.Seconds())
	if _, in := e.Args[0].(*parser.ParenExpr); in {
		at = at.hull(point(0)) // it depends on the version
	}
	if a.by == Sure {
		at.Min = -infinite
		return &at, ""
	}
	at.Min -= Lookback.Seconds()
	return &at, ofLookback
}

// earlier is where a moment lies as seen from time() if it was seen so within a subquery.
func earlier(clock *Interval, e *parser.SubqueryExpr) *Interval {
	if clock == nil || e.Timestamp != nil || e.StartOrEnd != 0 || e.OriginalOffsetExpr != nil || e.RangeExpr != nil {
		return nil
	}
	r := *clock
	r.Min -= (e.OriginalOffset + e.Range).Seconds()
	r.Max -= e.OriginalOffset.Seconds()
	return &r
}

// clocked finds where the result of an operator lies as seen from time(), and in itself where it is the difference of two
// moments.
func clocked(op parser.ItemType, left, right Facts) (clock *Interval, values Interval) {
	values = anything
	switch l, r := left.clock, right.clock; {
	case l != nil && r != nil && op == parser.SUB:
		values = l.computed(parser.SUB, *r)
	case l != nil && r == nil && (op == parser.ADD || op == parser.SUB):
		clock = new(l.computed(op, right.Values))
	case l == nil && r != nil && op == parser.ADD:
		clock = new(r.computed(op, left.Values))
	}
	return clock, values
}

// neverAt reports whether a comparison of two moments never holds.
func neverAt(op parser.ItemType, left, right Facts) bool {
	if left.clock == nil || right.clock == nil || op == parser.NEQ {
		return false
	}
	found := left.clock.compared(op, *right.clock)
	return found.none()
}

// whenever describes a moment, as the end of a sentence: "is at most 5m before time()".
func whenever(clock Interval) string {
	text := func(seconds float64) string {
		return model.Duration(time.Duration(seconds * float64(time.Second)).Round(time.Millisecond).Abs()).String()
	}
	const longest = 1e9 // seconds
	switch {
	case clock.isPoint() && clock.Min == 0:
		return "is time()"
	case clock.Min < -longest && clock.Max > longest || clock.none():
		return "is some time"
	case clock.isPoint() && clock.Max < 0:
		return "is " + text(clock.Max) + " before time()"
	case clock.isPoint():
		return "is " + text(clock.Max) + " after time()"
	case clock.Min < -longest && clock.Max == 0:
		return "is not after time()"
	case clock.Min < -longest && clock.Max < 0:
		return "is at least " + text(clock.Max) + " before time()"
	case clock.Min < -longest:
		return "is at most " + text(clock.Max) + " after time()"
	case clock.Max > longest && clock.Min >= 0:
		return "is at least " + text(clock.Min) + " after time()"
	case clock.Max < 0:
		return "is between " + text(clock.Max) + " and " + text(clock.Min) + " before time()"
	case clock.Max == 0:
		return "is at most " + text(clock.Min) + " before time()"
	}
	return "is between " + text(clock.Min) + " before and " + text(clock.Max) + " after time()"
}
