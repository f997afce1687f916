package promql

import (
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func (a *Analysis) aggregated(e *parser.AggregateExpr) Facts {
	inner := a.Of(e.Expr)
	a.uselessAggregation(e, inner)
	a.poisoned(e)
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		k, known := Constant(e.Param)
		inner.whole = false
		inner.Present = inner.Present && known && k >= 1 && e.Op != parser.LIMIT_RATIO
		inner.held = inexact(inner.held)
		return inner
	}
	f := Facts{Empty: inner.Empty, Present: inner.Present, Values: a.aggregate(e, inner.Values)}
	switch e.Op {
	case parser.MIN, parser.MAX:
		f.clock, f.rests = inner.clock, inner.rests
	case parser.SUM, parser.AVG, parser.QUANTILE:
		f.rests = inner.rests
	}
	if e.Without {
		f.Labels = inner.Labels.without(append([]string{model.MetricNameLabel}, e.Grouping...)...)
	} else {
		f.Labels = inner.Labels.keeping(e.Grouping)
		if _, grouped := f.Labels.of[model.MetricNameLabel]; !grouped {
			f.Labels = f.Labels.without(model.MetricNameLabel)
		}
		if a.by == Usual {
			for _, label := range e.Grouping {
				f.Labels = f.Labels.with(label, f.Labels.value(label).usual("it is grouped by"))
			}
		}
	}
	if label, ok := Bare(e.Param).(*parser.StringLiteral); ok && e.Op == parser.COUNT_VALUES {
		f.Labels = f.Labels.with(label.Val, value{has: "count_values gives it"})
	}
	return f
}

func (a *Analysis) aggregate(e *parser.AggregateExpr, v Interval) Interval {
	switch e.Op {
	case parser.COUNT, parser.COUNT_VALUES:
		return atLeast(1)
	case parser.GROUP:
		return point(1)
	case parser.SUM:
		return v.total()
	case parser.MIN, parser.MAX:
		return v
	case parser.AVG:
		return v.average()
	case parser.STDDEV, parser.STDVAR:
		return atLeast(0).orNaN()
	case parser.QUANTILE:
		return v.quantile(a.Of(e.Param).Values)
	}
	return anything
}

// average is where the mean of values is.
func (i Interval) average() Interval {
	i.NaN = i.NaN || i.unbounded()
	i.MinOpen, i.MaxOpen = false, false // rounding
	return i
}

// quantile is where a quantile of values is. Outside of 0..1 it is an infinity, whatever the values.
func (i Interval) quantile(of Interval) Interval {
	switch {
	case of.none():
		return point(math.NaN())
	case of.NaN:
		return anything
	case of.Min > 1:
		return point(infinite)
	case of.Max < 0:
		return point(-infinite)
	case of.Min >= 0 && of.Max <= 1:
		return i.average()
	}
	return anything
}

func inexact(all map[string]held) map[string]held {
	r := make(map[string]held, len(all))
	for key, h := range all {
		h.exact = false
		r[key] = h
	}
	return r
}

func withHeld(all map[string]held, key string, h held) map[string]held {
	r := make(map[string]held, len(all)+1)
	for k, v := range all {
		r[k] = v
	}
	r[key] = h
	return r
}
