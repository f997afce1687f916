package report

import (
	"math"

	"github.com/stemedb/firedrill/tools/journal"
)

// scale maps values to heights, the greatest on top.
type scale struct {
	low, high   float64
	top, bottom float64
	unit        string
	threshold   *journal.Threshold
}

// newScale makes a scale for a signal and, where there is one, its threshold.
func newScale(s journal.Signal, threshold *journal.Threshold, top, bottom float64) scale {
	sc := scale{low: math.Inf(1), high: math.Inf(-1), top: top, bottom: bottom, unit: s.Unit, threshold: threshold}
	include := func(v float64) {
		if !math.IsNaN(v) && math.Abs(v) < 1e300 {
			sc.low, sc.high = math.Min(sc.low, v), math.Max(sc.high, v)
		}
	}
	for _, series := range s.Series {
		for _, sample := range series.Samples {
			include(sample.Value)
		}
	}
	if threshold != nil {
		include(threshold.Value)
	}
	if sc.low > sc.high {
		sc.low, sc.high = 0, 1
	}
	// Zero is shown where it is near, and a signal that does not change is drawn in the middle.
	if sc.low > 0 && sc.low < sc.high*.4 {
		sc.low = 0
	}
	if sc.low == sc.high {
		half := math.Max(math.Abs(sc.low)*.1, 1)
		sc.low, sc.high = sc.low-half, sc.high+half
	}
	margin := (sc.high - sc.low) * .1
	sc.high += margin
	if sc.low != 0 {
		sc.low -= margin
	} else {
		sc.low -= margin / 2
	}
	return sc
}

func (s scale) at(v float64) float64 {
	v = math.Min(math.Max(v, s.low), s.high) // infinities at the edge
	return s.bottom - (v-s.low)/(s.high-s.low)*(s.bottom-s.top)
}

// ticks are about four round values.
func (s scale) ticks() []float64 {
	step := s.step((s.high - s.low) / 4)
	origin := 0.0
	if s.isClose() {
		origin = s.threshold.Value
	}
	var found []float64
	for i := math.Ceil((s.low - origin) / step); origin+i*step <= s.high && len(found) < 12; i++ {
		found = append(found, origin+i*step)
	}
	return found
}

// isClose says that the scale is so close to a threshold in seconds that values are shown as distances from it.
func (s scale) isClose() bool {
	return s.unit == "seconds" && s.threshold != nil && s.high-s.low < math.Abs(s.threshold.Value)/20
}

// label is a tick's label.
func (s scale) label(v float64) string {
	if !s.isClose() {
		return value(v, s.unit)
	}
	base, sign := value(s.threshold.Value, s.unit), "+"
	distance := v - s.threshold.Value
	if distance < 0 {
		sign = "−"
	}
	if distance == 0 {
		return base
	}
	return base + " " + sign + value(math.Abs(distance), s.unit)
}

// step is a round step of at least that size.
func (s scale) step(least float64) float64 {
	switch {
	case s.unit == "seconds" && least > 1:
		for _, d := range []float64{2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400, 2 * 86400, 5 * 86400, 10 * 86400, 20 * 86400, 30 * 86400} {
			if d >= least {
				return d
			}
		}
		return 86400 * round(least/86400)
	case s.unit == "bytes" && least > 1:
		size := math.Pow(1024, math.Floor(math.Log(least)/math.Log(1024)))
		return size * round(least/size)
	}
	return round(least)
}

// round is the next of 1, 2 and 5 times a power of ten.
func round(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if v <= factor*power*(1+1e-9) {
			return factor * power
		}
	}
	return 10 * power
}
