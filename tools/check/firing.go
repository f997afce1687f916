package check

import (
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Never returns the findings about an alert that never fires: one for each reason, or one for the whole expression.
func Never(alert rule.Alert, why []promql.Reason, by promql.Knowledge) []finding.Finding {
	c, q := onlyOf(alert)
	_, lasts, _ := promql.Lasts(q.expr, promql.Usual)
	for _, r := range why {
		if r.Second == (posrange.PositionRange{}) { // the first alone
			r.Second = r.First
		}
		if r.Text == lasts.Text {
			c.lasting(q, alert, r)
		} else {
			c.contradiction(q, r, by)
		}
	}
	if len(why) == 0 {
		c.reportSpan(q, q.expr.PositionRange(), by, "expr/never", "%s never has a result: fix it", q.owner)
	}
	return c.findings
}

// Always returns the findings about an alert that always fires. There is none where its expression selects no metric, as
// vector(1) does not: it is meant to hold always.
func Always(alert rule.Alert) []finding.Finding {
	c, q := onlyOf(alert)
	if selects(q.expr) {
		c.always(q)
	}
	return c.findings
}

// onlyOf returns a checker for one alert and its query. The expression has been parsed before.
func onlyOf(alert rule.Alert) (*checker, query) {
	c := &checker{lines: map[string][]string{}, series: &series{}}
	expr, err := promql.ParseExpr(alert.Expr)
	if err != nil {
		expr = &parser.StringLiteral{Val: alert.Expr, PosRange: posrange.PositionRange{End: posrange.Pos(len(alert.Expr))}}
	}
	return c, ofAlert(alert, expr)
}
