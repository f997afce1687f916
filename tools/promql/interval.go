package promql

import (
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"
)

// Interval is where values lie, up to rounding.
type Interval struct {
	Min, Max         float64
	MinOpen, MaxOpen bool // whether Min and Max themselves are left out
	NaN              bool // whether a value can be NaN
}

var (
	infinite = math.Inf(1)
	anything = Interval{Min: -infinite, Max: infinite, NaN: true}
)

func point(v float64) Interval {
	if math.IsNaN(v) {
		return Interval{Min: infinite, Max: -infinite, NaN: true}
	}
	return Interval{Min: v, Max: v}
}

func between(low, high float64) Interval { return Interval{Min: low, Max: high} }

func atLeast(low float64) Interval { return between(low, infinite) }

func (i Interval) orNaN() Interval { i.NaN = true; return i }

// none reports whether no number lies in it; NaN can still.
func (i Interval) none() bool {
	return i.Min > i.Max || i.Min == i.Max && (i.MinOpen || i.MaxOpen)
}

// numbers is the interval without NaN.
func (i Interval) numbers() Interval { i.NaN = false; return i }

func (i Interval) isPoint() bool { return i.Min == i.Max && !i.none() }

// Has reports whether a value lies in it.
func (i Interval) Has(v float64) bool {
	if math.IsNaN(v) {
		return i.NaN
	}
	return (v > i.Min || v == i.Min && !i.MinOpen) && (v < i.Max || v == i.Max && !i.MaxOpen)
}

// meet is where both are.
func (i Interval) meet(o Interval) Interval {
	r := i
	r.NaN = i.NaN && o.NaN
	if o.Min > i.Min || o.Min == i.Min && o.MinOpen {
		r.Min, r.MinOpen = o.Min, o.MinOpen
	}
	if o.Max < i.Max || o.Max == i.Max && o.MaxOpen {
		r.Max, r.MaxOpen = o.Max, o.MaxOpen
	}
	return r
}

// hull is the smallest interval around both.
func (i Interval) hull(o Interval) Interval {
	switch {
	case i.none():
		o.NaN = o.NaN || i.NaN
		return o
	case o.none():
		i.NaN = i.NaN || o.NaN
		return i
	}
	r := i
	r.NaN = i.NaN || o.NaN
	if o.Min < i.Min || o.Min == i.Min && !o.MinOpen {
		r.Min, r.MinOpen = o.Min, o.MinOpen
	}
	if o.Max > i.Max || o.Max == i.Max && !o.MaxOpen {
		r.Max, r.MaxOpen = o.Max, o.MaxOpen
	}
	return r
}

// within reports whether all of i lies in o.
func (i Interval) within(o Interval) bool {
	h := i.hull(o)
	return h == o || i.none() && (o.NaN || !i.NaN)
}

// compared is where the values of i are that stand in this relation to some value of o.
func (i Interval) compared(op parser.ItemType, o Interval) Interval {
	if o.none() && op != parser.NEQ { // only NaN
		return point(math.NaN()).meet(between(0, 0))
	}
	switch op {
	case parser.GTR:
		return i.meet(Interval{Min: o.Min, MinOpen: true, Max: infinite})
	case parser.GTE:
		return i.meet(Interval{Min: o.Min, MinOpen: o.MinOpen, Max: infinite})
	case parser.LSS:
		return i.meet(Interval{Min: -infinite, Max: o.Max, MaxOpen: true})
	case parser.LTE:
		return i.meet(Interval{Min: -infinite, Max: o.Max, MaxOpen: o.MaxOpen})
	case parser.EQLC:
		o.NaN = false
		return i.meet(o)
	case parser.NEQ:
		if i.isPoint() && o.isPoint() && i.Min == o.Min && !o.NaN {
			return Interval{Min: infinite, Max: -infinite, NaN: i.NaN}
		}
	}
	return i
}

// holds reports whether each value of i stands in this relation to each value of o.
func (i Interval) holds(op parser.ItemType, o Interval) bool {
	inverse := map[parser.ItemType]parser.ItemType{
		parser.GTR: parser.LTE, parser.GTE: parser.LSS, parser.LSS: parser.GTE, parser.LTE: parser.GTR,
		parser.EQLC: parser.NEQ, parser.NEQ: parser.EQLC,
	}[op]
	if i.NaN || o.NaN {
		return op == parser.NEQ && (i.none() || o.none())
	}
	return i.compared(inverse, o).none()
}

