package promql

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Need is what of a result matters to its reader.
type Need int

const (
	Series      Need = iota // which series there are, names aside
	SeriesValue             // their values, as well
)

// Same reports whether two expressions have the same results, as far as need says, whatever there is: surely, or as far as
// exporters do as usual and no evaluation fails. Where it reports false, nothing is known.
func Same(one, other parser.Expr, need Need, by Knowledge) bool {
	return normalForm(one, need, by) == normalForm(other, need, by)
}

// normalForm writes an expression so that those which surely have the same results read the same, more often than
// Canonical does: it leaves out what has no effect by what is known of each part.
func normalForm(expr parser.Expr, need Need, by Knowledge) string {
	if usesNames(expr) {
		return Canonical(expr)
	}
	n := normalizer{Analyze(expr, nil, by), by}
	return n.form(expr, need, nil)
}

// usesNames reports whether metric names decide beyond the selectors, so that it matters where they are dropped.
func usesNames(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.AggregateExpr:
			found = found || slices.Contains(e.Grouping, model.MetricNameLabel)
		case *parser.BinaryExpr:
			if m := e.VectorMatching; m != nil {
				found = found || slices.Contains(m.MatchingLabels, model.MetricNameLabel) || slices.Contains(m.Include, model.MetricNameLabel)
			}
		case *parser.StringLiteral:
			found = found || e.Val == model.MetricNameLabel
		}
		return nil
	})
	return found
}

type normalizer struct {
	*Analysis
	by Knowledge
}

// limited are matchers, by label: series that do not meet them do not matter to the reader.
type limited map[string][]*labels.Matcher

// form is the normal form of a part.
func (n normalizer) form(expr parser.Expr, need Need, limits limited) string {
	if v, ok := Constant(expr); ok {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	if expr.Type() == parser.ValueTypeVector && n.Of(expr).Empty && (n.by == Usual || !canFail(expr)) {
		return "nothing"
	}
	if need == Series && n.isOne(expr) {
		return "one"
	}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return n.form(e.Expr, need, limits)
	case *parser.StepInvariantExpr:
		return n.form(e.Expr, need, limits)
	case *parser.UnaryExpr:
		if need == Series || e.Op == parser.ADD {
			return n.nameless(e.Expr, need, limits)
		}
		return fmt.Sprintf("(%s %s)", e.Op, n.form(e.Expr, need, limits))
	case *parser.VectorSelector:
		return n.selector(e, limits)
	case *parser.MatrixSelector:
		return fmt.Sprintf("%s[%s%s]", n.form(e.VectorSelector, SeriesValue, limits), e.Range, durationExpr(e.RangeExpr))
	case *parser.SubqueryExpr:
		var b strings.Builder
		fmt.Fprintf(&b, "(%s)[%s%s:%s%s]", n.form(e.Expr, need, nil), e.Range, durationExpr(e.RangeExpr), e.Step, durationExpr(e.StepExpr))
		writeTime(&b, e.OriginalOffset.String(), e.OriginalOffsetExpr, e.Timestamp, e.StartOrEnd)
		return b.String()
	case *parser.AggregateExpr:
		return n.aggregate(e, need, limits)
	case *parser.Call:
		return n.call(e, need, limits)
	case *parser.BinaryExpr:
		if e.VectorMatching != nil && (e.VectorMatching.FillValues.LHS != nil || e.VectorMatching.FillValues.RHS != nil) {
			return Canonical(e)
		}
		return n.binary(e, need, limits)
	}
	return Canonical(expr)
}

// isOne reports whether there is always one result, which has no labels.
func (n normalizer) isOne(expr parser.Expr) bool {
	if expr.Type() != parser.ValueTypeVector || canFail(expr) {
		return false
	}
	f := n.Of(expr)
	names, known := f.Labels.Only()
	return f.Present && f.isUnique() && known && len(names) == 0
}

// nameless is the form of an expression whose names are dropped, which can make two series alike.
func (n normalizer) nameless(expr parser.Expr, need Need, limits limited) string {
	if f := n.Of(expr); expr.Type() != parser.ValueTypeVector || f.isUnique() {
		return n.form(expr, need, limits)
	}
	return "nameless " + n.form(expr, need, limits)
}

