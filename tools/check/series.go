package check

import (
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/metric"
	"github.com/stemedb/firedrill/tools/promql"
)

// scraped are the labels that Prometheus gives each series that it scrapes.
var scraped = []string{"instance", "job"}

// series is what is known of the series that queries can ask for.
type series struct {
	inventory  *metric.Inventory // nil where there is none
	recordings map[string]bool   // by name
	knowledge  *promql.Known
	rules      *promql.Known // the same without the inventory
}

func newSeries(inventory *metric.Inventory, recordings []promql.Recording) *series {
	s := &series{inventory: inventory, recordings: map[string]bool{}}
	for _, r := range recordings {
		s.recordings[r.Name] = true
	}
	var exported func(string) (promql.Labels, bool)
	if inventory != nil {
		exported = s.exported
	}
	s.knowledge, s.rules = promql.Know(recordings, exported).WithBuckets(s.buckets), promql.Know(recordings, nil).WithBuckets(s.buckets)
	return s
}

// buckets returns the finite bounds of a metric's buckets, in order.
func (s *series) buckets(name string) []float64 {
	if s.inventory == nil || s.recordings[name] {
		return nil
	}
	m, _ := s.inventory.Series(name)
	return m.Bounds
}

// of returns the labels that the series of an expression's result can have.
func (s *series) of(expr parser.Expr) promql.Labels {
	return promql.Analyze(expr, s.knowledge, promql.Sure).Of(expr).Labels
}

// exported returns the labels of a metric that a target exports or Prometheus makes itself.
func (s *series) exported(name string) (labels promql.Labels, known bool) {
	if promql.IsScrapeMetric(name) {
		return promql.OnlyLabels(scraped...), true
	}
	m, ok := s.inventory.Series(name)
	if !ok || m.Labels == nil {
		return promql.AnyLabels, ok
	}
	return promql.OnlyLabels(append(scraped, m.Labels...)...), true
}

// alternative is one of several expressions by which an alert can fire.
type alternative struct {
	expr   parser.Expr
	labels promql.Labels
}

// alternatives splits an expression at its outermost "or".
func (s *series) alternatives(expr parser.Expr) []alternative {
	expr = promql.Bare(expr)
	if e, ok := expr.(*parser.BinaryExpr); ok && e.Op == parser.LOR {
		return append(s.alternatives(e.LHS), s.alternatives(e.RHS)...)
	}
	return []alternative{{expr: expr, labels: s.of(expr)}}
}
