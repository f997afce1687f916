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

// batch holds the values of an expression at consecutive evaluations of its group, from one range query. PromQL defines
// them to be the same as those of instant queries, and they cost far less.
type batch struct {
	query       promql.Query // which owns the values
	values      promql.Matrix
	first, last int64 // the times of the evaluations, in milliseconds
	failed      bool  // the query failed at one of them
}

// isBatchable reports whether the values of the expression do not depend on evaluations to come: it selects only metrics
// that no rule writes, and only from the past.
func (e *Engine) isBatchable(expr parser.Expr) bool {
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

// selectsOthers reports whether s can only select metrics that no rule writes.
func (e *Engine) selectsOthers(s *parser.VectorSelector) bool {
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return !e.Writes(m.Value)
		}
	}
	return false
}

// batched returns a query function that answers queries of the current group's rules from batches where possible, and
// passes the others to instant.
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
			if err := e.fill(ctx, b, expr, t); err != nil {
				return nil, err
			}
		}
		if b.failed {
			return instant(ctx, expr, t)
		}
		return b.at(at), nil
	}
}

// fill fills b from t on.
func (e *Engine) fill(ctx context.Context, b *batch, expr string, t time.Time) error {
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

// at returns the values at a time in milliseconds.
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

// release drops all batches, since more samples may come.
func (e *Engine) release() {
	for _, g := range e.groups {
		for _, b := range g.batches {
			b.release()
		}
	}
}
