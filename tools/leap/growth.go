package leap

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
)

// rateScrapes is from how many scrapes a rate is taken, each with the one before it: enough for it to be more than one
// step, few enough for it to be the rate of now.
const rateScrapes = 10

// growth is by how much a counter grows in a second. The zero value is that of a series that holds.
type growth struct {
	number float64
	native *histogram.FloatHistogram // for the series whose samples are native histograms
}

// counts says whether the series of this name, with this newest sample, is of those that only grow.
func counts(name string, newest sample, types map[string]model.MetricType) bool {
	if newest.h != nil {
		return newest.h.CounterResetHint != histogram.GaugeType
	}
	if newest.fh != nil {
		return newest.fh.CounterResetHint != histogram.GaugeType
	}
	if t, ok := types[name]; ok {
		return t == model.MetricTypeCounter
	}
	of := func(suffix string, want ...model.MetricType) bool {
		family, ok := strings.CutSuffix(name, suffix)
		return ok && slices.Contains(want, types[family])
	}
	// OpenMetrics names a counter's family without the _total.
	return of("_total", model.MetricTypeCounter) ||
		of("_bucket", model.MetricTypeHistogram) ||
		of("_sum", model.MetricTypeHistogram, model.MetricTypeSummary) ||
		of("_count", model.MetricTypeHistogram, model.MetricTypeSummary)
}

// isMoment says whether the series tells a moment, in Unix time: its name ends as Prometheus would have it
// (https://prometheus.io/docs/practices/naming/#base-units), and it is not 0, which says never.
func isMoment(name string, newest sample) bool {
	return strings.HasSuffix(name, "_timestamp_seconds") && newest.native() == nil && newest.f > 0
}

// measure takes the growth of a counter from some samples in a row. A fall is a restart from zero.
func measure(samples []sample) (growth, error) {
	var sum growth
	for i := range samples[1:] {
		if err := sum.add(samples[i], samples[i+1]); err != nil {
			return growth{}, err
		}
	}
	seconds := float64(samples[len(samples)-1].t-samples[0].t) / 1000
	switch {
	case sum.native != nil && sum.native.Count > 0:
		return growth{native: sum.native.Div(seconds)}, nil
	case sum.number > 0 && !math.IsInf(sum.number, 0):
		return growth{number: sum.number / seconds}, nil
	default:
		return growth{}, nil
	}
}

// add adds to g what a counter has grown by from prev to smp.
func (g *growth) add(prev, smp sample) (err error) {
	h, fell := smp.native(), smp.fellFrom(prev)
	if h == nil {
		if !fell {
			smp.f -= prev.f
		}
		g.number += smp.f
		return nil
	}
	if !fell {
		if h, _, _, err = h.Copy().Sub(prev.native()); err != nil {
			return err
		}
	}
	if g.native == nil {
		g.native = h.Copy()
		return nil
	}
	g.native, _, _, err = g.native.Add(h)
	return err
}

// after returns what smp has grown to some milliseconds later.
func (g growth) after(smp sample, ms int64) sample {
	seconds := float64(ms) / 1000
	if g.native == nil {
		smp.f += g.number * seconds
		return smp
	}
	more, _, _, err := smp.native().Copy().Add(g.native.Copy().Mul(seconds))
	if err != nil {
		return smp // another layout of buckets than the one that grows: nothing to add to
	}
	more.CounterResetHint = histogram.UnknownCounterReset
	return sample{t: smp.t, fh: more}
}

// before returns what has grown to smp in some milliseconds. A number may begin below zero, which no counter does: its
// rate is what it should be, where a restart in between would lose some of it, and not the same from each bucket of a
// histogram. It is false where a native histogram is too small for that, and then returns smp itself.
func (g growth) before(smp sample, ms int64) (sample, bool) {
	seconds, isNumber := float64(ms)/1000, smp.h == nil && smp.fh == nil
	switch {
	case g.native != nil && !isNumber:
		h, grown := smp.native(), g.native.Copy().Mul(seconds)
		if h.Count < grown.Count {
			return smp, false
		}
		less, _, _, err := h.Copy().Sub(grown)
		if err != nil {
			return smp, true // another layout of buckets than the one that grows: nothing to take from
		}
		// Single buckets may be too small, though their sum is not.
		less.ZeroCount = max(less.ZeroCount, 0)
		for _, buckets := range [][]float64{less.PositiveBuckets, less.NegativeBuckets} {
			for i := range buckets {
				buckets[i] = max(buckets[i], 0)
			}
		}
		less.CounterResetHint = histogram.UnknownCounterReset
		return sample{t: smp.t, fh: less}, true
	case g.number > 0 && isNumber:
		smp.f -= g.number * seconds
	}
	return smp, true
}
