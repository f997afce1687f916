package promql

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

func (n normalizer) binary(e *parser.BinaryExpr, need Need, limits limited) string {
	left, right, op := e.LHS, e.RHS, e.Op
	switch {
	case left.Type() == parser.ValueTypeScalar && right.Type() == parser.ValueTypeScalar:
		return fmt.Sprintf("(%s %s %s)", n.form(left, SeriesValue, nil), op, n.form(right, SeriesValue, nil))
	case left.Type() == parser.ValueTypeScalar && op.IsComparisonOperator():
		return n.compared(e, right, left, Mirror(op), need, limits)
	case right.Type() == parser.ValueTypeScalar && op.IsComparisonOperator():
		return n.compared(e, left, right, op, need, limits)
	case left.Type() == parser.ValueTypeScalar && need == Series && !canFail(left):
		return n.nameless(right, need, limits)
	case right.Type() == parser.ValueTypeScalar && need == Series && !canFail(right):
		return n.nameless(left, need, limits)
	case e.VectorMatching == nil || left.Type() == parser.ValueTypeScalar || right.Type() == parser.ValueTypeScalar:
		return fmt.Sprintf("(%s %s %s)", n.form(left, SeriesValue, limits), op, n.form(right, SeriesValue, limits))
	}
	toLeft, toRight := n.constraints(e, limits)
	mine, its := need, SeriesValue
	switch {
	case op == parser.LAND || op == parser.LUNLESS:
		its = Series
	case op == parser.LOR:
		its = need
	case op.IsComparisonOperator() && !e.ReturnBool:
		mine = SeriesValue
	case need == Series: // any operator has a result where two series match
		its = Series
	}
	l, r := n.form(left, mine, toLeft), n.form(right, its, toRight)
	switch {
	case op == parser.LOR && l == "nothing":
		return n.form(right, its, limits)
	case (op == parser.LOR || op == parser.LUNLESS) && r == "nothing":
		return n.form(left, mine, limits)
	}
	word := op.String()
	if e.ReturnBool {
		word += " bool"
	}
	if need == Series && !op.IsSetOperator() && (!op.IsComparisonOperator() || e.ReturnBool) {
		word = "any operator"
	}
	return fmt.Sprintf("(%s %s %s %s)", l, word, n.matching(e), r)
}

// matching writes how series match, without the labels that are not there; of set operators, a label that has one value on
// both sides, or has to, stands apart.
func (n normalizer) matching(e *parser.BinaryExpr) string {
	m := e.VectorMatching
	left, right := n.Of(e.LHS).Labels, n.Of(e.RHS).Labels
	named := slices.Compact(slices.Sorted(slices.Values(m.MatchingLabels)))
	var equal []string
	for _, name := range left.names(right) {
		l, lok := left.Fixed(name)
		r, rok := right.Fixed(name)
		matched := name != model.MetricNameLabel && slices.Contains(named, name) == m.On
		switch {
		case !e.Op.IsSetOperator() || e.Op == parser.LOR:
		case lok && rok && l == r && l != "", matched && lok && !rok && l != "", matched && rok && !lok && r != "" && e.Op == parser.LAND:
			equal = append(equal, fmt.Sprintf("%s=%q", name, cmp.Or(l, r)))
		}
	}
	on, known := m.On, false
	if !on {
		var l, r []string
		if l, known = left.Only(); known {
			r, known = right.Only()
		}
		if known {
			all := slices.DeleteFunc(slices.Concat(l, r), func(name string) bool { return slices.Contains(named, name) })
			named, on = slices.Compact(slices.Sorted(slices.Values(all))), true
		}
	}
	named = slices.DeleteFunc(named, func(name string) bool {
		return !left.May(name) && !right.May(name) || slices.ContainsFunc(equal, func(text string) bool { return strings.HasPrefix(text, name+"=") })
	})
	return fmt.Sprintf("%s on=%v %q %q %q", m.Card, on, named, equal, slices.Sorted(slices.Values(m.Include)))
}

