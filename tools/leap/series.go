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

// sample is one sample of a series: a number, or a native histogram with counts that are integers (h) or not (fh).
type sample struct {
	t  int64 // milliseconds
	f  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

// read returns the sample of the given kind that the iterator is at.
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

// stale says whether the sample marks the end of its series.
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

// fellFrom says whether a counter that goes from prev to s has begun anew in between.
func (s sample) fellFrom(prev sample) bool {
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

// series is one series of the history, and how it goes on.
type series struct {
	labels  labels.Labels
	name    string
	history storage.Series
	ref     storage.SeriesRef // in the storage that is written
	first   int64             // time of its oldest sample, in milliseconds like all times here
	newest  sample            // as it is, before the shift
	recent  []sample          // the newest ones that are no stale markers
	falls   []fall            // of a number, the first first

	growth growth // zero if the value holds
	seam   int64  // the time of newest after the shift
	end    int64  // the time of the last sample that is filled in
}

// fall is a number that fell, as a counter does when its target restarts.
type fall struct {
	t    int64 // of the first sample after it
	from float64
}

func newSeries(from storage.Series) *series {
	l := from.Labels()
	return &series{labels: l, name: l.Get(labels.MetricName), history: from}
}

// scan reads the series through, for its ends.
func (s *series) scan(it chunkenc.Iterator) error {
	s.first = math.MaxInt64
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		s.newest = read(it, kind)
		s.first = min(s.first, s.newest.t)
		if s.newest.stale() {
			continue
		}
		n := len(s.recent)
		if n > 0 && kind == chunkenc.ValFloat && s.newest.fellFrom(s.recent[n-1]) {
			s.falls = append(s.falls, fall{s.newest.t, s.recent[n-1].f})
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

// goOn decides how the series goes on from its newest sample, moved back by shift, until now.
func (s *series) goOn(shift, now int64, cfg Config) (err error) {
	step := cfg.ScrapeInterval.Milliseconds()
	s.seam = s.newest.t - shift
	s.end = s.seam + (now-s.seam)/step*step
	switch {
	case counts(s.name, s.newest, cfg.Types):
		s.growth, err = measure(s.recent)
	case isMoment(s.name, s.newest):
		s.growth, s.falls = growth{number: 1}, nil
	}
	return err
}

// past returns a sample of the history as it is after the shift: the further back, the lower a value that has to have
// grown by now.
func (s *series) past(smp sample, shift int64) sample {
	t := smp.t
	if !smp.stale() {
		if s.name == engine.AlertsForState {
			smp.f -= float64(shift) / 1000
		}
		smp, _ = s.growth.before(smp, s.end-s.seam)
		if s.growth.number > 0 {
			// A restart is no fall any more: below zero, the growth since then would not be seen.
			for _, f := range s.falls {
				if smp.t < f.t {
					smp.f -= f.from
				}
			}
		}
	}
	smp.t = t - shift
	return smp
}

// next returns the sample at t, between the seam and the end: on the way up to the newest value, or, where that way
// would begin below zero, on the way on from it.
func (s *series) next(t int64) sample {
	smp, ok := s.growth.before(s.newest, s.end-t)
	if !ok {
		smp = s.growth.after(s.newest, t-s.seam)
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
