package check

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/metric"
	"github.com/stemedb/firedrill/tools/promql"
)

// fix says what to do about a part of an expression that never has a result.
func fix(r promql.Reason) string {
	switch r.Kind {
	case promql.Matching:
		if r.Differ {
			return "match ignoring (" + r.Label + ")"
		}
		return "keep " + r.Label + " on both sides, or match on labels that both have"
	case promql.Matchers:
		return "fix the matcher"
	case promql.Shadowed:
		return "remove it, or exchange the sides of or"
	case promql.Itself:
		return "fix one of the two sides"
	case promql.Recorded:
		return "fix that rule"
	case promql.Ambiguous:
		return "match by " + r.Label + " too, aggregate it away before, or say with group_left or group_right which side has many"
	case promql.Useless:
		return "take it out, or fix what it was meant for"
	case promql.Poisoned:
		return "aggregate both sides before the division, or divide by what is above 0 only, as in x / (y > 0)"
	}
	if e, ok := r.At.(*parser.BinaryExpr); ok {
		if counted, ok := promql.Bare(e.LHS).(*parser.AggregateExpr); ok && counted.Op == parser.COUNT {
			return "a count of no series has no result, rather than 0: use absent(), or count() or vector(0)"
		}
		for _, side := range []parser.Expr{e.LHS, e.RHS} {
			if call, ok := promql.Bare(side).(*parser.Call); ok && call.Func.Name == "histogram_quantile" {
				if phi, ok := promql.Constant(call.Args[0]); ok && phi >= 0 && phi <= 1 {
					return "a quantile is not above the last finite bucket: compare it with less, or export larger buckets"
				}
			}
		}
	}
	return "fix the comparison"
}

// meaning demands that each part of an expression can have a result. What follows from the text alone is an error; what
// rests on exporters doing as usual is a warning.
func (c *checker) meaning(q query) {
	for _, by := range []promql.Knowledge{promql.Sure, promql.Usual} {
		for _, r := range promql.Analyze(q.expr, c.series.rules, by).Reasons() {
			if c.missing[r.At] {
				continue
			}
			c.missing[r.At] = true
			c.contradiction(q, r, by)
		}
	}
	for _, r := range promql.Analyze(q.expr, c.series.rules, promql.Sure).Slips() {
		c.slip(q, r)
	}
	parser.Inspect(q.expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.AggregateExpr:
			if e.Op == parser.QUANTILE {
				c.share(q, e.Param)
			}
		case *parser.Call:
			c.call(q, e)
		case *parser.BinaryExpr:
			c.counters(q, e)
		case *parser.VectorSelector:
			c.regexps(q, e)
			c.ofAlerts(q, e)
		}
		return nil
	})
}

// contradiction reports why a part of an expression never has a result.
func (c *checker) contradiction(q query, r promql.Reason, by promql.Knowledge) {
	switch {
	case r.Kind == promql.Buckets && c.series != nil && c.series.inventory != nil: // metric/type says so
	case r.Kind == promql.Buckets:
		c.reportSpan(q, whole(r), by, "expr/function", "%s takes a quantile of %s without its label le: keep le in the aggregation", q.owner, r.Metric)
	case r.Kind == promql.Matching:
		c.reportSpan(q, whole(r), by, "expr/matching", "%s: in %s, %s: %s", q.owner, promql.Excerpt(r.At), r.Text, fix(r))
	default:
		c.reportSpan(q, whole(r), by, "expr/never", "%s: %s: %s", q.owner, r.Text, fix(r))
	}
}

// slip reports a part that can have a result, but not the one that it is written for.
func (c *checker) slip(q query, r promql.Reason) {
	switch {
	case r.Kind == promql.Ambiguous:
		c.reportSpan(q, whole(r), promql.Usual, "expr/matching", "%s: %s: %s", q.owner, r.Text, fix(r))
	case r.Kind == promql.Poisoned:
		c.reportSpan(q, whole(r), promql.Usual, "expr/nan", "%s: %s: %s", q.owner, r.Text, fix(r))
	case r.Label == "" || c.series.inventory == nil: // metric/label tells of labels that are missing
		c.reportSpan(q, whole(r), promql.Usual, "expr/useless", "%s: %s: %s", q.owner, r.Text, fix(r))
	}
}

