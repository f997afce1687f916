package check

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// fires demands that an alert has a condition. An expression without any metric is meant to hold always, as vector(1) is.
func (c *checker) fires(q query, alert rule.Alert) {
	if !selects(q.expr) {
		return
	}
	every := cmp.Or(alert.Interval, time.Minute)
	if most, r, ok := promql.Lasts(q.expr, promql.Usual); ok && alert.For >= most && most%every == 0 {
		c.lasting(q, alert, r)
	}
	if promql.Analyze(q.expr, c.series.knowledge, promql.Sure).Of(q.expr).Present {
		c.always(q)
		return
	}
	if why, ok := promql.Analyze(q.expr, c.series.rules, promql.Sure).Holds(q.expr); ok && isOr(q.expr) {
		c.reportSpan(q, q.expr.PositionRange(), promql.Sure, "expr/always", "%s: %s: join them with and, or fix one of them", q.owner, why)
	}
	hint := ""
	if isOr(q.expr) {
		hint = "; a comparison binds stronger than or, so a condition for both sides needs parentheses around them"
	}
	for _, branch := range branches(q.expr) {
		switch e := promql.Bare(branch).(type) {
		case *parser.BinaryExpr:
			if e.ReturnBool {
				c.reportSpan(q, e.PositionRange(), promql.Sure, "expr/always", "%s compares with bool, so that the result is 0 where it does not hold, and the alert fires for that too: take bool out", q.owner)
				continue
			}
		}
		if c.holds(q, branch) {
			continue
		}
		if (isComputed(branch) || hint != "" && isTotal(branch)) && !filters(branch) {
			c.reportSpan(q, branch.PositionRange(), promql.Sure, "expr/always", "%s has no comparison in %s, so that the alert fires at any value, 0 included: compare it with a threshold%s", q.owner, promql.Excerpt(branch), hint)
		}
	}
}

// lasting reports that an expression does not hold for as long as the alert waits.
func (c *checker) lasting(q query, alert rule.Alert, r promql.Reason) {
	span := posrange.PositionRange{Start: r.First.Start, End: r.Second.End}
	c.reportSpan(q, span, promql.Usual, "expr/never", "%s: %s, so the alert's for of %s never passes: make it shorter, or the offset longer", q.owner, r.Text, model.Duration(alert.For))
}

// always reports that an expression has a result at any time.
func (c *checker) always(q query) {
	c.reportSpan(q, q.expr.PositionRange(), promql.Sure, "expr/always", "%s has a result whatever there is, 0 included, so that the alert always fires: compare it with a threshold", q.owner)
}

// holds reports a comparison that holds whatever the value is. One of a count or of a constant can be meant to ask whether
// there is anything.
func (c *checker) holds(q query, branch parser.Expr) bool {
	e, ok := promql.Bare(branch).(*parser.BinaryExpr)
	if !ok || !isMeasured(e.LHS) && !isMeasured(e.RHS) {
		return false
	}
	for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
		if why, ok := promql.Analyze(q.expr, c.series.rules, by).Holds(branch); ok {
			c.reportSpan(q, branch.PositionRange(), by, "expr/always", "%s: %s, so that the alert fires at any value: fix the comparison", q.owner, why)
			return true
		}
	}
	return false
}

// isMeasured reports whether an expression's value can differ while its series are there.
func isMeasured(expr parser.Expr) bool {
	s, ok := promql.Bare(expr).(*parser.VectorSelector)
	return isComputed(expr) && !filters(expr) || ok && promql.NameOf(s) == "up"
}

func isOr(expr parser.Expr) bool {
	e, ok := promql.Bare(expr).(*parser.BinaryExpr)
	return ok && e.Op == parser.LOR
}

// isTotal reports whether an expression makes one value of several.
func isTotal(expr parser.Expr) bool {
	e, ok := promql.Bare(expr).(*parser.AggregateExpr)
	return ok && (e.Op == parser.SUM || e.Op == parser.AVG)
}

// branches are the parts of an expression whose results it has: both sides of or, the left side of and and unless.
func branches(expr parser.Expr) []parser.Expr {
	if e, ok := promql.Bare(expr).(*parser.BinaryExpr); ok {
		switch e.Op {
		case parser.LOR:
			return append(branches(e.LHS), branches(e.RHS)...)
		case parser.LAND, parser.LUNLESS:
			if inner, ok := promql.Bare(e.LHS).(*parser.BinaryExpr); ok && inner.ReturnBool {
				return branches(e.LHS)
			}
		}
	}
	return []parser.Expr{expr}
}

func selects(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		_, ok := node.(*parser.VectorSelector)
		found = found || ok
		return nil
	})
	return found
}

// isComputed reports whether an expression's value is worked out, so that it can be 0 while its series are there. That of
// a selector, or a count, can be meant to say by its presence alone that something is so.
func isComputed(expr parser.Expr) bool {
	switch e := promql.Bare(expr).(type) {
	case *parser.BinaryExpr:
		switch {
		case e.Op.IsSetOperator() || e.Op.IsComparisonOperator() && !e.ReturnBool:
			return false
		case e.Op == parser.MUL && e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector: // a join
			return isComputed(e.LHS) || isComputed(e.RHS)
		}
		return true
	case *parser.AggregateExpr:
		return e.Op != parser.COUNT && e.Op != parser.GROUP && e.Op != parser.COUNT_VALUES && isComputed(e.Expr)
	case *parser.Call:
		switch e.Func.Name {
		case "rate", "increase", "irate", "delta", "idelta", "deriv", "predict_linear", "changes", "resets", "histogram_quantile":
			return true
		case "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sort", "sort_desc", "label_replace", "label_join",
			"avg_over_time", "max_over_time", "min_over_time", "sum_over_time":
			return slices.ContainsFunc(e.Args, isComputed)
		}
	case *parser.SubqueryExpr:
		return isComputed(e.Expr)
	}
	return false
}

// filters reports whether something in an expression leaves series out by a condition.
func filters(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.BinaryExpr:
			found = found || e.Op == parser.LAND || e.Op == parser.LUNLESS || e.Op.IsComparisonOperator() && !e.ReturnBool
		case *parser.Call:
			found = found || strings.HasPrefix(e.Func.Name, "absent")
		case *parser.VectorSelector:
			found = found || strings.HasPrefix(promql.NameOf(e), "ALERTS")
		}
		return nil
	})
	return found
}
