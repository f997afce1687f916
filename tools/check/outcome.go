package check

import (
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/metric"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// outcome says which labels the series of an expression's result can have.
type outcome struct {
	open  bool            // whether they can have labels other than names
	names map[string]bool // if open, the labels that they cannot have; else, those that they can
}

var anything = outcome{open: true}

func only(names ...string) outcome {
	set := map[string]bool{}
	for _, name := range names {
		set[name] = true
	}
	return outcome{names: set}
}

// may reports whether a series can have the label.
func (o outcome) may(name string) bool { return o.open != o.names[name] }

func (o outcome) with(names ...string) outcome {
	result := outcome{open: o.open, names: maps.Clone(o.names)}
	for _, name := range names {
		if result.may(name) {
			continue
		}
		if o.open {
			delete(result.names, name)
		} else {
			if result.names == nil {
				result.names = map[string]bool{}
			}
			result.names[name] = true
		}
	}
	return result
}

func (o outcome) without(names ...string) outcome {
	result := outcome{open: o.open, names: maps.Clone(o.names)}
	for _, name := range names {
		if !result.may(name) {
			continue
		}
		if o.open {
			if result.names == nil {
				result.names = map[string]bool{}
			}
			result.names[name] = true
		} else {
			delete(result.names, name)
		}
	}
	return result
}

// keeping is the outcome where only the named labels are left.
func (o outcome) keeping(names []string) outcome {
	result := only()
	for _, name := range names {
		if o.may(name) {
			result.names[name] = true
		}
	}
	return result
}

// either is the outcome of series of both kinds.
func either(a, b outcome) outcome {
	switch {
	case a.open && b.open:
		result := outcome{open: true, names: map[string]bool{}}
		for name := range a.names {
			if b.names[name] {
				result.names[name] = true
			}
		}
		return result
	case b.open:
		return b.with(slices.Collect(maps.Keys(a.names))...)
	default:
		return a.with(slices.Collect(maps.Keys(b.names))...)
	}
}

// both is the outcome of series that belong to either kind.
func both(a, b outcome) outcome {
	switch {
	case a.open:
		return b.without(slices.Collect(maps.Keys(a.names))...)
	case b.open:
		return a.without(slices.Collect(maps.Keys(b.names))...)
	default:
		return a.keeping(slices.Collect(maps.Keys(b.names)))
	}
}

// scraped are the labels that Prometheus gives each series that it scrapes.
var scraped = []string{model.JobLabel, model.InstanceLabel}

// series knows the metrics that expressions are about: those of the inventory and those that rules record.
type series struct {
	inventory  *metric.Inventory // nil where there is none
	recordings map[string][]recorded
	derived    map[string]outcome // of recorded metrics; anything while being derived, so that a cycle ends
}

type recorded struct {
	rule.Recording
	expr parser.Expr
}

// of returns the outcome of an expression. It errs towards more labels.
func (s *series) of(expr parser.Expr) outcome {
	switch e := expr.(type) {
	case *parser.NumberLiteral, *parser.StringLiteral:
		return only()
	case *parser.ParenExpr:
		return s.of(e.Expr)
	case *parser.UnaryExpr:
		return s.of(e.Expr)
	case *parser.MatrixSelector:
		return s.of(e.VectorSelector)
	case *parser.SubqueryExpr:
		return s.of(e.Expr)
	case *parser.VectorSelector:
		return s.selected(e)
	case *parser.Call:
		return s.called(e)
	case *parser.AggregateExpr:
		return s.aggregated(e)
	case *parser.BinaryExpr:
		return s.combined(e)
	}
	return anything
}

func (s *series) selected(e *parser.VectorSelector) outcome {
	result := s.named(nameOf(e))
	for _, m := range e.LabelMatchers {
		switch {
		case m.Type == labels.MatchEqual && m.Value == "":
			result = result.without(m.Name)
		case !m.Matches(""):
			result = result.with(m.Name)
		}
	}
	return result
}

// nameOf returns the name of the metric that a selector asks for; empty where it asks for several.
func nameOf(e *parser.VectorSelector) string {
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// named returns the labels that the series of a metric can have.
func (s *series) named(name string) outcome {
	recordings := s.recordings[name]
	scrapedOutcome, known := s.exported(name)
	switch {
	case len(recordings) == 0:
		return scrapedOutcome
	// Without an inventory, a name that any exporter could have given may be an exporter's too.
	case s.inventory == nil && !isRecordedName(name):
		return anything
	}
	if found, ok := s.derived[name]; ok {
		return found
	}
	s.derived[name] = anything
	result := only()
	if known {
		result = scrapedOutcome
	}
	for _, r := range recordings {
		one := s.of(r.expr)
		for label, value := range r.Labels {
			if value == "" {
				one = one.without(label)
			} else {
				one = one.with(label)
			}
		}
		result = either(result, one)
	}
	s.derived[name] = result
	return result
}

// exported returns the labels of a metric that a target exports or Prometheus makes itself.
func (s *series) exported(name string) (labels outcome, known bool) {
	if s.inventory == nil {
		return anything, false
	}
	if isScrapeMetric(name) {
		return only(scraped...), true
	}
	m, ok := s.inventory.Series(name)
	if !ok || m.Labels == nil {
		return anything, ok
	}
	return only(m.Labels...).with(scraped...), true
}

func (s *series) called(e *parser.Call) outcome {
	var of parser.Expr // the argument whose labels the result has
	for _, arg := range e.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			of = arg
			break
		}
	}
	text := func(i int) string {
		if i < len(e.Args) {
			if arg, ok := e.Args[i].(*parser.StringLiteral); ok {
				return arg.Val
			}
		}
		return ""
	}
	switch name := e.Func.Name; {
	case name == "absent" || name == "absent_over_time":
		return absent(of)
	case name == "scalar" || of == nil: // vector(1), time(), and hour() without an argument
		return only()
	case name == "label_replace" || name == "label_join":
		return s.of(of).with(text(1))
	case name == "histogram_quantile" || name == "histogram_fraction":
		return s.of(of).without("le")
	case name == "info" || name == "histogram_quantiles":
		return anything
	default:
		return s.of(of)
	}
}

