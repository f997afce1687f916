package report

import (
	"math"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// axis maps times to positions: real time in proportion, each leap at the same width, however long it is.
type axis struct {
	left, right float64
	pieces      []piece
}

// piece is a part of the axis: a leap, or real time.
type piece struct {
	from, to time.Time
	x0, x1   float64
	leap     *journal.Leap
}

// leapWidth is how wide a leap is drawn where there is room: enough for its label.
const leapWidth = 96

// newAxis makes the axis from one moment to another, on which the leaps are in order.
func newAxis(from, to time.Time, leaps []journal.Leap, left, right float64) axis {
	a := axis{left: left, right: right}
	var lived time.Duration
	add := func(from, to time.Time, leap *journal.Leap) {
		if to.After(from) {
			a.pieces = append(a.pieces, piece{from: from, to: to, leap: leap})
			if leap == nil {
				lived += to.Sub(from)
			}
		}
	}
	leapt := 0
	for i, l := range leaps {
		if l.Leapt() <= 0 {
			continue
		}
		leapt++
		add(from, l.From, nil)
		add(l.From, l.To, &leaps[i])
		from = l.To
	}
	add(from, to, nil)

	room := right - left
	width := float64(leapWidth)
	if leapt > 0 {
		width = math.Min(width, room/2/float64(leapt))
		if lived == 0 {
			width = room / float64(leapt)
		}
	}
	scale := 0.0
	if lived > 0 {
		scale = (room - width*float64(leapt)) / float64(lived)
	}
	x := left
	for i := range a.pieces {
		p := &a.pieces[i]
		p.x0 = x
		if p.leap != nil {
			x += width
		} else {
			x += scale * float64(p.to.Sub(p.from))
		}
		p.x1 = x
	}
	return a
}

// at is the position of a time; times outside of the axis are at its ends.
func (a axis) at(t time.Time) float64 {
	for _, p := range a.pieces {
		if t.Before(p.from) {
			return p.x0
		}
		if !t.After(p.to) {
			return p.x0 + (p.x1-p.x0)*float64(t.Sub(p.from))/float64(p.to.Sub(p.from))
		}
	}
	return a.right
}

// within is the number of the piece that a time is in.
func (a axis) within(t time.Time) int {
	for i, p := range a.pieces {
		if !t.After(p.to) {
			return i
		}
	}
	return len(a.pieces)
}

// tick is a labelled time on the axis.
type tick struct {
	at time.Time
	x  float64
}

// steps are the possible distances between ticks.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute,
	10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour,
}

// ticks are round times at least that far apart, none of them within a leap.
func (a axis) ticks(apart float64) []tick {
	var found []tick
	last := a.left - apart
	for _, p := range a.pieces {
		if p.leap != nil {
			continue
		}
		perSecond := (p.x1 - p.x0) / p.to.Sub(p.from).Seconds()
		step := steps[len(steps)-1]
		for _, s := range steps {
			if perSecond*s.Seconds() >= apart {
				step = s
				break
			}
		}
		if float64(p.to.Sub(p.from))/float64(step) > 1000 { // years, which no proof takes
			step = p.to.Sub(p.from) / 8
		}
		begun := false
		for t := p.from.Truncate(step); !t.After(p.to); t = t.Add(step) {
			if t.Before(p.from) {
				continue
			}
			if x := a.at(t); x >= last+apart && x <= a.right {
				found = append(found, tick{t, x})
				last, begun = x, true
			}
		}
		// A short piece has one tick as well, to show the time beside a leap.
		if middle := (p.x0 + p.x1) / 2; !begun && middle >= last+apart && p.x1-p.x0 > 8 {
			t := p.from.Add(p.to.Sub(p.from) / 2).Round(time.Second)
			found = append(found, tick{t, a.at(t)})
			last = a.at(t)
		}
	}
	return found
}
