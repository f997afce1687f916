package witness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// condition is a part of an expression that decides whether an alert is active: a comparison, or the presence of a
// series. The demands say how all other conditions must be for this one to decide.
type condition struct {
	expr    parser.Expr
	demands []demand
}

// demand requires that a condition holds, or that it does not.
type demand struct {
	expr parser.Expr
	hold bool
}

// comparison returns the comparison that a condition consists of, or nil where it is the presence of a series.
func comparison(expr parser.Expr) *parser.BinaryExpr {
	b, _ := expr.(*parser.BinaryExpr)
	return b
}

// conditions finds the conditions of an expression.
func conditions(expr parser.Expr) []condition {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return conditions(e.Expr)
	case *parser.BinaryExpr:
		switch e.Op {
		case parser.LAND:
			return append(with(conditions(e.LHS), e.RHS, true), with(conditions(e.RHS), e.LHS, true)...)
		case parser.LOR:
			return append(with(conditions(e.LHS), e.RHS, false), with(conditions(e.RHS), e.LHS, false)...)
		case parser.LUNLESS:
			return append(with(conditions(e.LHS), e.RHS, false), with(conditions(e.RHS), e.LHS, true)...)
		}
		if isFilter(e) {
			own := condition{expr: e}
			inner := append(conditionsBelow(e.LHS), conditionsBelow(e.RHS)...)
			for _, c := range inner {
				own.demands = append(own.demands, demand{c.expr, true})
			}
			return append([]condition{own}, with(inner, e, true)...)
		}
		return append(conditionsBelow(e.LHS), conditionsBelow(e.RHS)...)
	case *parser.VectorSelector:
		return []condition{{expr: e}}
	case *parser.Call:
		if e.Func.Name == "absent" || e.Func.Name == "absent_over_time" {
			return conditions(e.Args[0])
		}
	case *parser.MatrixSelector:
		return conditions(e.VectorSelector)
	}
	return conditionsBelow(expr)
}

// conditionsBelow finds the comparisons inside an expression that computes a value.
func conditionsBelow(expr parser.Expr) []condition {
	var found []condition
	if b, ok := expr.(*parser.BinaryExpr); ok && (isFilter(b) || b.Op.IsSetOperator()) {
		return comparisonsOnly(conditions(expr))
	}
	for child := range parser.ChildrenIter(expr) {
		if e, ok := child.(parser.Expr); ok {
			found = append(found, conditionsBelow(e)...)
		}
	}
	return found
}

// with adds to each condition the demand that another part of the expression holds or does not.
func with(all []condition, other parser.Expr, hold bool) []condition {
	for i := range all {
		all[i].demands = append(demands(other, hold), all[i].demands...)
	}
	return all
}

func comparisonsOnly(all []condition) []condition {
	return slices.DeleteFunc(all, func(c condition) bool { return comparison(c.expr) == nil })
}

// demands splits a requirement on an expression into demands on its conditions.
func demands(expr parser.Expr, hold bool) []demand {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return demands(e.Expr, hold)
	case *parser.BinaryExpr:
		left, right := func(h bool) []demand { return demands(e.LHS, h) }, func(h bool) []demand { return demands(e.RHS, h) }
		switch {
		case e.Op == parser.LAND && hold:
			return append(left(true), right(true)...)
		case e.Op == parser.LAND:
			if decides(e.LHS) {
				return left(false)
			}
			return append(left(true), right(false)...)
		case e.Op == parser.LOR && hold:
			return left(true)
		case e.Op == parser.LOR:
			return append(left(false), right(false)...)
		case e.Op == parser.LUNLESS && hold:
			return append(left(true), right(false)...)
		case e.Op == parser.LUNLESS:
			if decides(e.LHS) {
				return left(false)
			}
			return append(left(true), right(true)...)
		case isFilter(e):
			var all []demand
			for _, c := range append(conditionsBelow(e.LHS), conditionsBelow(e.RHS)...) {
				all = append(all, demand{c.expr, true})
			}
			return append(all, demand{e, hold})
		}
	case *parser.VectorSelector:
		return []demand{{e, hold}}
	case *parser.MatrixSelector:
		return demands(e.VectorSelector, hold)
	case *parser.Call:
		if e.Func.Name == "absent" || e.Func.Name == "absent_over_time" {
			return demands(e.Args[0], !hold)
		}
	}
	var all []demand
	inner := conditionsBelow(expr)
	for i, c := range inner {
		if hold || i == 0 {
			all = append(all, demand{c.expr, hold})
		}
	}
	if len(inner) == 0 {
		for s := range selectorsIn(expr) {
			all = append(all, demand{s, hold})
		}
	}
	return all
}

