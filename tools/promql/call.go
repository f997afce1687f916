package promql

import (
	"math"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// text is an argument that is a string; empty where it is not there.
func text(e *parser.Call, i int) string {
	if i < len(e.Args) {
		if arg, ok := Bare(e.Args[i]).(*parser.StringLiteral); ok {
			return arg.Val
		}
	}
	return ""
}

// calendar are the functions of a moment.
var calendar = map[string]Interval{
	"minute": between(0, 59), "hour": between(0, 23), "day_of_week": between(0, 6), "day_of_month": between(1, 31),
	"day_of_year": between(1, 366), "days_in_month": between(28, 31), "month": between(1, 12),
}

func (a *Analysis) called(e *parser.Call) Facts {
	var of parser.Expr // the argument whose series the result has
	for _, arg := range e.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			of = arg
			break
		}
	}
	var f Facts
	if of != nil {
		f = a.Of(of)
	}
	v := f.Values
	arg := func(i int) Interval {
		if i < len(e.Args) {
			return a.Of(e.Args[i]).Values
		}
		return anything
	}
	dropped := f.computed(anything)
	dropped.Present = false // unless it is known that nothing is left out
	with := func(values Interval) Facts { dropped.Values = values; return dropped }
	all := func(values Interval) Facts { return f.computed(values) }

	switch name := e.Func.Name; name {
	case "vector":
		f := a.Of(e.Args[0])
		return Facts{Labels: OnlyLabels(), Values: f.Values, Present: true, clock: f.clock, rests: f.rests}
	case "time":
		f := scalar(atLeast(0))
		f.clock = new(point(0))
		return f
	case "pi":
		return scalar(point(math.Pi))
	case "scalar":
		r := scalar(v.orNaN())
		if r.rests = f.rests; f.clock != nil {
			r.clock = new(f.clock.orNaN())
		}
		return r
	case "absent", "absent_over_time":
		return Facts{Labels: absentLabels(of), Values: point(1), Empty: f.Present, Present: f.Empty}
	case "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year":
		values, ok := calendar[name]
		if !ok {
			values = anything
		}
		if of == nil {
			return scalar(values)
		}
		return all(values)
	case "label_replace":
		return f.relabeled(text(e, 1), replaced(f, e))
	case "label_join":
		return f.relabeled(text(e, 1), value{lacks: true})
	case "info":
		return Facts{Labels: AnyLabels, Values: v, Empty: f.Empty}
	case "sort", "sort_desc", "sort_by_label", "sort_by_label_desc":
		a.reportUseless(e, e, e.Args[0], "the results of a rule have no order, so that %s() makes no difference", name)
		return f
	case "last_over_time", "first_over_time":
		f.core, f.held, f.Present = nil, nil, false
		return f
	case "abs":
		return all(v.absolute())
	case "ceil":
		return all(v.mapped(math.Ceil))
	case "floor":
		return all(v.mapped(math.Floor))
	case "sqrt", "exp":
		return all(atLeast(0).orNaN())
	case "ln", "log2", "log10", "deg", "rad":
		return all(anything)
	case "sgn", "sin", "cos", "tanh":
		return all(Interval{Min: -1, Max: 1, NaN: true})
	case "timestamp":
		dropped.clock, dropped.rests = nil, nil
		var why string
		if dropped.clock, why = a.timestamped(e); why != "" {
			dropped.rests = []string{why}
		}
		return with(atLeast(0))
	case "clamp_min":
		return all(v.clamped(arg(1), point(infinite)))
	case "clamp_max":
		return all(v.clamped(point(-infinite), arg(1)))
	case "clamp":
		return with(v.clamped(arg(1), arg(2)))
	case "rate", "increase", "irate":
		if a.by == Usual || v.Min >= 0 {
			if v.Min < 0 {
				dropped.rests = resting(f, Facts{rests: []string{ofCounters}})
			}
			return with(atLeast(0).orNaN())
		}
	case "changes", "resets":
		return with(atLeast(0))
	case "count_over_time":
		return with(atLeast(1))
	case "present_over_time":
		return with(point(1))
	case "sum_over_time":
		return with(v.total())
	case "min_over_time", "max_over_time":
		dropped.clock = f.clock
		return with(v)
	case "avg_over_time":
		return with(v.average())
	case "quantile_over_time":
		return with(v.quantile(arg(0)))
	case "stddev_over_time", "stdvar_over_time", "mad_over_time":
		return with(atLeast(0).orNaN())
	case "histogram_quantile":
		if metric := bucketed(e.Args[1]); metric != "" && !f.Empty && !f.Labels.May("le") {
			a.report(Buckets, e, e.Args[1], e.Args[1], "a quantile of %s is taken without its label le, so it has no result", metric)
			all := a.known.reasons[part{e, a.by}]
			all[len(all)-1].Metric = metric
			dropped.Empty = true
		}
		dropped.Labels = dropped.Labels.without("le")
		if phi := arg(0); phi.Min > 1 || phi.Max < 0 {
			return with(point(infinite * math.Copysign(1, phi.Min)).orNaN())
		} else if bounds, ok := a.known.bounds(e.Args[1]); ok && phi.Min >= 0 && phi.Max <= 1 && !phi.NaN {
			return with(bounds.orNaN())
		}
		return with(anything)
	case "histogram_fraction":
		dropped.Labels = dropped.Labels.without("le")
		return with(anything)
	case "round", "delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing", "histogram_avg",
		"histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar":
	default:
		return Facts{Labels: AnyLabels, Values: anything}
	}
	return with(anything)
}