// canFail reports whether evaluating an expression can end with an error: two series that match one, or become alike.
func canFail(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.BinaryExpr:
			found = found || e.VectorMatching != nil && !e.Op.IsSetOperator()
		case *parser.Call:
			found = found || e.Func.Name == "label_replace" || e.Func.Name == "label_join" || e.Func.Name == "info"
		case *parser.AggregateExpr:
			found = found || e.Op == parser.COUNT_VALUES
		case *parser.VectorSelector:
			found = found || NameOf(e) == ""
		}
		return nil
	})
	return found
}

// selector leaves out matchers that change nothing.
func (n normalizer) selector(e *parser.VectorSelector, limits limited) string {
	var all []*labels.Matcher
	for _, m := range e.LabelMatchers {
		all = append(all, plainer(m))
	}
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		for _, m := range limits[name] {
			all = append(all, plainer(m))
		}
	}
	known := n.known.Metric(NameOf(e), Sure).Labels
	var texts []string
	for _, m := range all {
		useless := m.Type == labels.MatchRegexp && m.Value == ".*" || m.Name != model.MetricNameLabel && known.surely(m) ||
			slices.ContainsFunc(all, func(o *labels.Matcher) bool {
				return o.Type == labels.MatchEqual && m.Type != labels.MatchEqual && o.Name == m.Name && m.Matches(o.Value)
			})
		if !useless {
			texts = append(texts, m.String())
		}
	}
	slices.Sort(texts)
	var b strings.Builder
	fmt.Fprintf(&b, "{%s}", strings.Join(slices.Compact(texts), ","))
	writeTime(&b, e.OriginalOffset.String(), e.OriginalOffsetExpr, e.Timestamp, e.StartOrEnd)
	fmt.Fprintf(&b, "%v%v", e.Anchored, e.Smoothed)
	return b.String()
}

// surely reports whether a matcher matches all series.
func (l Labels) surely(m *labels.Matcher) bool {
	v := l.value(m.Name)
	return v.sure(m) || v.has != "" && !v.assumed && m.Type == labels.MatchNotEqual && m.Value == ""
}

// plainer is a matcher that selects the same, without a regular expression where that is possible.
func plainer(m *labels.Matcher) *labels.Matcher {
	kind := map[labels.MatchType]labels.MatchType{labels.MatchRegexp: labels.MatchEqual, labels.MatchNotRegexp: labels.MatchNotEqual}
	plain, isPattern := kind[m.Type]
	switch set := m.SetMatches(); {
	case !isPattern:
	case m.Value == ".+" && m.Type == labels.MatchRegexp:
		return labels.MustNewMatcher(labels.MatchNotEqual, m.Name, "")
	case m.Value == ".+":
		return labels.MustNewMatcher(labels.MatchEqual, m.Name, "")
	case m.Value == "" || len(set) == 1 && set[0] == m.Value:
		return labels.MustNewMatcher(plain, m.Name, m.Value)
	}
	return m
}

func (n normalizer) aggregate(e *parser.AggregateExpr, need Need, limits limited) string {
	inner := n.Of(e.Expr)
	passed := map[string][]*labels.Matcher{}
	for name, all := range limits {
		if slices.Contains(e.Grouping, name) != e.Without {
			passed[name] = all
		}
	}
	of := e.Expr
	write := func(op string, need Need) string {
		return fmt.Sprintf("%s %s (%s)", op, grouping(e, inner.Labels), n.form(of, need, passed))
	}
	switch e.Op {
	case parser.COUNT, parser.GROUP:
		if need == Series || e.Op == parser.GROUP || isAlone(e, inner) {
			return write("group", Series)
		}
		return write("count", Series)
	case parser.SUM, parser.AVG, parser.MIN, parser.MAX, parser.STDDEV, parser.STDVAR:
		if need == Series {
			return write("group", Series)
		}
		if isAlone(e, inner) && e.Op != parser.STDDEV && e.Op != parser.STDVAR {
			return write("alone", SeriesValue)
		}
		if deeper, ok := Bare(e.Expr).(*parser.AggregateExpr); ok && (e.Op == parser.MIN || e.Op == parser.MAX) && deeper.Op == e.Op &&
			!e.Without && !deeper.Without && isSubset(e.Grouping, deeper.Grouping) {
			of, inner = deeper.Expr, n.Of(deeper.Expr)
		}
		return write(e.Op.String(), SeriesValue)
	}
	param := ""
	if e.Param != nil {
		param = Canonical(e.Param)
	}
	return fmt.Sprintf("%s %s %s (%s)", e.Op, grouping(e, inner.Labels), param, n.form(e.Expr, SeriesValue, passed))
}