// whole is the text from the one of two things to the other.
func whole(r promql.Reason) posrange.PositionRange {
	return posrange.PositionRange{Start: min(r.First.Start, r.Second.Start), End: max(r.First.End, r.Second.End)}
}

// reportSpan reports on a part of an expression.
func (c *checker) reportSpan(q query, span posrange.PositionRange, by promql.Knowledge, check, format string, args ...any) {
	p := place{file: q.file}
	p.line, p.column = q.at(int(span.Start))
	if line, column := q.at(int(span.End) - 1); line == p.line && column >= p.column {
		p.end = column + 1
	}
	c.reportPlace(p, check, format, args...)
	c.findings[len(c.findings)-1].Alert = q.alert
	if by == promql.Usual {
		c.findings[len(c.findings)-1].Severity = finding.Warning
	}
}

// share demands that a quantile is a number between 0 and 1.
func (c *checker) share(q query, phi parser.Expr) {
	v, ok := promql.Constant(phi)
	if !ok || v >= 0 && v <= 1 {
		return
	}
	instead := "a number between 0 and 1"
	if v > 1 && v <= 100 {
		instead = strconv.FormatFloat(v/100, 'g', -1, 64)
	}
	c.reportSpan(q, phi.PositionRange(), promql.Sure, "expr/function", "%s takes the quantile %v, which is not between 0 and 1, so that it is always %v: write %s",
		q.owner, v, math.Inf(int(math.Copysign(1, v))), instead)
}

var ofRates = []string{"rate", "increase", "irate"}

// gaugeSuffixes end the names of gauges that are moments.
var gaugeSuffixes = []string{"_timestamp", "_timestamp_seconds", "_start_time_seconds"}

// call demands that a function is given what it is for, as far as the names of metrics tell.
func (c *checker) call(q query, e *parser.Call) {
	name := e.Func.Name
	switch {
	case name == "histogram_quantile":
		c.share(q, e.Args[0])
		for _, selector := range values(e.Args[1]) {
			metric := promql.NameOf(selector)
			if strings.HasSuffix(metric, "_bucket") && c.series.isRaw(metric) {
				c.reportSpan(q, selector.PosRange, promql.Usual, "expr/function", "%s takes a quantile of %s as it is, which counts since its target started: take its rate() first", q.owner, metric)
			}
		}
	case name == "quantile_over_time":
		c.share(q, e.Args[0])
	case slices.Contains(ofGauges, name):
		if arg, ok := e.Args[0].(*parser.MatrixSelector); ok && c.series.inventory == nil { // else metric/type knows
			if metric, ok := c.series.counter(arg); ok {
				c.reportSpan(q, arg.PositionRange(), promql.Usual, "expr/function", "%s takes the %s() of %s, which by its name is a counter and falls to 0 when its target restarts: use rate() or increase()", q.owner, name, metric)
			}
		}
	case slices.Contains(ofRates, name):
		switch arg := e.Args[0].(type) {
		case *parser.MatrixSelector:
			selector := arg.VectorSelector.(*parser.VectorSelector)
			metric := promql.NameOf(selector)
			isMoment := func(suffix string) bool { return strings.HasSuffix(metric, suffix) }
			if slices.ContainsFunc(gaugeSuffixes, isMoment) && c.series.isRaw(metric) && c.series.role(selector) == "" {
				c.reportSpan(q, selector.PosRange, promql.Usual, "expr/function", "%s takes the %s() of %s, which by its name is a moment and no counter: use changes(), or compare it with time()", q.owner, name, metric)
			}
			for _, r := range c.series.knowledge.Recorded(metric) {
				if summed, ok := sumOfCounters(r.Expr); ok {
					c.reportSpan(q, selector.PosRange, promql.Usual, "expr/function", "%s takes the %s() of %s, which %s records as a sum of %s: when one target restarts, the sum falls as if all had; take the %s() first, then the sum",
						q.owner, name, metric, r.Place, summed, name)
					break
				}
			}
		case *parser.SubqueryExpr:
			if summed, ok := sumOfCounters(arg.Expr); ok {
				c.reportSpan(q, arg.PositionRange(), promql.Usual, "expr/function", "%s takes the %s() of a sum of %s: when one target restarts, the sum falls as if all had; take the %s() first, then the sum",
					q.owner, name, summed, name)
			}
		}
	}
}

