package check

import (
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// labelsOf returns the labels that the results of an expression are known to have, some of them, and whether they can
// have no other.
func labelsOf(expr parser.Expr) (known map[string]bool, isAll bool) {
	known = map[string]bool{}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return labelsOf(e.Expr)
	case *parser.StepInvariantExpr:
		return labelsOf(e.Expr)
	case *parser.UnaryExpr:
		return labelsOf(e.Expr)
	case *parser.SubqueryExpr:
		return labelsOf(e.Expr)
	case *parser.MatrixSelector:
		return labelsOf(e.VectorSelector)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return known, true
	case *parser.VectorSelector:
		for _, m := range e.LabelMatchers {
			if m.Name != labels.MetricName && !m.Matches("") {
				known[m.Name] = true
			}
		}
		return known, false
	case *parser.AggregateExpr:
		return labelsOfAggregation(e)
	case *parser.Call:
		return labelsOfCall(e)
	case *parser.BinaryExpr:
		return labelsOfBinary(e)
	}
	return known, false
}

func labelsOfAggregation(e *parser.AggregateExpr) (known map[string]bool, isAll bool) {
	inner, isAll := labelsOf(e.Expr)
	if e.Op == parser.TOPK || e.Op == parser.BOTTOMK || e.Op == parser.LIMITK || e.Op == parser.LIMIT_RATIO {
		return inner, isAll
	}
	known = map[string]bool{}
	if e.Without {
		for _, name := range e.Grouping {
			delete(inner, name)
		}
		known = inner
	} else {
		isAll = true
		for _, name := range e.Grouping {
			known[name] = true
		}
	}
	if name, ok := e.Param.(*parser.StringLiteral); ok && e.Op == parser.COUNT_VALUES {
		known[name.Val] = true
	}
	return known, isAll
}

func labelsOfCall(e *parser.Call) (known map[string]bool, isAll bool) {
	known = map[string]bool{}
	switch e.Func.Name {
	case "absent", "absent_over_time":
		parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				for _, m := range selector.LabelMatchers {
					if m.Type == labels.MatchEqual && m.Name != labels.MetricName {
						known[m.Name] = true
					}
				}
			}
			return nil
		})
		return known, true
	case "scalar", "time", "pi", "vector":
		return known, true
	case "info":
		return known, false
	}
	isAll = true
	for _, arg := range e.Args {
		if kind := arg.Type(); kind != parser.ValueTypeVector && kind != parser.ValueTypeMatrix {
			continue
		}
		known, isAll = labelsOf(arg)
	}
	if e.Func.Name == "label_replace" || e.Func.Name == "label_join" {
		if name, ok := e.Args[1].(*parser.StringLiteral); ok {
			known[name.Val] = true
		}
	}
	return known, isAll
}

func labelsOfBinary(e *parser.BinaryExpr) (known map[string]bool, isAll bool) {
	left, leftAll := labelsOf(e.LHS)
	right, rightAll := labelsOf(e.RHS)
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right, rightAll
	case e.RHS.Type() == parser.ValueTypeScalar || e.VectorMatching == nil:
		return left, leftAll
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return left, leftAll
	case e.Op == parser.LOR:
		for name := range right {
			left[name] = true
		}
		return left, leftAll && rightAll
	}
	if e.VectorMatching.Card == parser.CardOneToMany {
		left, leftAll = right, rightAll
	}
	if e.VectorMatching.Card == parser.CardOneToOne {
		matching := map[string]bool{}
		for _, name := range e.VectorMatching.MatchingLabels {
			matching[name] = true
			if e.VectorMatching.On {
				left[name] = true
			}
		}
		// A comparison that filters keeps the labels of its left side.
		if !e.Op.IsComparisonOperator() || e.ReturnBool {
			for name := range left {
				if matching[name] != e.VectorMatching.On {
					delete(left, name)
				}
			}
			leftAll = leftAll || e.VectorMatching.On
		}
	}
	for _, name := range e.VectorMatching.Include {
		left[name] = true
	}
	return left, leftAll
}
