package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
)

// batchSlots is how many evaluations of an expression one query answers.
const batchSlots = 300

// batch holds the values of an expression at some of its group's coming slots, from one range query: by PromQL's
// definition, the same values as so many instant queries give, for a small part of the work.
type batch struct {
	query       promql.Query // which owns the values
	values      promql.Matrix
	first, last int64 // the slots that it is about, in milliseconds
	failed      bool  // the query has failed for one of them
}

// foreseeable says whether the values of the expression at coming slots are known before the rules are evaluated up to
// there: it selects only metrics that no rule writes, and only from the past.
func (e *Engine) foreseeable(expr parser.Expr) bool {
	known := true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			known = known && e.selectsOthers(n) && n.OriginalOffset >= 0 && n.Timestamp == nil && n.StartOrEnd == 0
		case *parser.SubqueryExpr:
			known = known && n.OriginalOffset >= 0 && n.Timestamp == nil && n.StartOrEnd == 0
		}
		return nil
	})
	return known
}

// selectsOthers says whether s can only select metrics that no rule writes.
func (e *Engine) selectsOthers(s *parser.VectorSelector) bool {
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return !e.Writes(m.Value)
		}
	}
	return false
}

// batched returns a query function that answers for the rules of the current group from batches where it can, and
// leaves the rest to instant.
func (e *Engine) batched(instant rules.QueryFunc) rules.QueryFunc {
	return func(ctx context.Context, expr string, t time.Time) (promql.Vector, error) {
		if e.current == nil {
			return instant(ctx, expr, t)
		}
		b := e.current.batches[expr]
		if b == nil {
			return instant(ctx, expr, t)
		}
		at := t.UnixMilli()
		if at < b.first || at > b.last || b.query == nil {
			if err := e.foresee(ctx, b, expr, t); err != nil {
				return nil, err
			}
		}
		if b.failed {
			return instant(ctx, expr, t)
		}
		return b.at(at), nil
	}
}

// foresee fills b from t on.
func (e *Engine) foresee(ctx context.Context, b *batch, expr string, t time.Time) error {
	b.release()
	interval := e.current.Interval()
	slots := min(batchSlots-1, e.until.Sub(e.current.next)/interval)
	end := t.Add(slots * interval)
	q, err := e.queries.NewRangeQuery(ctx, e.db, nil, expr, t, end, interval)
	if err != nil {
		return err
	}
	b.query, b.first, b.last = q, t.UnixMilli(), end.UnixMilli()
	b.values, err = q.Exec(ctx).Matrix()
	b.failed = err != nil
	return nil
}

// at returns the values at a slot.
func (b *batch) at(t int64) promql.Vector {
	var v promql.Vector
	for _, s := range b.values {
		if i, ok := slices.BinarySearchFunc(s.Floats, t, func(p promql.FPoint, t int64) int { return cmp.Compare(p.T, t) }); ok {
			v = append(v, promql.Sample{Metric: s.Metric, T: t, F: s.Floats[i].F})
		}
		if i, ok := slices.BinarySearchFunc(s.Histograms, t, func(p promql.HPoint, t int64) int { return cmp.Compare(p.T, t) }); ok {
			v = append(v, promql.Sample{Metric: s.Metric, T: t, H: s.Histograms[i].H})
		}
	}
	return v
}

func (b *batch) release() {
	if b.query != nil {
		b.query.Close()
	}
	*b = batch{}
}

// release lets go of all batches: more samples may come.
func (e *Engine) release() {
	for _, g := range e.groups {
		for _, b := range g.batches {
			b.release()
		}
	}
}