// decides reports whether an expression contains a comparison. One that only selects series adds labels, and the series
// are expected to exist.
func decides(expr parser.Expr) bool { return len(comparisonsOnly(conditions(expr))) > 0 }

// isFilter reports whether e is a comparison that drops series.
func isFilter(e *parser.BinaryExpr) bool {
	return e.Op.IsComparisonOperator() && !e.ReturnBool && (e.LHS.Type() == parser.ValueTypeVector || e.RHS.Type() == parser.ValueTypeVector)
}

// movement finds the kind of series for which what the path computes of the selector is constant.
func movement(s *parser.VectorSelector, path []parser.Node) kind {
	path = append(slices.Clone(path), s)
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *parser.Call:
			switch n.Func.Name {
			case "rate", "increase", "irate", "delta", "idelta", "deriv":
				return counter
			case "changes":
				return changing
			case "resets":
				return resetting
			case "predict_linear":
				return linear
			}
		case *parser.BinaryExpr:
			if n.Op != parser.SUB && n.Op != parser.ADD {
				continue
			}
			other := n.LHS
			if path[i+1] == parser.Node(n.LHS) {
				other = n.RHS
			}
			if isNow(other) {
				return timestamp
			}
		}
	}
	return gauge
}

// isNow reports whether an expression is time(), plus or minus a constant.
func isNow(expr parser.Expr) bool {
	for range selectorsIn(expr) {
		return false
	}
	return calls(expr, "time")
}

// calls reports whether an expression calls one of these functions.
func calls(expr parser.Expr, functions ...string) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		c, ok := node.(*parser.Call)
		found = found || ok && slices.Contains(functions, c.Func.Name)
		return nil
	})
	return found
}

// unsupported returns why an expression cannot be analysed, or "".
func unsupported(expr parser.Expr) string {
	var why string
	offsets := map[string]time.Duration{}
	selected := false
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		if why != "" {
			return nil
		}
		switch n := node.(type) {
		case *parser.VectorSelector:
			selected = true
			offset := n.OriginalOffset
			for _, above := range path {
				if s, ok := above.(*parser.SubqueryExpr); ok {
					offset += s.OriginalOffset
				}
			}
			if other, ok := offsets[key(n)]; ok && other != offset {
				why = fmt.Sprintf("it compares %s with its own past", n.Name)
			}
			offsets[key(n)] = offset
			if n.Timestamp != nil || n.StartOrEnd != 0 {
				why = "it looks at a fixed time (@)"
			}
		case *parser.Call:
			switch n.Func.Name {
			case "hour", "minute", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year":
				why = fmt.Sprintf("it depends on the time of day or the date (%s)", n.Func.Name)
			case "timestamp":
				why = "it looks at when a sample was taken (timestamp)"
			case "stddev_over_time", "stdvar_over_time", "count_over_time", "quantile_over_time", "mad_over_time", "double_exponential_smoothing", "holt_winters":
				why = fmt.Sprintf("%s depends on how samples are spread in its window", n.Func.Name)
			case "histogram_quantile":
				for s := range selectorsIn(n) {
					if !strings.HasSuffix(s.Name, "_bucket") {
						why = fmt.Sprintf("%s is not a classic histogram: its name does not end in _bucket", s.Name)
					}
				}
			}
			if strings.HasPrefix(n.Func.Name, "histogram_") && n.Func.Name != "histogram_quantile" {
				why = fmt.Sprintf("%s is for native histograms", n.Func.Name)
			}
		case *parser.AggregateExpr:
			switch n.Op {
			case parser.STDDEV, parser.STDVAR, parser.QUANTILE, parser.COUNT_VALUES:
				why = fmt.Sprintf("%s depends on how values are spread over series", n.Op)
			}
		}
		return nil
	})
	if why == "" && !selected {
		return "it selects no series: it always or never holds"
	}
	return why
}

// shortestRange returns the shortest range that an expression selects, 0 for none.
func shortestRange(expr parser.Expr) (shortest time.Duration) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.MatrixSelector); ok && (shortest == 0 || n.Range < shortest) {
			shortest = n.Range
		}
		return nil
	})
	return shortest
}

// counted returns the outermost count() around a selector, or nil, and the labels by which series are aggregated inside it.
func counted(path []parser.Node) (count *parser.AggregateExpr, inside []string) {
	for _, n := range path {
		a, ok := n.(*parser.AggregateExpr)
		switch {
		case !ok:
		case count == nil && a.Op == parser.COUNT:
			count = a
		case count != nil && !a.Without:
			inside = append(inside, a.Grouping...)
		}
	}
	return count, inside
}
