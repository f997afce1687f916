package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/metric"
	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// query is an expression with its place.
type query struct {
	source string
	expr   parser.Expr
	owner  string // as in "the expression of CertificateExpired"
	alert  string // the alert's name; empty for what is none
	file   string
	at     func(offset int) (line, column int)
	// hidden reports whether the text there replaces a variable whose value is not known.
	hidden   func(offset int) bool
	reported map[string]bool // so that the same is reported once
}

func ofAlert(alert rule.Alert, expr parser.Expr) query {
	return query{source: alert.Expr, expr: expr, owner: "the expression of " + alert.Name, alert: alert.Name, file: alert.File,
		at: func(offset int) (int, int) { return alert.At("expr", offset) }}
}

func ofRecording(r rule.Recording, expr parser.Expr) query {
	return query{source: r.Expr, expr: expr, owner: "the expression of " + r.Name, file: r.File,
		at: func(offset int) (int, int) { return r.At("expr", offset) }}
}

func (c *checker) reportIn(q query, offset int, check, format string, args ...any) {
	if q.hidden != nil && q.hidden(offset) {
		return
	}
	line, column := q.at(offset)
	c.report(check, q.file, line, column, format, args...)
}

// exported demands that the metrics and labels of a query exist, and that functions suit the types of the metrics.
func (c *checker) exported(q query) {
	q.reported = map[string]bool{}
	parser.Inspect(q.expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.VectorSelector:
			c.selector(q, e)
		case *parser.Call:
			c.function(q, e)
		case *parser.AggregateExpr:
			c.aggregation(q, e)
		case *parser.BinaryExpr:
			c.match(q, e)
		}
		return nil
	})
}

// known reports whether anything exports, records or makes a metric.
func (s *series) known(name string) bool {
	_, isExported := s.exported(name)
	return isExported || s.recordings[name] || name == "ALERTS" || name == "ALERTS_FOR_STATE"
}

func (c *checker) selector(q query, e *parser.VectorSelector) {
	name := promql.NameOf(e)
	if name == "" {
		return
	}
	start := int(e.PosRange.Start)
	if !c.series.known(name) {
		if q.reported[name] {
			return
		}
		q.reported[name] = true
		hint := "export it, or fix the name"
		names := slices.AppendSeq(c.series.inventory.Names(), maps.Keys(c.series.recordings))
		if near := nearest.Within(len(name)/6, name, names); near != "" {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
		c.reportIn(q, start, "metric/unknown", "%s asks for %s, which no target exports and no rule records: %s", q.owner, name, hint)
		return
	}
	has := c.series.knowledge.Metric(name, promql.Sure).Labels
	text := q.source[start:min(int(e.PosRange.End), len(q.source))]
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel || has.May(m.Name) || m.Type == labels.MatchEqual && m.Value == "" || strings.Contains(m.Value, unknownText) {
			continue
		}
		key := name + m.String()
		if q.reported[key] {
			continue
		}
		q.reported[key] = true
		c.missing[e] = true
		what := "matches nothing"
		if m.Matches("") {
			what = "makes no difference"
		}
		c.reportIn(q, start+wordIn(text, m.Name, strings.Index(text, "{")), "metric/label", "%s %s in %s, since %s has %s: fix the label, or take the matcher out",
			m, what, q.owner, name, has)
	}
}

// wordIn returns the offset of a word in a text, from an offset on; 0 where it is not found.
func wordIn(text, word string, from int) int {
	from = max(from, 0)
	found := regexp.MustCompile(`\b` + regexp.QuoteMeta(word) + `\b`).FindStringIndex(text[from:])
	if found == nil {
		return 0
	}
	return from + found[0]
}

// aggregation demands that the labels to group by exist, and that quantiles are not averaged.
func (c *checker) aggregation(q query, e *parser.AggregateExpr) {
	pos, inner := e.PosRange, e.Expr.PositionRange()
	if !e.Without {
		has := c.series.of(e.Expr)
		for _, label := range e.Grouping {
			if !has.May(label) {
				c.reportIn(q, c.modifier(q, label, int(pos.Start), int(inner.Start), int(inner.End), int(pos.End)), "metric/label",
					"%s groups by %s, but what it groups has %s: fix the label, or group by another", q.owner, label, has)
			}
		}
	}
	if e.Op == parser.AVG || e.Op == parser.SUM {
		for _, selector := range values(e.Expr) {
			if c.series.role(selector) == metric.Quantile {
				c.reportIn(q, int(selector.PosRange.Start), "metric/type", "%s takes the %s of %s, whose series are quantiles, which cannot be averaged or summed: take the max, or export a histogram",
					q.owner, e.Op, promql.NameOf(selector))
			}
		}
	}
}

// match demands that the labels to match on exist on both sides.
func (c *checker) match(q query, e *parser.BinaryExpr) {
	m := e.VectorMatching
	if m == nil || !m.On {
		return
	}
	left, right := c.series.of(e.LHS), c.series.of(e.RHS)
	for _, label := range m.MatchingLabels {
		side, has := "left", left
		if left.May(label) {
			side, has = "right", right
		}
		if has.May(label) {
			continue
		}
		if !left.May(label) && !right.May(label) {
			side = "either"
		}
		c.missing[e] = true
		c.reportIn(q, c.modifier(q, label, int(e.LHS.PositionRange().End), int(e.RHS.PositionRange().Start)), "metric/label",
			"%s matches on %s, but the %s side has %s: fix the label, or match on another", q.owner, label, side, has)
	}
}

