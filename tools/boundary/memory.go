package boundary

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// memory is a storage that holds what a handful of input series say, in the order of their labels.
type memory []promql.Series

// Querier implements storage.Queryable.
func (m memory) Querier(mint, maxt int64) (storage.Querier, error) { return reader{m, mint, maxt}, nil }

type reader struct {
	memory
	mint, maxt int64
}

// Select implements storage.Querier.
func (r reader) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &selection{}
	at := func(p promql.FPoint, t int64) int { return cmp.Compare(p.T, t) }
	for _, s := range r.memory {
		if !selects(matchers, s.Metric) {
			continue
		}
		from, _ := slices.BinarySearchFunc(s.Floats, r.mint, at)
		to, _ := slices.BinarySearchFunc(s.Floats, r.maxt+1, at)
		if from < to {
			set.series = append(set.series, promql.Series{Metric: s.Metric, Floats: s.Floats[from:to]})
		}
	}
	return set
}

func selects(matchers []*labels.Matcher, l labels.Labels) bool {
	for _, m := range matchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// LabelValues implements storage.Querier; rules do not ask.
func (reader) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier; rules do not ask.
func (reader) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (reader) Close() error { return nil }

// selection is a storage.SeriesSet.
type selection struct {
	series []promql.Series
	next   int
}

func (s *selection) Next() bool {
	s.next++
	return s.next <= len(s.series)
}
func (s *selection) At() storage.Series                { return promql.NewStorageSeries(s.series[s.next-1]) }
func (s *selection) Err() error                        { return nil }
func (s *selection) Warnings() annotations.Annotations { return nil }
