package witness

import (
	"cmp"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/rule"
)

// labeler finds labels of one series for each selector of an expression.
type labeler struct {
	selectors []*parser.VectorSelector
	needed    map[*parser.VectorSelector]map[string]bool // labels in groupings, vector matching and templates
	fixed     map[string]string                          // values that the expression names
}

var shown = regexp.MustCompile(`(?:\$labels|\.Labels)\.([a-zA-Z_]\w*)`)

func newLabeler(alert rule.Alert, expr parser.Expr) *labeler {
	l := &labeler{needed: map[*parser.VectorSelector]map[string]bool{}, fixed: map[string]string{}}
	everywhere := map[string]bool{}
	for _, texts := range []map[string]string{alert.Annotations, alert.Labels} {
		for _, text := range texts {
			for _, m := range shown.FindAllStringSubmatch(text, -1) {
				if m[1] != labels.AlertName {
					everywhere[m[1]] = true
				}
			}
		}
	}
	for s := range selectorsIn(expr) {
		l.selectors = append(l.selectors, s)
		l.needed[s] = maps.Clone(everywhere)
		for _, m := range s.LabelMatchers {
			for _, v := range suggested(m) {
				if m.Type != labels.MatchNotEqual && m.Type != labels.MatchNotRegexp && v != "" && m.Matches(v) && l.fixed[m.Name] == "" {
					l.fixed[m.Name] = v
				}
			}
		}
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.AggregateExpr:
			if !n.Without {
				l.need(n.Expr, n.Grouping)
			}
		case *parser.Call:
			if (n.Func.Name == "label_replace" || n.Func.Name == "label_join") && len(n.Args) > 3 {
				for _, arg := range n.Args[3:] {
					if source, ok := arg.(*parser.StringLiteral); ok && source.Val != "" {
						l.need(n.Args[0], []string{source.Val})
						break
					}
				}
			}
		case *parser.BinaryExpr:
			l.match(n)
		}
		return nil
	})
	return l
}

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

func (l *labeler) need(below parser.Expr, names []string) {
	for s := range selectorsIn(below) {
		for _, name := range names {
			if name != labels.MetricName && name != "le" {
				l.needed[s][name] = true
			}
		}
	}
}

// match adds the labels by which vector matching joins both sides.
func (l *labeler) match(n *parser.BinaryExpr) {
	m := n.VectorMatching
	if m == nil {
		return
	}
	if m.On {
		l.need(n.LHS, m.MatchingLabels)
		l.need(n.RHS, m.MatchingLabels)
	} else {
		left, right := carried(n.LHS), carried(n.RHS)
		for _, side := range []struct {
			expr parser.Expr
			from map[string]bool
		}{{n.LHS, right}, {n.RHS, left}} {
			for name := range side.from {
				if !slices.Contains(m.MatchingLabels, name) {
					l.need(side.expr, []string{name})
				}
			}
		}
	}
	switch m.Card {
	case parser.CardManyToOne:
		l.need(n.RHS, m.Include)
	case parser.CardOneToMany:
		l.need(n.LHS, m.Include)
	}
}

// carried returns the labels that matchers require of the series of an expression and that no aggregation removes.
func carried(expr parser.Expr) map[string]bool {
	names := map[string]bool{}
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		s, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		for _, m := range s.LabelMatchers {
			if m.Name == labels.MetricName || m.Name == "le" || m.Matches("") {
				continue
			}
			kept := true
			for _, above := range path {
				if a, ok := above.(*parser.AggregateExpr); ok {
					kept = kept && slices.Contains(a.Grouping, m.Name) != a.Without
				}
			}
			if kept {
				names[m.Name] = true
			}
		}
		return nil
	})
	return names
}

// of returns the labels of a series that s selects and, if possible, no stricter selector of the same metric does. It
// returns false where no value is found that a regular expression matches.
func (l *labeler) of(s *parser.VectorSelector) (labels.Labels, bool) {
	values := map[string]string{}
	names := maps.Clone(l.needed[s])
	for _, m := range s.LabelMatchers {
		names[m.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		value, ok := l.value(s, name, func(string) bool { return true })
		if !ok {
			return labels.EmptyLabels(), false
		}
		values[name] = value
	}
	for _, other := range l.selectors {
		if sameSelector(s, other) || !labels.Selector(other.LabelMatchers).Matches(labels.FromMap(values)) || !narrower(other, s) {
			continue
		}
		for _, m := range other.LabelMatchers {
			if m.Name == labels.MetricName {
				continue
			}
			if value, ok := l.value(s, m.Name, func(v string) bool { return !m.Matches(v) }, suggested(m)...); ok {
				values[m.Name] = value
				break
			}
		}
	}
	maps.DeleteFunc(values, func(_, v string) bool { return v == "" })
	return labels.FromMap(values), true
}

// narrower reports whether a has more matchers than b.
func narrower(a, b *parser.VectorSelector) bool { return len(a.LabelMatchers) > len(b.LabelMatchers) }

// suggested returns values of a label that a matcher names: those that it selects or excludes.
func suggested(m *labels.Matcher) []string {
	if m.Type == labels.MatchEqual || m.Type == labels.MatchNotEqual {
		return []string{m.Value}
	}
	all := m.SetMatches()
	if re, err := syntax.Parse(m.Value, syntax.Perl); err == nil {
		all = append(all, example(re))
	}
	return all
}

// value finds a value that fits for one label of a series that s selects, trying the candidates first.
func (l *labeler) value(s *parser.VectorSelector, name string, fits func(string) bool, candidates ...string) (string, bool) {
	constrained := false
	for _, m := range s.LabelMatchers {
		if m.Name != name {
			continue
		}
		constrained = true
		if m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp {
			candidates = append(candidates, suggested(m)...)
		}
	}
	if !constrained || l.needed[s][name] {
		candidates = append(candidates, l.fixed[name])
	}
	general := []string{cmp.Or(commonValues[name], name+"-1"), "other", "1", "200", "x"}
	if constrained && !l.needed[s][name] {
		general = append([]string{""}, general...)
	}
	for _, v := range append(candidates, general...) {
		ok := fits(v) && (v != "" || !l.needed[s][name] || constrained)
		for _, m := range s.LabelMatchers {
			ok = ok && (m.Name != name || m.Matches(v)) && (name != labels.MetricName || model.LegacyValidation.IsValidMetricName(v))
		}
		if ok {
			return v, true
		}
	}
	return "", false
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

// sameSelector reports whether two selectors select the same series.
func sameSelector(a, b *parser.VectorSelector) bool { return key(a) == key(b) }

// key is a selector without offset and @ modifier.
func key(s *parser.VectorSelector) string {
	var words []string
	for _, m := range s.LabelMatchers {
		words = append(words, m.String())
	}
	slices.Sort(words)
	return strings.Join(words, ",")
}
