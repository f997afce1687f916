package check

import (
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"

	"github.com/stemedb/firedrill/tools/nearest"
	"github.com/stemedb/firedrill/tools/promql"
)

// regexps demands that a regular expression does more than a comparison would, and is not anchored twice.
func (c *checker) regexps(q query, e *parser.VectorSelector) {
	for _, m := range e.LabelMatchers {
		if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp || strings.Contains(m.Value, unknownText) {
			continue
		}
		why, fix := needless(m)
		if why == "" {
			continue
		}
		span := e.PosRange
		if text := q.source[span.Start:min(int(span.End), len(q.source))]; strings.Contains(text, m.Value) {
			at := wordIn(text, m.Name, strings.Index(text, "{"))
			if end := strings.Index(text[at:], m.Value); end >= 0 {
				span = posrange.PositionRange{Start: span.Start + posrange.Pos(at), End: span.Start + posrange.Pos(at+end+len(m.Value)+1)}
			}
		}
		c.reportSpan(q, span, promql.Sure, "expr/regexp", "%s asks for %s, %s: %s", q.owner, m, why, fix)
	}
}

// needless says why a matcher need not be a regular expression, or not as it is, and what to do; empty where it must.
func needless(m *labels.Matcher) (why, fix string) {
	tree, err := syntax.Parse(m.Value, syntax.Perl|syntax.DotNL)
	if err != nil {
		return "", ""
	}
	bare, anchored := unanchored(m.Value)
	literal, isLiteral := literalOf(tree)
	op := labels.MatchEqual
	if m.Type == labels.MatchNotRegexp {
		op = labels.MatchNotEqual
	}
	switch {
	case m.Value == "":
	case anchored && isLiteral:
		return "whose anchors are needless, as without them it is one text", "write " + m.Name + op.String() + strconv.Quote(literal)
	case isLiteral:
		return "which is one text and no pattern", "write " + m.Name + op.String() + strconv.Quote(literal)
	case anchored:
		return "whose anchors are needless, as Prometheus anchors every pattern", "write " + m.Name + m.Type.String() + strconv.Quote(bare)
	case m.Type == labels.MatchRegexp && (m.Value == ".*" || m.Value == "(.*)") && m.Name != model.MetricNameLabel:
		return "which matches everything", "take it out, or write .+ if the label is to be there"
	}
	return "", ""
}

// unanchored is a pattern without the anchors at both ends of it or at one; false where it has none.
func unanchored(pattern string) (string, bool) {
	bare := strings.TrimPrefix(pattern, "^")
	if strings.HasSuffix(bare, "$") && !strings.HasSuffix(bare, `\$`) {
		bare = strings.TrimSuffix(bare, "$")
	}
	if strings.ContainsAny(bare, "|^$") { // an alternative: ^ and $ belong to one of them
		return pattern, false
	}
	return bare, bare != pattern
}

// literalOf returns the one text that a pattern matches; false where it matches several.
func literalOf(tree *syntax.Regexp) (string, bool) {
	switch tree.Op {
	case syntax.OpLiteral:
		return string(tree.Rune), tree.Flags&syntax.FoldCase == 0
	case syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpEmptyMatch:
		return "", true
	case syntax.OpCapture:
		return literalOf(tree.Sub[0])
	case syntax.OpConcat:
		var text strings.Builder
		for _, sub := range tree.Sub {
			part, ok := literalOf(sub)
			if !ok {
				return "", false
			}
			text.WriteString(part)
		}
		return text.String(), true
	}
	return "", false
}

// ofAlerts demands that a selector of ALERTS or ALERTS_FOR_STATE names an alert that a rule raises.
func (c *checker) ofAlerts(q query, e *parser.VectorSelector) {
	if name := promql.NameOf(e); name != "ALERTS" && name != "ALERTS_FOR_STATE" {
		return
	}
	var names []string
	for _, alert := range c.alerts {
		names = append(names, alert.Name)
	}
	for _, m := range e.LabelMatchers {
		if m.Name != model.AlertNameLabel || m.Matches("") || slices.ContainsFunc(names, m.Matches) {
			continue
		}
		fix := "fix the name"
		if near := nearest.Within(max(1, len(m.Value)/4), m.Value, names); near != "" && m.Type == labels.MatchEqual {
			fix = "did you mean " + near + "?"
		}
		c.reportSpan(q, e.PosRange, promql.Usual, "expr/never", "%s: no rule here raises an alert that meets %s: %s", q.owner, m, fix)
	}
}