// sumOfCounters reports whether an expression is a sum of a counter's values, as its name says, and names it.
func sumOfCounters(expr parser.Expr) (metric string, ok bool) {
	e, ok := promql.Bare(expr).(*parser.AggregateExpr)
	if !ok || e.Op != parser.SUM {
		return "", false
	}
	for _, selector := range values(e.Expr) {
		if name := promql.NameOf(selector); strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_bucket") {
			return name, true
		}
	}
	return "", false
}

// isRaw reports whether a metric is not recorded by a rule.
func (s *series) isRaw(metric string) bool {
	return !s.recordings[metric] && !strings.Contains(metric, ":")
}

// overridden demands that no label of a rule takes the place of one that its expression groups by: as soon as two series
// differ in it alone, the rule fails.
func (c *checker) overridden(q query, labels map[string]string, at func(label string) (line, column int)) {
	aggregate := outermost(q.expr)
	if aggregate == nil || aggregate.Without {
		return
	}
	has := c.series.of(q.expr)
	for label, text := range labels {
		_, fixed := has.Fixed(label)
		if !slices.Contains(aggregate.Grouping, label) || fixed || strings.Contains(text, "{{") {
			continue
		}
		line, column := at(label)
		c.report("rule/override", q.file, line, column, "%s groups by %s, and the rule's label %s=%q takes its place: as soon as there are two series that differ in %s alone, the rule fails; name the label differently, or do not group by it",
			q.owner, label, label, text, label)
	}
}

// outermost returns the aggregation whose series an expression's are, or nil.
func outermost(expr parser.Expr) *parser.AggregateExpr {
	switch e := promql.Bare(expr).(type) {
	case *parser.AggregateExpr:
		return e
	case *parser.BinaryExpr:
		if e.LHS.Type() == parser.ValueTypeVector {
			return outermost(e.LHS)
		}
		return outermost(e.RHS)
	case *parser.Call:
		for _, arg := range e.Args {
			if arg.Type() == parser.ValueTypeVector && e.Func.Name != "absent" && e.Func.Name != "vector" {
				return outermost(arg)
			}
		}
	}
	return nil
}

// counters demands that what is divided by a counter is not another as it is: both count since their targets started, so
// that what happens now hardly changes the quotient.
func (c *checker) counters(q query, e *parser.BinaryExpr) {
	if e.Op != parser.DIV {
		return
	}
	left, ok := c.series.counter(e.LHS)
	right, also := c.series.counter(e.RHS)
	if ok && also {
		c.reportSpan(q, e.PositionRange(), promql.Usual, "expr/function", "%s divides %s by %s, which count since their targets started: divide the rate() of the one by that of the other", q.owner, left, right)
	}
}

// counter returns the name of a counter whose values, as they are, make those of an expression: by its type or, where
// that is not known, by its name.
func (s *series) counter(expr parser.Expr) (string, bool) {
	for _, selector := range values(expr) {
		name := promql.NameOf(selector)
		role := s.role(selector)
		if role == metric.Counter || role == "" && s.isRaw(name) && strings.HasSuffix(name, "_total") {
			return name, true
		}
	}
	return "", false
}
