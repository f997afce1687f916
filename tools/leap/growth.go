package leap

import (
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
)

// rateScrapes is the number of scrapes from which a rate is taken: enough for more than one step, few enough for the
// current rate.
const rateScrapes = 10

// growth is by how much a counter grows in a second. The zero value is that of a constant series.
type growth struct {
	number float64
	native *histogram.FloatHistogram // for native histograms
}

// isCounter reports whether the series of this name, with this newest sample, only grows.
func isCounter(name string, newest sample, types map[string]model.MetricType) bool {
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

// isTimestamp reports whether the series is a Unix time: its name ends as Prometheus recommends
// (https://prometheus.io/docs/practices/naming/#base-units), and it is not 0, which means never.
func isTimestamp(name string, newest sample) bool {
	return strings.HasSuffix(name, "_timestamp_seconds") && newest.native() == nil && newest.f > 0
}

// measure takes the growth of a counter from consecutive samples. A drop is a restart from zero.
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
	h, fell := smp.native(), smp.resetSince(prev)
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
		return smp // another bucket layout than that of the growth
	}
	more.CounterResetHint = histogram.UnknownCounterReset
	return sample{t: smp.t, fh: more}
}

// before returns the sample that has grown to smp in some milliseconds. A number may be below zero, which no counter is:
// its rate is then right, where a restart in between would lose a part of it, and a different one for each bucket of a
// histogram. For a native histogram that is too small, it returns smp and false.
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
			return smp, true // another bucket layout than that of the growth
		}
		// Single buckets may be too small although their sum is not.
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