// constraints are what the labels on either side have to meet for a result that matters.
func (n normalizer) constraints(e *parser.BinaryExpr, outer limited) (left, right limited) {
	m := e.VectorMatching
	l, r := n.Of(e.LHS), n.Of(e.RHS)
	left, right = limited{}, limited{}
	matched := func(name string) bool {
		return name != model.MetricNameLabel && slices.Contains(m.MatchingLabels, name) == m.On
	}
	for name, all := range outer {
		inBoth := matched(name)
		if inBoth || e.Op == parser.LAND || e.Op == parser.LUNLESS || m.Card == parser.CardManyToOne && !slices.Contains(m.Include, name) {
			left[name] = all
		}
		if inBoth || m.Card == parser.CardOneToMany && !slices.Contains(m.Include, name) {
			right[name] = all
		}
	}
	for name := range l.Labels.of {
		if matched(name) && e.Op != parser.LOR {
			right[name] = slices.Concat(right[name], l.Labels.value(name).limits(name))
		}
	}
	for name := range r.Labels.of {
		if matched(name) && e.Op != parser.LOR && e.Op != parser.LUNLESS {
			left[name] = slices.Concat(left[name], r.Labels.value(name).limits(name))
		}
	}
	if e.Op.IsSetOperator() {
		return left, right
	}
	// Two series that match one end the evaluation, even where nothing is on the other side.
	if m.Card != parser.CardManyToOne && !isDistinct(l, m) {
		left = nil
	}
	if m.Card != parser.CardOneToMany && !isDistinct(r, m) {
		right = nil
	}
	return left, right
}

// limits are the matchers that a label is known to meet.
func (v value) limits(name string) []*labels.Matcher {
	if len(v.among) == 1 {
		return []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, name, v.among[0])}
	}
	return v.matchers
}

// isDistinct reports whether no two series of a side have the same labels to match by.
func isDistinct(f Facts, m *parser.VectorMatching) bool {
	if !f.isUnique() {
		return false
	}
	if !m.On {
		return !slices.ContainsFunc(m.MatchingLabels, f.Labels.May)
	}
	names, known := f.Labels.Only()
	return known && isSubset(names, m.MatchingLabels)
}

// compared is the form of a comparison of a vector with a number: which of the values that there can be meet it.
func (n normalizer) compared(e *parser.BinaryExpr, vector, number parser.Expr, op parser.ItemType, need Need, limits limited) string {
	if e.ReturnBool && need == Series && !canFail(number) {
		return n.nameless(vector, need, limits)
	}
	kind := ""
	if e.ReturnBool {
		kind = " bool"
	}
	c, constant := Constant(number)
	if !constant || math.IsNaN(c) || math.IsInf(c, 0) {
		return fmt.Sprintf("(%s %s%s %s)", n.form(vector, SeriesValue, limits), op, kind, n.form(number, SeriesValue, nil))
	}
	values := n.Of(vector).Values
	op, c, always := nearest(op, c, values, n.isWhole(vector))
	if always && !e.ReturnBool {
		return n.form(vector, need, limits)
	}
	if need == Series || c == 0 && op == parser.EQLC { // or the value is 0 anyway
		vector = unscaled(vector, c)
		if text, ok := n.signed(vector, op, c, values, limits); ok {
			return text
		}
	}
	return fmt.Sprintf("(%s %s%s %g)", n.form(vector, SeriesValue, limits), op, kind, c)
}

// most is the number up to which each whole number has a value of its own.
const most = 1 << 53

// nearest is the comparison that the same of these values meet, each such comparison alike; always says that all meet it.
func nearest(op parser.ItemType, c float64, v Interval, whole bool) (parser.ItemType, float64, bool) {
	if whole && math.Abs(c) < most {
		switch op {
		case parser.GTR:
			op, c = parser.GTE, math.Floor(c)+1
		case parser.LSS:
			op, c = parser.LTE, math.Ceil(c)-1
		case parser.GTE:
			c = math.Ceil(c)
		case parser.LTE:
			c = math.Floor(c)
		}
	}
	// Where an interval ends is exact for whole numbers, and where it ends at 0.
	exact := func(bound float64) bool { return !math.IsInf(bound, 0) && (whole || bound == 0) }
	low, high := v.Min, v.Max
	if exact(low) {
		switch {
		case op == parser.LTE && c == low:
			op = parser.EQLC
		case op == parser.NEQ && c == low && !v.NaN && whole:
			op, c = parser.GTE, low+1
		case op == parser.NEQ && c == low && !v.NaN:
			op = parser.GTR
		}
	}
	if exact(high) {
		switch {
		case op == parser.GTE && c == high:
			op = parser.EQLC
		case op == parser.NEQ && c == high && !v.NaN && whole:
			op, c = parser.LTE, high-1
		case op == parser.NEQ && c == high && !v.NaN:
			op = parser.LSS
		}
	}
	if op == parser.LTE && exact(low) && c == low { // two values, and one of them is left
		op = parser.EQLC
	}
	if op == parser.GTE && exact(high) && c == high {
		op = parser.EQLC
	}
	always := !v.NaN && v.holds(op, point(c)) && (exact(low) && (op == parser.GTE || op == parser.GTR) || exact(high) && (op == parser.LTE || op == parser.LSS))
	return op, c, always
}

