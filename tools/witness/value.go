package witness

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	engine "github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
)

// value is what a part of an expression comes to at a time since the start of the input, for one series, taking for
// granted that all comparisons hold. It guides the search; whether an input is one, Prometheus's engine says.
func (p *plan) value(n *node, at time.Duration) (float64, bool) {
	if n.constant != nil {
		return *n.constant, true
	}
	p.work++
	switch e := n.expr.(type) {
	case *parser.UnaryExpr:
		v, ok := p.value(n.kids[0], at)
		if e.Op == parser.SUB {
			v = -v
		}
		return v, ok
	case *parser.VectorSelector:
		at -= e.OriginalOffset
		if n.leaf != nil {
			i := int(at / p.sampled)
			if at < 0 || at-time.Duration(i)*p.sampled >= lookback {
				return 0, false
			}
			return p.last(n.leaf.series, i)
		}
		last := at / n.every * n.every
		if at < 0 || at-last >= lookback {
			return 0, false
		}
		return p.value(n.kids[0], last)
	case *parser.Call:
		return p.called(n, e, at)
	case *parser.AggregateExpr:
		return p.aggregated(n, e, at)
	case *parser.BinaryExpr:
		left, ok := p.value(n.kids[0], at)
		if !ok || e.Op.IsSetOperator() {
			return left, ok
		}
		right, ok := p.value(n.kids[1], at)
		if !ok {
			return 0, false
		}
		if e.Op.IsComparisonOperator() {
			if !e.ReturnBool && e.Type() == parser.ValueTypeVector {
				if e.LHS.Type() != parser.ValueTypeVector {
					return right, true
				}
				return left, true
			}
			if holds(e.Op, left, right) {
				return 1, true
			}
			return 0, true
		}
		v, ok := promql.Compute(e.Op, left, right)
		if !ok {
			v = math.Atan2(left, right) // the one operator that is left
		}
		return v, true
	}
	return 0, false
}

// last is the value that a selector finds of a series at a sample.
func (p *plan) last(s *series, i int) (float64, bool) {
	for back := 0; back <= s.gap; back++ {
		if v, ok := s.at(i-back, p.zero, p.now()); ok {
			return v, true
		}
	}
	return 0, false
}

func holds(op parser.ItemType, l, r float64) bool {
	switch op {
	case parser.EQLC:
		return l == r
	case parser.NEQ:
		return l != r
	case parser.GTR:
		return l > r
	case parser.LSS:
		return l < r
	case parser.GTE:
		return l >= r
	case parser.LTE:
		return l <= r
	}
	return false
}

// called calls Prometheus's function.
func (p *plan) called(n *node, e *parser.Call, at time.Duration) (float64, bool) {
	name := e.Func.Name
	enh := &engine.EvalNodeHelper{Ts: p.start.UnixMilli() + at.Milliseconds()}
	var (
		vectors []engine.Vector
		matrix  engine.Matrix
		args    = e.Args
	)
	switch name {
	case "scalar", "vector":
		v, ok := p.value(n.kids[0], at)
		if !ok && name == "scalar" {
			return math.NaN(), true
		}
		return v, ok
	case "label_replace", "label_join", "sort", "sort_desc", "sort_by_label", "sort_by_label_desc":
		return p.value(n.kids[0], at)
	case "timestamp":
		if s, ok := promql.Bare(e.Args[0]).(*parser.VectorSelector); ok && n.kids[0].leaf != nil {
			before := int((at - s.OriginalOffset) / p.sampled)
			for back := range p.ticks(lookback) + 1 {
				if _, ok := n.kids[0].leaf.series.at(before-back, p.zero, p.now()); ok {
					return float64(p.start.UnixMilli()+(time.Duration(before-back)*p.sampled).Milliseconds()) / 1000, true
				}
			}
			return 0, false
		}
		return float64(enh.Ts) / 1000, true
	case "histogram_quantile", "histogram_fraction":
		bounds := []string{"", "", "+Inf"}
		var buckets engine.Vector
		for i, kid := range n.kids {
			v, ok := p.value(kid, at)
			if !ok {
				return 0, false
			}
			if first := len(n.kids) - 3; i < first {
				vectors = append(vectors, engine.Vector{{F: v}})
			} else {
				if c := kid.label("le").root(); c.fixed != nil {
					bounds[i-first] = *c.fixed
				}
				buckets = append(buckets, engine.Sample{F: v, Metric: labels.FromStrings("le", bounds[i-first])})
			}
		}
		vectors = append(vectors, buckets)
	default:
		for i, kid := range n.kids {
			if e.Args[i].Type() == parser.ValueTypeMatrix {
				var ranged *parser.MatrixSelector
				if ranged, matrix = p.points(kid, at); len(matrix) == 0 {
					return 0, false
				}
				args = slices.Clone(args)
				args[i] = ranged
				continue
			}
			v, ok := p.value(kid, at)
			if !ok {
				return 0, false
			}
			vectors = append(vectors, engine.Vector{{F: v}})
		}
	}
	found, _ := engine.FunctionCalls[name](vectors, matrix, args, enh)
	if len(found) == 0 {
		return 0, false
	}
	return found[0].F, true
}

