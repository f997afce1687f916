package witness

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/stemedb/firedrill/tools/promql"
)

// series is an input series. Its value is a function of the number of the sample, which the fields describe.
type series struct {
	labels labels.Labels
	uses   []use

	counter bool
	moment  bool    // level counts from the time at which the condition begins to hold, in seconds
	start   float64 // of a counter
	level   float64 // of a gauge, when the condition begins to hold
	slope   float64 // per sample
	early   float64 // added to the level or, of a counter, to the slope before that
	turn    int     // how many samples before the condition begins to hold early ends
	gap     int     // only each so many-th sample is there; 0 for all
	swing   float64 // added in every second period
	period  int     // in samples; 0 for none
	stairs  bool    // it rises by swing with each period
	resets  bool    // a counter starts again after each period
	begins  bool    // it is there only once the condition begins to hold
	ends    bool    // it is there only until the condition begins to hold
	missing bool
	apart   int     // by how much its level differs from that of other such series
	low     float64 // what its values cannot be below
	high    float64
	whole   bool // its values are whole numbers
}

// at is the value of a sample, and whether there is one. zero is the sample at which the condition begins to hold, and now
// its time in seconds since 1970.
func (s *series) at(i, zero int, now float64) (float64, bool) {
	if s.missing || s.begins && i < zero || s.ends && i >= zero {
		return 0, false
	}
	if s.gap > 1 && (i-zero-1)%s.gap != 0 {
		return 0, false
	}
	if s.counter {
		if s.resets && s.period > 0 {
			return s.start + float64(i%s.period), true
		}
		v := s.start + s.slope*float64(i)
		if s.early != 0 {
			v += max(s.early, -s.slope) * float64(min(i, zero-s.turn))
		}
		return v, true
	}
	v := s.level + s.slope*float64(i-zero)
	if s.slope > 0 && !s.moment {
		v = s.level + s.slope*float64(i) // so that it does not start below 0
	}
	if i < zero-s.turn {
		v += s.early
	}
	if s.moment {
		v += now
	}
	switch {
	case s.period > 0 && s.stairs:
		v += s.swing * float64(i/s.period)
	case s.period > 0 && i/s.period%2 == 1:
		v += s.swing
	}
	return min(max(v, s.low), s.high), true
}

func (s *series) usedBy(functions ...string) bool {
	return slices.ContainsFunc(s.uses, func(u use) bool { return slices.Contains(functions, u.function) })
}

// describe sets what kind of series it is, by its name and by what is done with it.
func (p *plan) describe(s *series) {
	name := s.labels.Get(model.MetricNameLabel)
	facts := p.known.Metric(name, promql.Usual).Values
	s.low, s.high = max(facts.Min, 0), facts.Max
	if p.negative && facts.Min < 0 {
		s.low = facts.Min
	}
	if name == "up" || strings.HasSuffix(name, "_up") || s.high == 1 && s.low == 0 {
		s.whole, s.high = true, 1
	}
	if strings.HasSuffix(name, "_info") && s.high == 1 && !s.usedBy("changes") {
		s.low = 1
	}
	if strings.HasSuffix(name, "_ratio") && !p.negative {
		s.high = min(s.high, 1)
	}
	s.counter = s.usedBy("rate", "increase", "irate", "resets")
	s.resets = s.usedBy("resets")
	if s.counter {
		s.low, s.high = 0, math.Inf(1)
	}
	instant := slices.ContainsFunc(s.uses, func(u use) bool { return u.clock && u.function == "" })
	s.moment = !s.counter && (instant || strings.HasSuffix(name, "_timestamp_seconds") || strings.HasSuffix(name, "_timestamp"))
	s.start = p.started
	switch {
	case s.counter:
		s.slope = 100
		if !p.varies(name) {
			s.slope = 1
		}
	case s.high == 1 && s.whole:
		s.level = 1
	case s.moment:
	case p.varies(name):
		s.level = min(100, s.high)
	default:
		s.level = 1
	}
	if s.resets || s.usedBy("changes") {
		s.swing = 1
		if s.high == 1 {
			s.level = 0
		}
	}
	if s.counter && s.labels.Get("le") == "+Inf" || s.labels.Get("le") != "" {
		s.slope = 100
	}
	s.stairs = s.usedBy("changes") && (strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count"))
	if s.usedBy("stddev_over_time", "stdvar_over_time", "mad_over_time") {
		s.period = 1
	}
	s.level = min(max(s.level+float64(s.apart), s.low), s.high)
	nearest := s.uses[0].window + s.uses[0].offset
	for _, u := range s.uses {
		nearest = min(nearest, u.window+u.offset)
	}
	s.turn = p.ticks(nearest)
}

// varies reports whether a metric is compared or computed with.
func (p *plan) varies(name string) bool { return p.computed[name] }

// ticks is how many samples lie in a time.
func (f *finder) ticks(d time.Duration) int { return int(d / f.sampled) }