// unscaled leaves out what does not change the sign of a value that is compared with 0.
func unscaled(expr parser.Expr, c float64) parser.Expr {
	if c != 0 {
		return expr
	}
	b, ok := Bare(expr).(*parser.BinaryExpr)
	if !ok || b.Op != parser.MUL && b.Op != parser.DIV || b.RHS.Type() != parser.ValueTypeScalar {
		return expr
	}
	if factor, ok := Constant(b.RHS); ok && factor > 1e-100 && factor < 1e100 {
		return unscaled(b.LHS, c)
	}
	return expr
}

// signed is the form of a comparison that tells only whether a value is 0, for an operation that does not matter then: the
// sum of what is not negative is 0 where the largest is, and increase() is 0 where rate() is.
func (n normalizer) signed(vector parser.Expr, op parser.ItemType, c float64, values Interval, limits limited) (string, bool) {
	switch e := Bare(vector).(type) {
	case *parser.Call:
		if c == 0 && (e.Func.Name == "rate" || e.Func.Name == "increase") {
			return fmt.Sprintf("(sign of %s %s 0)", n.form(e, Series, limits), op), true
		}
	case *parser.AggregateExpr:
		inner := n.Of(e.Expr).Values
		if inner.Min < 0 || inner.NaN && n.by == Sure || e.Op != parser.SUM && e.Op != parser.AVG && e.Op != parser.MAX {
			return "", false
		}
		zero := c == 0 && (op == parser.EQLC || op == parser.LTE)
		some := c == 0 && (op == parser.GTR || op == parser.NEQ) || c == 1 && op == parser.GTE && n.isWhole(e) ||
			c == 1 && op == parser.EQLC && n.isWhole(e) && values.Max == 1
		if !zero && !some {
			return "", false
		}
		largest := *e
		largest.Op = parser.MAX
		if c, ok := Bare(e.Expr).(*parser.Call); ok && c.Func.Name == "increase" {
			rate := *c
			rate.Func = parser.Functions["rate"]
			largest.Expr = &rate
		}
		return fmt.Sprintf("(%s is 0: %v)", n.aggregate(&largest, SeriesValue, limits), zero), true
	}
	return "", false
}

// isWhole reports whether all values are whole numbers, or infinite, or NaN.
func (n normalizer) isWhole(expr parser.Expr) bool {
	if v, ok := Constant(expr); ok {
		return v == math.Trunc(v)
	}
	switch e := Bare(expr).(type) {
	case *parser.StepInvariantExpr:
		return n.isWhole(e.Expr)
	case *parser.UnaryExpr:
		return n.isWhole(e.Expr)
	case *parser.MatrixSelector:
		return n.isWhole(e.VectorSelector)
	case *parser.SubqueryExpr:
		return n.isWhole(e.Expr)
	case *parser.VectorSelector:
		return NameOf(e) == "up" || NameOf(e) == "ALERTS"
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.COUNT, parser.GROUP, parser.COUNT_VALUES:
			return true
		case parser.SUM, parser.MIN, parser.MAX, parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
			return n.isWhole(e.Expr)
		case parser.AVG:
			return isAlone(e, n.Of(e.Expr)) && n.isWhole(e.Expr)
		}
	case *parser.Call:
		switch e.Func.Name {
		case "changes", "resets", "count_over_time", "present_over_time", "absent", "absent_over_time", "ceil", "floor",
			"minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year":
			return true
		case "sum_over_time", "min_over_time", "max_over_time", "last_over_time", "vector", "abs", "sort", "sort_desc", "label_replace", "label_join":
			return n.isWhole(e.Args[0])
		}
	case *parser.BinaryExpr:
		switch {
		case e.Op.IsComparisonOperator() && e.ReturnBool:
			return true
		case e.Op.IsComparisonOperator() && e.LHS.Type() == parser.ValueTypeScalar:
			return n.isWhole(e.RHS)
		case e.Op.IsComparisonOperator(), e.Op == parser.LAND, e.Op == parser.LUNLESS:
			return n.isWhole(e.LHS)
		case e.Op == parser.LOR, e.Op == parser.ADD, e.Op == parser.SUB, e.Op == parser.MUL:
			return n.isWhole(e.LHS) && n.isWhole(e.RHS)
		}
	}
	return false
}
