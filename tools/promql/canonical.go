package promql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// Canonical writes an expression so that two which mean the same read the same: without parentheses, with constants
// worked out, with matchers and grouping labels in order.
func Canonical(expr parser.Expr) string {
	var b strings.Builder
	writeCanonical(&b, expr)
	return b.String()
}

func writeCanonical(b *strings.Builder, expr parser.Expr) {
	if v, ok := Constant(expr); ok {
		b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
		return
	}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		writeCanonical(b, e.Expr)
	case *parser.UnaryExpr:
		fmt.Fprintf(b, "(%s ", e.Op)
		writeCanonical(b, e.Expr)
		b.WriteString(")")
	case *parser.StepInvariantExpr:
		writeCanonical(b, e.Expr)
	case *parser.VectorSelector:
		matchers := make([]string, len(e.LabelMatchers))
		for i, m := range e.LabelMatchers {
			matchers[i] = m.String()
		}
		slices.Sort(matchers)
		fmt.Fprintf(b, "{%s}", strings.Join(slices.Compact(matchers), ","))
		writeTime(b, e.OriginalOffset.String(), e.OriginalOffsetExpr, e.Timestamp, e.StartOrEnd)
		fmt.Fprintf(b, "%v%v", e.Anchored, e.Smoothed)
	case *parser.MatrixSelector:
		writeCanonical(b, e.VectorSelector)
		fmt.Fprintf(b, "[%s%s]", e.Range, durationExpr(e.RangeExpr))
	case *parser.SubqueryExpr:
		b.WriteString("(")
		writeCanonical(b, e.Expr)
		fmt.Fprintf(b, ")[%s%s:%s%s]", e.Range, durationExpr(e.RangeExpr), e.Step, durationExpr(e.StepExpr))
		writeTime(b, e.OriginalOffset.String(), e.OriginalOffsetExpr, e.Timestamp, e.StartOrEnd)
	case *parser.Call:
		fmt.Fprintf(b, "%s(", e.Func.Name)
		for _, arg := range e.Args {
			writeCanonical(b, arg)
			b.WriteString(",")
		}
		b.WriteString(")")
	case *parser.AggregateExpr:
		grouping := slices.Compact(slices.Sorted(slices.Values(e.Grouping)))
		fmt.Fprintf(b, "%s without=%v %q (", e.Op, e.Without, grouping)
		if e.Param != nil {
			writeCanonical(b, e.Param)
			b.WriteString(",")
		}
		writeCanonical(b, e.Expr)
		b.WriteString(")")
	case *parser.BinaryExpr:
		left, right, op := e.LHS, e.RHS, e.Op
		if Mirror(op) != op && left.Type() == parser.ValueTypeScalar && right.Type() == parser.ValueTypeVector && !e.ReturnBool {
			left, right, op = right, left, Mirror(op)
		}
		b.WriteString("(")
		writeCanonical(b, left)
		fmt.Fprintf(b, " %s bool=%v ", op, e.ReturnBool)
		if m := e.VectorMatching; m != nil {
			fmt.Fprintf(b, "%s on=%v %q %q %v ", m.Card, m.On, slices.Sorted(slices.Values(m.MatchingLabels)), m.Include, m.FillValues)
		}
		writeCanonical(b, right)
		b.WriteString(")")
	default:
		b.WriteString(expr.String())
	}
}

func writeTime(b *strings.Builder, offset string, offsetExpr *parser.DurationExpr, at *int64, startOrEnd parser.ItemType) {
	fmt.Fprintf(b, "@%s%s", offset, durationExpr(offsetExpr))
	if at != nil {
		fmt.Fprintf(b, "@%d", *at)
	}
	if startOrEnd != 0 {
		fmt.Fprintf(b, "@%s", startOrEnd)
	}
}

func durationExpr(e *parser.DurationExpr) string {
	if e == nil {
		return ""
	}
	return e.String()
}