// points are the samples of a range, and the range as the engine's functions take it.
func (p *plan) points(n *node, at time.Duration) (*parser.MatrixSelector, engine.Matrix) {
	var (
		all    engine.Series
		window time.Duration
	)
	add := func(t time.Duration, v float64) {
		all.Floats = append(all.Floats, engine.FPoint{T: p.start.UnixMilli() + t.Milliseconds(), F: v})
	}
	var offset time.Duration
	switch e := n.expr.(type) {
	case *parser.MatrixSelector:
		s := e.VectorSelector.(*parser.VectorSelector)
		window, offset = e.Range, s.OriginalOffset
		kid, until := n.kids[0], at-offset
		every := p.sampled
		if kid.leaf == nil {
			every = kid.every
		}
		for t := max(0, (until-window)/every*every); t <= until; t += every {
			if t <= until-window {
				continue
			}
			var v float64
			var ok bool
			if kid.leaf != nil {
				v, ok = kid.leaf.series.at(int(t/every), p.zero, p.now())
			} else if kid.constant != nil {
				v, ok = *kid.constant, true
			} else {
				v, ok = p.value(kid.kids[0], t)
			}
			if ok {
				add(t, v)
			}
		}
	case *parser.SubqueryExpr:
		window, offset = e.Range, e.OriginalOffset
		step := e.Step
		if step == 0 {
			step = p.interval
		}
		until := at - offset
		if window/step > 2000 {
			step = window / 2000
		}
		for t := max(0, (until-window)/step*step); t <= until; t += step {
			if t > until-window {
				if v, ok := p.value(n.kids[0], t); ok {
					add(t, v)
				}
			}
		}
	}
	if len(all.Floats) == 0 {
		return nil, nil
	}
	p.work += len(all.Floats) / 4
	s := &parser.VectorSelector{Offset: offset, OriginalOffset: offset}
	return &parser.MatrixSelector{VectorSelector: s, Range: window}, engine.Matrix{all}
}

func (p *plan) aggregated(n *node, e *parser.AggregateExpr, at time.Duration) (float64, bool) {
	var all []float64
	kids := n.kids
	param := math.NaN()
	if e.Param != nil && (e.Op == parser.QUANTILE || e.Op == parser.TOPK || e.Op == parser.BOTTOMK) {
		param, _ = p.value(kids[0], at)
		kids = kids[1:]
	}
	for _, kid := range kids {
		if v, ok := p.value(kid, at); ok {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, v := range all {
		sum += v
	}
	mean := sum / float64(len(all))
	switch e.Op {
	case parser.SUM:
		return sum, true
	case parser.AVG:
		return mean, true
	case parser.MIN, parser.BOTTOMK:
		return slices.Min(all), true
	case parser.MAX, parser.TOPK:
		return slices.Max(all), true
	case parser.COUNT:
		return float64(len(all)), true
	case parser.COUNT_VALUES:
		same := 0
		for _, v := range all {
			if v == all[0] {
				same++
			}
		}
		return float64(same), true
	case parser.GROUP:
		return 1, true
	case parser.QUANTILE:
		slices.Sort(all)
		rank := param * float64(len(all)-1)
		low := max(0, min(int(rank), len(all)-1))
		high := min(low+1, len(all)-1)
		return all[low] + (all[high]-all[low])*(rank-float64(low)), true
	case parser.STDDEV, parser.STDVAR:
		squares := 0.0
		for _, v := range all {
			squares += (v - mean) * (v - mean)
		}
		if squares /= float64(len(all)); e.Op == parser.STDDEV {
			squares = math.Sqrt(squares)
		}
		return squares, true
	}
	return all[0], true
}

// now is the time at which the condition begins to hold, in seconds since 1970.
func (p *plan) now() float64 {
	return float64(p.start.UnixMilli())/1000 + (time.Duration(p.zero) * p.sampled).Seconds()
}

// distance is how far the tests are from holding; 0 where all hold at all times that are looked at.
func (p *plan) distance() float64 {
	sum := 0.0
	for _, at := range p.moments {
		for _, t := range p.tests {
			sum += p.missBy(t, at)
		}
	}
	return sum
}

// missBy is how far a test is from holding at a time: 0 where it does, else at least 0.01.
func (p *plan) missBy(t *test, at time.Duration) float64 {
	l, ok := p.value(t.left, at)
	r, also := p.value(t.right, at)
	switch {
	case (!ok || !also) && t.not:
		return 0
	case !ok || !also:
		return 50
	}
	size := max(math.Abs(l), math.Abs(r))
	isNear := !p.exact && l != r && math.Abs(l-r) <= 1e-9*size // what rounding may turn
	if holds(t.op, l, r) != t.not && !isNear {
		return 0
	}
	if math.IsNaN(l) || math.IsNaN(r) {
		return 30
	}
	if math.IsInf(size, 0) {
		return 1
	}
	far := math.Log1p(math.Abs(l - r))
	return 0.01 + far/(10+far)
}
