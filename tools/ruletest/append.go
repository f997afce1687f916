package ruletest

import (
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	prometheusvalue "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// appender collects samples and writes them together, like a transaction of Prometheus's storage: each is checked when
// it is appended against what the storage held before the transaction, and dropped silently at the commit if it
// conflicts with an earlier one of the same transaction.
type appender struct {
	m       *memory
	entries []entry
}

type entry struct {
	s *series
	sample
}

// append adds a sample. The errors are those of Prometheus's storage, for samples that are out of order or contradict
// another.
func (a *appender) append(ls labels.Labels, smpl sample) error {
	if smpl.h != nil {
		if err := smpl.h.Validate(); err != nil {
			return err
		}
	}
	s := a.m.find(ls)
	if s == nil {
		ls = ls.WithoutEmpty()
		if ls.IsEmpty() {
			return fmt.Errorf("a series without labels cannot be stored")
		}
		if name, dup := ls.HasDuplicateLabelNames(); dup {
			return fmt.Errorf("a series with two labels %q cannot be stored", name)
		}
		if s = a.m.find(ls); s == nil {
			s = a.m.add(ls)
		}
	}
	if err := s.accepts(smpl); err != nil {
		return err
	}
	a.entries = append(a.entries, entry{s, smpl})
	return nil
}

func (a *appender) commit() {
	for _, e := range a.entries {
		if e.s.accepts(e.sample) == nil {
			e.s.push(e.sample)
		}
	}
	a.entries = a.entries[:0]
}

// accepts returns why a sample cannot be the next one of the series, or nil.
func (s *series) accepts(smpl sample) error {
	last, ok := s.last()
	switch {
	case !ok || smpl.t > last.t:
		return nil
	case smpl.t < last.t:
		return storage.ErrOutOfOrderSample
	case smpl.h == nil && last.h != nil:
		return storage.NewDuplicateHistogramToFloatErr(smpl.t, smpl.v)
	case smpl.h != nil && !smpl.h.Equals(last.h):
		return storage.ErrDuplicateSampleForTimestamp
	case smpl.h == nil && math.Float64bits(smpl.v) != math.Float64bits(last.v):
		return storage.NewDuplicateFloatErr(smpl.t, last.v, smpl.v)
	}
	return nil // the same sample again
}

// last returns the last sample as it was written.
func (s *series) last() (sample, bool) {
	switch {
	case s.chunked != nil:
		return s.chunked.last, true
	case len(s.samples) > 0:
		return s.samples[len(s.samples)-1], true
	}
	return sample{}, false
}

// push writes a sample that the series accepts.
func (s *series) push(smpl sample) {
	last, any := s.last()
	if any && smpl.t == last.t {
		return
	}
	if smpl.h == nil && last.h != nil && prometheusvalue.IsStaleNaN(smpl.v) {
		// The storage marks the end of a series with the kind of sample that it had last.
		smpl = sample{t: smpl.t, h: &histogram.FloatHistogram{Sum: smpl.v}}
	}
	if smpl.h != nil && s.chunked == nil {
		s.chunked = &chunked{}
	}
	if s.chunked != nil {
		smpl = s.chunked.push(smpl)
	}
	s.samples = append(s.samples, smpl)
}

// chunked gives the histograms of a series the counter reset hints that they have when read from the head block of
// Prometheus's storage. It stores them in chunks, with a new one after a counter reset, when the sample type changes,
// and when the last is full: the hint, which PromQL and tests see, depends on the place in the chunk.
type chunked struct {
	chunk chunkenc.Chunk // the newest; nil after a float
	app   chunkenc.Appender
	first int64  // time of the first sample in chunk
	end   int64  // when a new chunk starts at the latest
	ended bool   // end was estimated from how full the chunk is
	last  sample // as it was written
}

// chunkRange is the time range in milliseconds whose multiples no chunk crosses.
const chunkRange = int64(24 * time.Hour / time.Millisecond)

// push adds a sample and returns it as it will be read.
func (c *chunked) push(smpl sample) sample {
	if smpl.h == nil {
		c.last, c.chunk, c.app = smpl, nil, nil
		return smpl
	}
	var before chunkenc.Appender
	if c.chunk == nil || c.full(smpl.t) {
		before = c.app
		chunk := chunkenc.NewFloatHistogramChunk()
		c.cut(chunk, smpl.t)
		var err error
		if c.app, err = chunk.Appender(); err != nil {
			panic(err) // the chunk is empty
		}
	}
	c.last = smpl
	chunk, recoded, app, err := c.app.AppendFloatHistogram(before, 0, smpl.t, smpl.h, false)
	if err != nil {
		panic(err) // only without permission to start a new chunk
	}
	c.app = app
	switch {
	case chunk == nil:
	case recoded:
		c.chunk = chunk
	default:
		c.cut(chunk, smpl.t)
	}
	it := c.chunk.Iterator(nil)
	for it.Next() != chunkenc.ValNone && it.AtT() < smpl.t {
	}
	_, smpl.h = it.AtFloatHistogram(nil)
	return smpl
}

func (c *chunked) cut(chunk chunkenc.Chunk, t int64) {
	c.chunk = chunk
	c.first, c.end, c.ended = t, (t/chunkRange)*chunkRange+chunkRange, false
}

// full reports whether a sample at t starts a new chunk.
func (c *chunked) full(t int64) bool {
	border := c.end
	if c.ended {
		border = (c.first/chunkRange)*chunkRange + chunkRange
	}
	size := len(c.chunk.Bytes())
	if !c.ended && size >= chunkenc.TargetBytesPerHistogramChunk/4 {
		left := float64(c.end - c.first)
		parts := left / (float64(c.last.t-c.first+1) * chunkenc.TargetBytesPerHistogramChunk / float64(size))
		if parts > 1 {
			c.end = int64(float64(c.first) + left/math.Floor(parts))
		}
		c.ended = true
	}
	return (t >= c.end || size >= 2*chunkenc.TargetBytesPerHistogramChunk) &&
		(c.chunk.NumSamples() >= chunkenc.MinSamplesPerHistogramChunk || t >= border)
}
