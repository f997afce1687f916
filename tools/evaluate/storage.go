package evaluate

import (
	"context"
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	prometheusvalue "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Data is input series. It is immutable: any number of runs share it.
type Data struct {
	series     []*series // in the order given
	byName     map[string][]*series
	histograms bool // some sample is a native histogram
}

// NewData returns input series, with samples in order of time.
func NewData(all []promql.Series) *Data {
	d := &Data{series: make([]*series, len(all)), byName: make(map[string][]*series, len(all))}
	for i, given := range all {
		s := &series{labels: given.Metric.WithoutEmpty(), floats: make(samples, len(given.Floats)), histograms: given.Histograms}
		for j, p := range given.Floats {
			s.floats[j] = sample{p.T, p.F}
		}
		name := s.labels.Get(model.MetricNameLabel)
		d.series[i], d.byName[name] = s, append(d.byName[name], s)
		d.histograms = d.histograms || len(s.histograms) > 0
	}
	return d
}

// Metrics returns the names of the series.
func (d *Data) Metrics() map[string]bool {
	names := make(map[string]bool, len(d.byName))
	for name := range d.byName {
		names[name] = true
	}
	return names
}

func (d *Data) has(metric string) bool { return len(d.byName[metric]) > 0 }

// Storage returns a storage of these series, in memory, of their floats alone. It is for one goroutine.
func Storage(all []promql.Series) storage.Queryable { return newMemory(NewData(all)) }

// sample is a chunks.Sample of a float.
type sample struct {
	t int64 // in milliseconds
	v float64
}

func (s *sample) ST() int64                     { return 0 }
func (s *sample) T() int64                      { return s.t }
func (s *sample) F() float64                    { return s.v }
func (s *sample) H() *histogram.Histogram       { return nil }
func (s *sample) FH() *histogram.FloatHistogram { return nil }
func (s *sample) Copy() chunks.Sample           { return &sample{t: s.t, v: s.v} }
func (s *sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }

// samples is a storage.Samples.
type samples []sample

func (s samples) Get(i int) chunks.Sample { return &s[i] }
func (s samples) Len() int                { return len(s) }

// series is a series and its samples, by time. It implements storage.Series, of floats.
type series struct {
	labels     labels.Labels
	floats     samples
	histograms []promql.HPoint // of an input series
	writer     *Rule           // the rule that writes it
}

func (s *series) Labels() labels.Labels { return s.labels }

func (s *series) Iterator(chunkenc.Iterator) chunkenc.Iterator {
	return storage.NewListSeriesIterator(s.floats)
}

// last returns the time of the last sample, or the lowest time.
func (s *series) last() int64 {
	if len(s.floats) == 0 {
		return math.MinInt64
	}
	return s.floats[len(s.floats)-1].t
}

func (s *series) push(t int64, v float64) { s.floats = append(s.floats, sample{t, v}) }

// end marks the series stale.
func (s *series) end(t int64) { s.push(t, math.Float64frombits(prometheusvalue.StaleNaN)) }

// memory is a storage of floats: the input, and what the rules have written. It implements storage.Queryable for one
// goroutine.
type memory struct {
	input  *Data
	own    []*series
	byName map[string][]*series
	byHash map[uint64][]*series
}

func newMemory(in *Data) *memory {
	return &memory{input: in, byName: map[string][]*series{}, byHash: map[uint64][]*series{}}
}

// find returns the series with these labels among those that rules have written, or nil.
func (m *memory) find(ls labels.Labels) *series {
	for _, s := range m.byHash[ls.Hash()] {
		if labels.Equal(s.labels, ls) {
			return s
		}
	}
	return nil
}

// add creates a series.
func (m *memory) add(ls labels.Labels, writer *Rule) *series {
	s := &series{labels: ls, writer: writer}
	m.own = append(m.own, s)
	name := ls.Get(model.MetricNameLabel)
	m.byName[name] = append(m.byName[name], s)
	hash := ls.Hash()
	m.byHash[hash] = append(m.byHash[hash], s)
	return s
}

// Querier implements storage.Queryable.
func (m *memory) Querier(int64, int64) (storage.Querier, error) {
	return querier{storage.NoopQuerier(), m}, nil
}

// querier leaves out what PromQL does not ask for.
type querier struct {
	storage.Querier
	m *memory
}

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, sortSeries bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if len(matchers) > 1 {
		slices.SortStableFunc(matchers, excludingLast(matchers))
	}
	input, own := q.m.input.series, q.m.own
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			input, own = q.m.input.byName[m.Value], q.m.byName[m.Value]
			break
		}
	}
	set := &seriesSet{SeriesSet: storage.EmptySeriesSet()}
	for _, all := range [][]*series{input, own} {
		for _, s := range all {
			if labels.Selector(matchers).Matches(s.labels) {
				set.series = append(set.series, s)
			}
		}
	}
	if sortSeries {
		slices.SortFunc(set.series, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	return set
}

type seriesSet struct {
	storage.SeriesSet
	series []*series
	next   int
}

func (s *seriesSet) Next() bool         { s.next++; return s.next <= len(s.series) }
func (s *seriesSet) At() storage.Series { return s.series[s.next-1] }

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
