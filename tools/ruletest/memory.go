package ruletest

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// sample is a float or, where h is not nil, a native histogram.
type sample struct {
	t int64 // in milliseconds
	v float64
	h *histogram.FloatHistogram
}

// A sample is a chunks.Sample.

func (s *sample) ST() int64                     { return 0 }
func (s *sample) T() int64                      { return s.t }
func (s *sample) F() float64                    { return s.v }
func (s *sample) H() *histogram.Histogram       { return nil }
func (s *sample) FH() *histogram.FloatHistogram { return s.h.Copy() } // PromQL calculates in place
func (s *sample) Copy() chunks.Sample           { return &sample{s.t, s.v, s.h.Copy()} }
func (s *sample) Type() chunkenc.ValueType {
	if s.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// samples is a storage.Samples.
type samples []sample

func (s samples) Get(i int) chunks.Sample { return &s[i] }
func (s samples) Len() int                { return len(s) }

// input holds the input series of a test. It is immutable once read: all runs of the test share it.
type input struct {
	series     []*series // in the order of the file
	byName     map[string][]*series
	byHash     map[uint64]*series // of the labels as written
	histograms bool               // some sample is a histogram
}

func newInput() *input {
	return &input{byName: map[string][]*series{}, byHash: map[uint64]*series{}}
}

func (in *input) set(ls labels.Labels, all samples, truncated bool) {
	s := in.byHash[ls.Hash()]
	if s == nil {
		s = &series{labels: ls.WithoutEmpty()}
		in.byHash[ls.Hash()] = s
		in.series = append(in.series, s)
		name := s.labels.Get(model.MetricNameLabel)
		in.byName[name] = append(in.byName[name], s)
	}
	s.samples, s.truncated = all, truncated
	in.histograms = in.histograms || s.histograms()
}

// series is a series and its samples, by time.
type series struct {
	labels    labels.Labels
	samples   samples
	chunked   *chunked // nil as long as all samples are floats
	truncated bool     // an input series has values after the last evaluation
	writer    int      // the rule that writes it, where rules are evaluated one by one
}

func (s *series) histograms() bool {
	return slices.ContainsFunc(s.samples, func(smpl sample) bool { return smpl.h != nil })
}

// memory is the storage of one run of a test: the test's input up to now, and what the rules have written. It implements
// storage.Queryable for one goroutine.
type memory struct {
	input *input
	now   int64 // in milliseconds; later samples are not visible yet

	// Input series that the rules might write as well, and those with histograms: they are appended sample by sample.
	pending  []*pendingSeries
	writable map[*series]bool

	own    []*series
	byName map[string][]*series
	byHash map[uint64][]*series
}

type pendingSeries struct {
	*series
	next int
}

// newMemory returns a storage over in. Input series whose name is written are copied, so that rules can append to them.
func newMemory(in *input, written func(name string) bool) *memory {
	m := &memory{input: in, byName: map[string][]*series{}, byHash: map[uint64][]*series{}, writable: map[*series]bool{}}
	for _, s := range in.series {
		if in.histograms && s.histograms() || written(s.labels.Get(model.MetricNameLabel)) {
			m.pending = append(m.pending, &pendingSeries{series: s})
			m.writable[s] = true
		}
	}
	return m
}

// Storage returns a storage of these series, in memory. It is for one goroutine.
func Storage(all []promql.Series) storage.Queryable {
	in := newInput()
	for _, s := range all {
		floats := make(samples, len(s.Floats))
		for i, p := range s.Floats {
			floats[i] = sample{t: p.T, v: p.F}
		}
		in.set(s.Metric, floats, false)
	}
	return &memory{input: in, now: math.MaxInt64}
}

// find returns the series with these labels among those that rules can append to, or nil.
func (m *memory) find(ls labels.Labels) *series {
	for _, s := range m.byHash[ls.Hash()] {
		if labels.Equal(s.labels, ls) {
			return s
		}
	}
	return nil
}

// add creates a series.
func (m *memory) add(ls labels.Labels) *series {
	s := &series{labels: ls}
	m.own = append(m.own, s)
	name := ls.Get(model.MetricNameLabel)
	m.byName[name] = append(m.byName[name], s)
	hash := ls.Hash()
	m.byHash[hash] = append(m.byHash[hash], s)
	return s
}

// Querier implements storage.Queryable.
func (m *memory) Querier(_, maxt int64) (storage.Querier, error) {
	return querier{m: m, until: min(maxt, m.now), any: maxt >= m.oldest()}, nil
}

// oldest returns the time of the oldest visible sample, in milliseconds.
func (m *memory) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for _, s := range m.input.series {
		if len(s.samples) > 0 && s.samples[0].t <= m.now && !m.writable[s] {
			oldest = min(oldest, s.samples[0].t)
		}
	}
	for _, s := range m.own {
		if len(s.samples) > 0 {
			oldest = min(oldest, s.samples[0].t)
		}
	}
	return oldest
}

type querier struct {
	m     *memory
	until int64
	any   bool // a sample is old enough for the query
}

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, sortSeries bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if q.any {
		slices.SortStableFunc(matchers, excludingLast(matchers))
	}
	input, own := q.m.input.series, q.m.own
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			input, own = q.m.input.byName[m.Value], q.m.byName[m.Value]
			break
		}
	}
	set := &seriesSet{maxt: q.until}
	for _, s := range input {
		if !q.m.writable[s] && labels.Selector(matchers).Matches(s.labels) {
			set.series = append(set.series, s)
		}
	}
	for _, s := range own {
		if labels.Selector(matchers).Matches(s.labels) {
			set.series = append(set.series, s)
		}
	}
	if sortSeries {
		slices.SortFunc(set.series, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return set
}

// excludingLast orders matchers as Prometheus's storage leaves them after a query: those that only exclude series come
// last. The labels of absent(a{b="c", b!="d"}) depend on it.
func excludingLast(matchers []*labels.Matcher) func(a, b *labels.Matcher) int {
	required := map[string]bool{}
	for _, m := range matchers {
		if !m.Matches("") {
			required[m.Name] = true
		}
	}
	excludes := func(m *labels.Matcher) int {
		if !required[m.Name] || (m.Type == labels.MatchNotEqual || m.Type == labels.MatchNotRegexp) && m.Matches("") {
			return 1
		}
		return 0
	}
	return func(a, b *labels.Matcher) int { return excludes(a) - excludes(b) }
}

// LabelValues implements storage.Querier. PromQL does not ask for it.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier. PromQL does not ask for it.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

type seriesSet struct {
	series []*series
	next   int
	maxt   int64
}

func (s *seriesSet) Next() bool { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series {
	return visibleSeries{s.series[s.next-1], s.maxt}
}
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// visibleSeries is a series up to and including maxt.
type visibleSeries struct {
	*series
	maxt int64
}

func (s visibleSeries) Labels() labels.Labels { return s.labels }

func (s visibleSeries) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	end := len(s.samples)
	if end > 0 && s.samples[end-1].t > s.maxt {
		end = sort.Search(end, func(i int) bool { return s.samples[i].t > s.maxt })
	}
	return storage.NewListSeriesIterator(s.samples[:end])
}