// computed is where the results of an operation are.
func (i Interval) computed(op parser.ItemType, o Interval) Interval {
	if i.isPoint() && o.isPoint() && !i.NaN && !o.NaN {
		if v, ok := Compute(op, i.Min, o.Min); ok {
			return point(v)
		}
	}
	if i.none() || o.none() {
		return point(math.NaN())
	}
	var r Interval
	switch op {
	case parser.ADD:
		r = between(i.Min+o.Min, i.Max+o.Max)
		r.NaN = math.IsInf(i.Min, -1) && math.IsInf(o.Max, 1) || math.IsInf(i.Max, 1) && math.IsInf(o.Min, -1)
	case parser.SUB:
		return i.computed(parser.ADD, o.negated())
	case parser.MUL:
		r = products(i, o)
		r.NaN = i.Has(0) && o.unbounded() || o.Has(0) && i.unbounded()
	case parser.DIV:
		switch {
		case o.Min > 0 || o.Max < 0:
			r = products(i, between(1/o.Max, 1/o.Min))
			r.NaN = i.unbounded() && o.unbounded()
		case i.Min >= 0 && o.Min >= 0 && o.Max > 0:
			r = atLeast(0).orNaN()
		default:
			r = anything
		}
	default:
		r = anything
	}
	if math.IsNaN(r.Min) || math.IsNaN(r.Max) {
		r = anything
	}
	r.NaN = r.NaN || i.NaN || o.NaN
	return r
}

func (i Interval) unbounded() bool { return math.IsInf(i.Min, 0) || math.IsInf(i.Max, 0) }

func (i Interval) negated() Interval {
	return Interval{Min: -i.Max, Max: -i.Min, MinOpen: i.MaxOpen, MaxOpen: i.MinOpen, NaN: i.NaN}
}

func products(i, o Interval) Interval {
	r := between(infinite, -infinite)
	for _, a := range []float64{i.Min, i.Max} {
		for _, b := range []float64{o.Min, o.Max} {
			p := a * b
			if a == 0 || b == 0 { // and not NaN where the other bound is infinite
				p = 0
			}
			r.Min, r.Max = min(r.Min, p), max(r.Max, p)
		}
	}
	return r
}

// mapped applies a function that never falls.
func (i Interval) mapped(f func(float64) float64) Interval {
	if i.none() {
		return i
	}
	return Interval{Min: f(i.Min), Max: f(i.Max), NaN: i.NaN}
}

// total is where the sum of one or more values is.
func (i Interval) total() Interval {
	r := anything
	if i.Min >= 0 {
		r.Min = i.Min
	}
	if i.Max <= 0 {
		r.Max = i.Max
	}
	r.NaN = i.NaN || math.IsInf(i.Min, -1) && math.IsInf(i.Max, 1)
	return r
}

// String describes it as the end of a sentence: "is at least 1".
func (i Interval) String() string {
	number := func(v float64) string {
		if r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 8, 64), 64); err == nil && math.Abs(r-v) < math.Abs(v)*2e-9 {
			v = r // without what was added for rounding
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	low, high := "at least ", "at most "
	if i.MinOpen {
		low = "above "
	}
	if i.MaxOpen {
		high = "below "
	}
	switch {
	case i.none():
		return "is always NaN"
	case i.isPoint():
		return "is always " + number(i.Min)
	case i.Min > 0 && i.Max-i.Min < i.Max*1e-8 || i.Max < 0 && i.Max-i.Min < -i.Min*1e-8:
		return "is always " + number((i.Min+i.Max)/2) + ", up to rounding"
	case math.IsInf(i.Min, -1) && math.IsInf(i.Max, 1):
		return "can be any number"
	case math.IsInf(i.Max, 1):
		return "is " + low + number(i.Min)
	case math.IsInf(i.Min, -1):
		return "is " + high + number(i.Max)
	case i.MinOpen || i.MaxOpen:
		return fmt.Sprintf("is %s%s and %s%s", low, number(i.Min), high, number(i.Max))
	}
	return fmt.Sprintf("is between %s and %s", number(i.Min), number(i.Max))
}
