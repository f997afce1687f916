package leap

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/stemedb/firedrill/tools/engine"
)

// sample is one sample of a series: a number, or a native histogram with integer (h) or float counts (fh).
type sample struct {
	t  int64 // milliseconds
	f  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

// read returns the iterator's current sample, of the given kind.
func read(it chunkenc.Iterator, kind chunkenc.ValueType) sample {
	var s sample
	switch kind {
	case chunkenc.ValFloat:
		s.t, s.f = it.At()
	case chunkenc.ValHistogram:
		s.t, s.h = it.AtHistogram(nil)
	case chunkenc.ValFloatHistogram:
		s.t, s.fh = it.AtFloatHistogram(nil)
	}
	return s
}

// stale reports whether the sample is a stale marker.
func (s sample) stale() bool {
	switch {
	case s.h != nil:
		return value.IsStaleNaN(s.h.Sum)
	case s.fh != nil:
		return value.IsStaleNaN(s.fh.Sum)
	default:
		return value.IsStaleNaN(s.f)
	}
}

// native returns the sample's histogram with float counts, nil if the sample is a number.
func (s sample) native() *histogram.FloatHistogram {
	if s.h != nil {
		return s.h.ToFloat(nil)
	}
	return s.fh
}

// resetSince reports whether a counter that goes from prev to s was reset in between.
func (s sample) resetSince(prev sample) bool {
	h, was := s.native(), prev.native()
	switch {
	case h == nil && was == nil:
		return s.f < prev.f
	case h == nil || was == nil:
		return true
	default:
		return h.DetectReset(was)
	}
}

// series is one series of the history, and how it continues. Times are in milliseconds.
type series struct {
	labels  labels.Labels
	name    string
	history storage.Series
	ref     storage.SeriesRef // in the storage that is written
	first   int64             // time of its oldest sample
	newest  sample            // before the shift
	recent  []sample          // the newest samples that are not stale markers
	resets  []reset           // of numbers, in order of time

	growth   growth // zero if the value holds
	gapStart int64  // the time of newest after the shift
	end      int64  // the time of the last sample that is filled in
}

// reset is a drop of a number, as of a counter when its target restarts.
type reset struct {
	t    int64 // of the first sample after it
	from float64
}

func newSeries(from storage.Series) *series {
	l := from.Labels()
	return &series{labels: l, name: l.Get(labels.MetricName), history: from}
}

// scan reads the series for its oldest and newest samples and its resets.
func (s *series) scan(it chunkenc.Iterator) error {
	s.first = math.MaxInt64
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		s.newest = read(it, kind)
		s.first = min(s.first, s.newest.t)
		if s.newest.stale() {
			continue
		}
		n := len(s.recent)
		if n > 0 && kind == chunkenc.ValFloat && s.newest.resetSince(s.recent[n-1]) {
			s.resets = append(s.resets, reset{s.newest.t, s.recent[n-1].f})
		}
		if n <= rateScrapes {
			s.recent = append(s.recent, s.newest)
		} else {
			copy(s.recent, s.recent[1:])
			s.recent[n-1] = s.newest
		}
	}
	return it.Err()
}

// extrapolate sets how the series continues from its newest sample, moved back by shift, until now.
func (s *series) extrapolate(shift, now int64, cfg Config) (err error) {
	step := cfg.ScrapeInterval.Milliseconds()
	s.gapStart = s.newest.t - shift
	s.end = s.gapStart + (now-s.gapStart)/step*step
	switch {
	case isCounter(s.name, s.newest, cfg.Types):
		s.growth, err = measure(s.recent)
	case isTimestamp(s.name, s.newest):
		s.growth, s.resets = growth{number: 1}, nil
	}
	return err
}

// past returns a sample of the history as it is after the shift: the older, the lower a value that must have grown by
// now.
func (s *series) past(smp sample, shift int64) sample {
	t := smp.t
	if !smp.stale() {
		if s.name == engine.AlertsForState {
			smp.f -= float64(shift) / 1000
		}
		smp, _ = s.growth.before(smp, s.end-s.gapStart)
		if s.growth.number > 0 {
			// Resets are removed: below zero, the growth after one would be lost.
			for _, f := range s.resets {
				if smp.t < f.t {
					smp.f -= f.from
				}
			}
		}
	}
	smp.t = t - shift
	return smp
}

// next returns the sample at t in the gap: growing up to the newest value or, where that growth would begin below zero,
// from it.
func (s *series) next(t int64) sample {
	smp, ok := s.growth.before(s.newest, s.end-t)
	if !ok {
		smp = s.growth.after(s.newest, t-s.gapStart)
	}
	smp.t = t
	return smp
}

// append writes smp to app.
func (s *series) append(app storage.AppenderV2, smp sample) error {
	ref, err := app.Append(s.ref, s.labels, 0, smp.t, smp.f, smp.h, smp.fh, storage.AppendV2Options{})
	if err != nil {
		return fmt.Errorf("write a sample of %s: %w", s.labels, err)
	}
	s.ref = ref
	return nil
}
