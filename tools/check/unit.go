package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

var (
	// shownValue finds where a template shows the value: its format, its functions, and the unit behind it.
	shownValue = regexp.MustCompile(`\{\{-?\s*(?:printf\s+"((?:[^"\\]|\\.)*)"\s+|(humanize\w*)\s+)?(?:\$value|\.Value)\s*((?:\|[^}]*)?)-?\}\}(?:[ \t]?(%)|[ \t]?(percent|ms|milliseconds|s|seconds|minutes|h|hours|days)\b)?`)
	humanizer  = regexp.MustCompile(`humanize\w*`)
	formatText = regexp.MustCompile(`printf\s+"((?:[^"\\]|\\.)*)"`)
)

// scales are the units of times that can stand behind a value.
var scales = map[string]float64{"ms": 0.001, "milliseconds": 0.001, "s": 1, "seconds": 1, "minutes": 60, "h": 3600, "hours": 3600, "days": 86400}

// shownUnits demands that the templates of an alert show the value in its unit.
func (c *checker) shownUnits(alert rule.Alert, expr parser.Expr) {
	u := promql.UnitOf(expr, c.known()).Share()
	for field, texts := range map[string]map[string]string{"labels": alert.Labels, "annotations": alert.Annotations} {
		for _, name := range slices.Sorted(maps.Keys(texts)) {
			text := texts[name]
			if strings.Contains(text, "$value :=") || strings.Contains(text, "$value =") {
				continue
			}
			for _, m := range shownValue.FindAllStringSubmatchIndex(text, -1) {
				part := func(i int) string {
					if m[2*i] < 0 {
						return ""
					}
					return text[m[2*i]:m[2*i+1]]
				}
				format := part(1)
				if f := formatText.FindStringSubmatch(part(3)); f != nil {
					format = f[1]
				}
				function := part(2) + humanizer.FindString(part(3))
				behind := part(4) + part(5)
				if strings.Contains(format, "%%") || behind == "percent" {
					behind = "%"
				}
				why, fix := misread(u, function, behind, numberOf(expr))
				if why == "" {
					continue
				}
				c.reportRange(alert, field+"."+name, m[0], m[1], "template/unit", "the %s %q of %s shows its value by %q, but %s %s: %s",
					strings.TrimSuffix(field, "s"), name, alert.Name, strings.TrimSpace(text[m[0]:m[1]]), promql.Excerpt(valueOf(expr)), why, fix)
				if !calculates(expr) { // the unit is that of the metric's name
					c.findings[len(c.findings)-1].Severity = finding.Warning
				}
				break
			}
		}
	}
}

// misread says why a value of a unit is shown wrongly by a function, or with a unit behind it, and what to do; empty where
// it is not. Number is what the value is compared with.
func misread(u promql.Unit, function, behind string, number float64) (why, fix string) {
	is := map[promql.Quantity]string{promql.Time: "is a time", promql.Moment: "is a moment", promql.Bytes: "is a size", promql.Ratio: "is a ratio"}[u.Of]
	isPercent := u.Of == promql.Ratio && u.Scale > 0.009 && u.Scale < 0.011
	switch {
	case u.Of == "" || u.Rate:
		return "", ""
	case function == "humanizePercentage" && isPercent:
		return "is a percentage already, and is shown 100 times too high", "show it by printf \"%.2f\" and a %, or take * 100 out"
	case function == "humanizePercentage" && u.Of != promql.Ratio:
		return is, "show it by " + humanizerOf(u)
	case function == "humanizeDuration" && u.Of == promql.Time && u.Scale != 1:
		return fmt.Sprintf("is not in seconds, but in units of %gs", u.Scale), "convert it to seconds, or leave humanizeDuration out"
	case function == "humanizeDuration" && u.Of != promql.Time && !u.Likely:
		return is, "show it by " + humanizerOf(u)
	case function == "humanizeTimestamp" && u.Of != promql.Moment && !u.Likely:
		return is, "show it by " + humanizerOf(u)
	case function == "humanize1024" && u.Of != promql.Bytes && !u.Likely:
		return is, "show it by " + humanizerOf(u)
	case function == "humanize1024" && u.Of == promql.Bytes && u.Scale != 1:
		return fmt.Sprintf("is not in bytes, but in units of %g bytes", u.Scale), "convert it to bytes, or leave humanize1024 out"
	case function == "" || function == "humanize":
		scale, isTime := scales[behind]
		switch {
		case behind == "%" && u == (promql.Unit{Of: promql.Ratio, Scale: 1}) && number > 2:
			return fmt.Sprintf("is called a ratio, of which %g is %g%%", number, 100*number), fmt.Sprintf("compare with %g and show it by humanizePercentage, or call it a percentage", number/100)
		case behind == "%" && u.Of == promql.Ratio && u.Scale == 1 && (!u.Likely || number > 0 && number <= 1):
			return "is a ratio, of which 1 is 100%", "show it by humanizePercentage"
		case isTime && u.Of == promql.Time && u.Scale != scale && function == "":
			return fmt.Sprintf("is in units of %gs", u.Scale), "write that unit, or show it by humanizeDuration in seconds"
		}
	}
	return "", ""
}

// humanizerOf is the function that shows values of a unit.
func humanizerOf(u promql.Unit) string {
	return map[promql.Quantity]string{promql.Time: "humanizeDuration", promql.Moment: "humanizeTimestamp", promql.Bytes: "humanize1024", promql.Ratio: "humanizePercentage"}[u.Of]
}

// valueOf is the part of an expression whose value an alert has.
func valueOf(expr parser.Expr) parser.Expr {
	e, ok := promql.Bare(expr).(*parser.BinaryExpr)
	switch {
	case !ok:
		return expr
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return valueOf(e.LHS)
	case e.Op.IsComparisonOperator() && !e.ReturnBool && e.LHS.Type() == parser.ValueTypeScalar:
		return valueOf(e.RHS)
	case e.Op.IsComparisonOperator() && !e.ReturnBool:
		return valueOf(e.LHS)
	}
	return expr
}

// numberOf is the number that an alert's value is compared with; 0 where there is none.
func numberOf(expr parser.Expr) float64 {
	e, ok := promql.Bare(expr).(*parser.BinaryExpr)
	switch {
	case !ok:
		return 0
	case e.Op == parser.LAND || e.Op == parser.LUNLESS:
		return numberOf(e.LHS)
	case !e.Op.IsComparisonOperator():
		return 0
	}
	if l, ok := promql.Constant(e.LHS); ok {
		return l
	}
	r, _ := promql.Constant(e.RHS)
	return r
}

// calculates reports whether an alert's value is more than that of a metric.
func calculates(expr parser.Expr) bool {
	found := false
	parser.Inspect(valueOf(expr), func(node parser.Node, _ []parser.Node) error {
		e, ok := node.(*parser.BinaryExpr)
		found = found || ok && !e.Op.IsSetOperator() && !e.Op.IsComparisonOperator()
		return nil
	})
	return found
}