// absent returns the labels of the result of absent(): those that its selector matches by equality.
func absent(arg parser.Expr) outcome {
	arg = promql.Bare(arg)
	if matrix, ok := arg.(*parser.MatrixSelector); ok {
		arg = matrix.VectorSelector
	}
	selector, ok := arg.(*parser.VectorSelector)
	if !ok {
		return only()
	}
	result := only()
	has := map[string]bool{}
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		if m.Type == labels.MatchEqual && m.Value != "" && !has[m.Name] {
			result = result.with(m.Name)
		} else {
			result = result.without(m.Name)
		}
		has[m.Name] = has[m.Name] || m.Type == labels.MatchEqual
	}
	return result
}

func (s *series) aggregated(e *parser.AggregateExpr) outcome {
	inner := s.of(e.Expr)
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return inner
	}
	if e.Without {
		inner = inner.without(e.Grouping...)
	} else {
		inner = inner.keeping(e.Grouping)
	}
	if label, ok := promql.Bare(e.Param).(*parser.StringLiteral); ok && e.Op == parser.COUNT_VALUES {
		inner = inner.with(label.Val)
	}
	return inner
}

func (s *series) combined(e *parser.BinaryExpr) outcome {
	left, right := s.of(e.LHS), s.of(e.RHS)
	switch m := e.VectorMatching; {
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LOR || m == nil: // with a scalar, which has no labels
		return either(left, right)
	case m.FillValues.LHS != nil || m.FillValues.RHS != nil:
		return either(left, right)
	// The two sides of a match agree on the labels that are matched: what one cannot have, the other has not.
	case m.Card == parser.CardOneToOne && m.On:
		return both(left, right).keeping(m.MatchingLabels)
	case m.Card == parser.CardOneToOne:
		return both(left, right).without(m.MatchingLabels...)
	case m.Card == parser.CardManyToOne:
		return included(left, right, m)
	case m.Card == parser.CardOneToMany:
		return included(right, left, m)
	}
	return anything
}

// included returns the labels of the side with many series, and those that it gets from the side with one.
func included(many, one outcome, m *parser.VectorMatching) outcome {
	result := many
	if m.On {
		for _, label := range m.MatchingLabels {
			if !one.may(label) {
				result = result.without(label)
			}
		}
	} else {
		result = either(both(many, one), many.keeping(m.MatchingLabels))
	}
	for _, label := range m.Include {
		if one.may(label) {
			result = result.with(label)
		} else {
			result = result.without(label)
		}
	}
	return result
}

// alternative is one of several expressions by which an alert can fire.
type alternative struct {
	expr   parser.Expr
	labels outcome
}

// alternatives splits an expression at its outermost "or".
func (s *series) alternatives(expr parser.Expr) []alternative {
	expr = promql.Bare(expr)
	if e, ok := expr.(*parser.BinaryExpr); ok && e.Op == parser.LOR {
		return append(s.alternatives(e.LHS), s.alternatives(e.RHS)...)
	}
	return []alternative{{expr: expr, labels: s.of(expr)}}
}