// bucketed returns the name of a metric that has buckets, as its name tells, where an expression reads no other: that of
// a native histogram does not end like that.
func bucketed(expr parser.Expr) (metric string) {
	all := true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			metric = NameOf(s)
			all = all && strings.HasSuffix(metric, "_bucket")
		}
		return nil
	})
	if !all {
		return ""
	}
	return metric
}

// bounds is where a quantile of buckets lies: what is above the last finite bound counts for it.
func (k *Known) bounds(expr parser.Expr) (Interval, bool) {
	if k.buckets == nil {
		return Interval{}, false
	}
	in, some, all := point(0), false, true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.VectorSelector:
			bounds := k.buckets(NameOf(e))
			if len(bounds) == 0 {
				all = false
				break
			}
			in, some = in.hull(between(bounds[0], bounds[len(bounds)-1])), true
		case *parser.Call:
			all = all && e.Func.Name != "label_replace" && e.Func.Name != "label_join"
		}
		return nil
	})
	return in, some && all
}

// absolute is where the absolute values are.
func (i Interval) absolute() Interval {
	switch {
	case i.none() || i.Min >= 0:
		return i
	case i.Max <= 0:
		return i.negated()
	}
	return Interval{Min: 0, Max: max(-i.Min, i.Max), NaN: i.NaN}
}

// clamped is where values are that are raised to low and lowered to high.
func (i Interval) clamped(low, high Interval) Interval {
	if low.NaN || high.NaN || i.none() || low.none() || high.none() {
		return anything
	}
	return Interval{
		Min: min(max(i.Min, low.Min), high.Min), Max: min(max(i.Max, low.Max), high.Max), NaN: i.NaN,
	}
}

// relabeled is a result with another value in one label. It has no result where two series become alike.
func (f Facts) relabeled(label string, v value) Facts {
	f.Labels = f.Labels.with(label, v)
	f.core, f.held = nil, nil
	return f
}

// replaced is what label_replace leaves in a label.
func replaced(f Facts, e *parser.Call) value {
	replacement, source, pattern := text(e, 2), text(e, 3), text(e, 4)
	if strings.Contains(replacement, "$") {
		return value{lacks: true}
	}
	constant := value{among: []string{replacement}}
	fixed, known := f.Labels.Fixed(source)
	if pattern == ".*" || pattern == "(.*)" || known && fixed == "" && pattern == "" {
		return constant
	}
	return constant.either(f.Labels.value(text(e, 1)))
}

// absentLabels are the labels of the result of absent(): those that its selector matches by one equality alone.
func absentLabels(arg parser.Expr) Labels {
	arg = Bare(arg)
	if matrix, ok := arg.(*parser.MatrixSelector); ok {
		arg = matrix.VectorSelector
	}
	result := OnlyLabels()
	selector, ok := arg.(*parser.VectorSelector)
	if !ok {
		return result
	}
	has := map[string]bool{}
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		if m.Type == labels.MatchEqual && m.Value != "" && !has[m.Name] {
			result = result.with(m.Name, value{among: []string{m.Value}})
		} else {
			result = result.without(m.Name)
		}
		has[m.Name] = has[m.Name] || m.Type == labels.MatchEqual
	}
	return result
}
