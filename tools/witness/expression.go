package witness

import (
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// selectorsIn yields the selectors in an expression.
func selectorsIn(expr parser.Node) func(func(*parser.VectorSelector) bool) {
	return func(yield func(*parser.VectorSelector) bool) {
		going := true
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if s, ok := node.(*parser.VectorSelector); ok && going {
				going = yield(s)
			}
			return nil
		})
	}
}

// calendar are the functions of the time of day and the date.
var calendar = []string{"hour", "minute", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year"}

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

// Suggested returns values of a label that a matcher names: those that it selects or excludes.
func Suggested(m *labels.Matcher) []string {
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		return []string{m.Value}
	}
	all := m.SetMatches()
	if re, err := syntax.Parse(m.Value, syntax.Perl); err == nil {
		all = append(all, example(re))
	}
	return all
}

// example returns a short text that a regular expression matches, for common expressions.
func example(re *syntax.Regexp) string {
	var b strings.Builder
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		for _, nice := range "a1A" {
			for i := 0; i+1 < len(re.Rune); i += 2 {
				if re.Rune[i] <= nice && nice <= re.Rune[i+1] {
					return string(nice)
				}
			}
		}
		if len(re.Rune) > 0 {
			b.WriteRune(re.Rune[0])
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteRune('0')
	case syntax.OpCapture, syntax.OpPlus:
		b.WriteString(example(re.Sub[0]))
	case syntax.OpRepeat:
		b.WriteString(strings.Repeat(example(re.Sub[0]), re.Min))
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			b.WriteString(example(sub))
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if text := example(sub); text != "" {
				return text
			}
		}
	}
	return b.String()
}