func isSubset(one, other []string) bool {
	return !slices.ContainsFunc(one, func(name string) bool { return !slices.Contains(other, name) })
}

// isAlone reports whether each group of an aggregation has one series.
func isAlone(e *parser.AggregateExpr, inner Facts) bool {
	if !inner.isUnique() {
		return false
	}
	if e.Without {
		return !slices.ContainsFunc(e.Grouping, inner.Labels.May)
	}
	names, known := inner.Labels.Only()
	return known && isSubset(names, e.Grouping)
}

// grouping writes what an aggregation groups by, without the labels that are not there.
func grouping(e *parser.AggregateExpr, inner Labels) string {
	may := slices.DeleteFunc(slices.Sorted(slices.Values(e.Grouping)), func(name string) bool { return !inner.May(name) })
	may = slices.Compact(may)
	names, known := inner.Only()
	switch {
	case e.Without && known:
		return fmt.Sprintf("by %q", slices.DeleteFunc(names, func(name string) bool { return slices.Contains(may, name) }))
	case e.Without:
		return fmt.Sprintf("without %q", may)
	}
	return fmt.Sprintf("by %q", may)
}

// keeping are the functions that keep all labels but the name, and have a result for each series.
var keeping = []string{"abs", "ceil", "floor", "round", "sqrt", "exp", "ln", "log2", "log10", "sgn", "deg", "rad", "clamp_min", "clamp_max"}

// overTime are the functions that have a result for each series with a sample.
var overTime = []string{"avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "present_over_time"}

// perSeries are other functions whose result has the labels of the series that it is computed from.
var perSeries = []string{"predict_linear", "deriv", "delta", "idelta", "irate", "changes", "resets", "last_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time"}

func (n normalizer) call(e *parser.Call, need Need, limits limited) string {
	name := e.Func.Name
	args := func(name string, need Need, limits limited) string {
		texts := make([]string, len(e.Args))
		for i, arg := range e.Args {
			switch arg.Type() {
			case parser.ValueTypeVector, parser.ValueTypeMatrix:
				texts[i] = n.form(arg, need, limits)
			default:
				texts[i] = n.form(arg, SeriesValue, nil)
			}
		}
		return fmt.Sprintf("%s(%s)", name, strings.Join(texts, ", "))
	}
	switch {
	case strings.HasPrefix(name, "sort"):
		return n.form(e.Args[0], need, limits)
	case slices.Contains(keeping, name) && need == Series && !slices.ContainsFunc(e.Args[1:], func(arg parser.Expr) bool { return canFail(arg) }):
		return n.nameless(e.Args[0], Series, limits)
	case slices.Contains(keeping, name):
		return args(name, need, limits)
	case (name == "rate" || name == "increase") && need == Series:
		return args("rate", need, limits)
	case slices.Contains(overTime, name) && need == Series:
		return args("over_time", Series, limits)
	case name == "rate" || name == "increase" || slices.Contains(overTime, name):
		return args(name, SeriesValue, limits)
	case name == "absent":
		if _, ok := Bare(e.Args[0]).(*parser.VectorSelector); ok { // its matchers are the labels of the result
			return Canonical(e)
		}
		return args(name, Series, nil)
	case strings.HasPrefix(name, "absent"):
		return Canonical(e)
	}
	if slices.Contains(perSeries, name) {
		return args(name, SeriesValue, limits)
	}
	return args(name, SeriesValue, nil)
}