// modifier returns the offset of a label in the text between pairs of offsets, which hold a by or an on.
func (c *checker) modifier(q query, label string, between ...int) int {
	for i := 0; i+1 < len(between); i += 2 {
		from, to := between[i], min(between[i+1], len(q.source))
		if from > to {
			continue
		}
		text := q.source[from:to]
		if at := wordIn(text, label, strings.Index(text, "(")); at > 0 {
			return from + at
		}
	}
	return between[0]
}

var (
	ofCounters = []string{"rate", "increase", "irate", "resets"}
	ofGauges   = []string{"deriv", "delta", "idelta", "predict_linear", "double_exponential_smoothing"}
)

// function demands that a function gets the type of metric that it is for.
func (c *checker) function(q query, e *parser.Call) {
	name := e.Func.Name
	for _, arg := range e.Args {
		for _, selector := range values(arg) {
			role, metricName := c.series.role(selector), promql.NameOf(selector)
			report := func(format string, args ...any) {
				c.reportIn(q, int(selector.PosRange.Start), "metric/type", "%s", fmt.Sprintf(q.owner+" "+format, args...))
			}
			_, isRange := arg.(*parser.MatrixSelector)
			switch {
			case isRange && slices.Contains(ofCounters, name) && role == metric.Gauge:
				report("takes the %s() of %s, which is a gauge: each fall would pass for a reset of a counter; use delta() or deriv(), or a counter", name, metricName)
			case isRange && slices.Contains(ofGauges, name) && (role == metric.Counter || role == metric.Bucket):
				report("takes the %s() of %s, which is a counter and falls to 0 when its target restarts: use rate() or increase()", name, metricName)
			}
		}
	}
	if name != "histogram_quantile" || len(e.Args) != 2 {
		return
	}
	for _, selector := range rated(e.Args[1]) {
		role, metricName := c.series.role(selector), promql.NameOf(selector)
		known, _ := c.series.inventory.Series(metricName)
		switch {
		case role == metric.Unknown || role == "": // it may be a native histogram
		case role != metric.Bucket && known.Type == model.MetricTypeHistogram:
			c.reportIn(q, int(selector.PosRange.Start), "metric/type", "%s takes a quantile of %s, which is not a bucket of the histogram %s: ask for %s_bucket",
				q.owner, metricName, known.Metric, known.Metric)
		case role != metric.Bucket:
			c.reportIn(q, int(selector.PosRange.Start), "metric/type", "%s takes a quantile of %s, which is a %s and not a histogram: ask for the buckets of one", q.owner, metricName, known.Type)
		case !c.series.of(e.Args[1]).May("le"):
			c.reportIn(q, int(e.Args[1].PositionRange().Start), "metric/type", "%s takes a quantile of buckets without their label le: keep le in the aggregation", q.owner)
			return
		}
	}
}

// bare demands that an alert does not compare a counter with a number: it reaches any number in time, and stays above until
// its target restarts. A comparison with 0 by == is allowed.
func (c *checker) bare(q query) {
	var visit func(expr parser.Expr)
	visit = func(expr parser.Expr) {
		e, ok := promql.Bare(expr).(*parser.BinaryExpr)
		if !ok {
			return
		}
		if e.Op.IsSetOperator() {
			visit(e.LHS)
			if e.Op == parser.LOR {
				visit(e.RHS)
			}
			return
		}
		left, right := linear(e.LHS), linear(e.RHS)
		if !e.Op.IsComparisonOperator() || e.Op == parser.EQLC || (left.scale == 0) == (right.scale == 0) {
			return
		}
		compared, number := e.LHS, right.constant
		if left.scale == 0 {
			compared, number = e.RHS, left.constant
		}
		for _, selector := range values(compared) {
			if role := c.series.role(selector); role == metric.Counter || role == metric.Bucket {
				c.reportIn(q, int(selector.PosRange.Start), "metric/type", "%s compares %s with %v, but it is a counter, which only rises until its target restarts: compare its rate() or increase()",
					q.owner, promql.NameOf(selector), number)
			}
		}
	}
	visit(q.expr)
}

// values returns the selectors whose values, as they are, make the value of an expression: through sums, extremes and
// scaling, but not through functions.
func values(expr parser.Expr) []*parser.VectorSelector {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return []*parser.VectorSelector{e}
	case *parser.MatrixSelector:
		return values(e.VectorSelector)
	case *parser.ParenExpr:
		return values(e.Expr)
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.SUM, parser.MAX, parser.MIN, parser.AVG, parser.TOPK, parser.BOTTOMK:
			return values(e.Expr)
		}
	case *parser.BinaryExpr:
		if e.Op == parser.MUL || e.Op == parser.DIV {
			switch {
			case linear(e.RHS).scale == 0:
				return values(e.LHS)
			case linear(e.LHS).scale == 0 && e.Op == parser.MUL:
				return values(e.RHS)
			}
		}
	}
	return nil
}

// rated returns the selectors whose rates, or values, make the value of an expression.
func rated(expr parser.Expr) []*parser.VectorSelector {
	switch e := promql.Bare(expr).(type) {
	case *parser.Call:
		if slices.Contains(ofCounters, e.Func.Name) {
			return values(e.Args[0])
		}
	case *parser.AggregateExpr:
		if e.Op == parser.SUM {
			return rated(e.Expr)
		}
	}
	return values(expr)
}

// role returns what is known of a selector's values; empty where nothing is.
func (s *series) role(e *parser.VectorSelector) metric.Role {
	name := promql.NameOf(e)
	if s.inventory == nil || s.recordings[name] {
		return ""
	}
	found, _ := s.inventory.Series(name)
	return found.Role
}
