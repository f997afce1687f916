package check

import (
	"maps"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/finding"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// recordedTwice finds the rules of a file that record the same metric with the same labels, where nothing keeps their
// series apart: where both have a sample, one of the two is lost. Rules that ask for a common metric are taken for parts
// of one, whose series differ.
func (c *checker) recordedTwice(rules []rule.Recording, parsed []promql.Recording) {
	if len(rules) != len(parsed) {
		return
	}
	for i, second := range rules {
		for j, first := range rules[:i] {
			if first.Name != second.Name || first.File != second.File || !maps.Equal(first.Labels, second.Labels) {
				continue
			}
			line, column := second.At("record", 0)
			switch {
			case promql.Canonical(parsed[i].Expr) == promql.Canonical(parsed[j].Expr):
				c.report("record/duplicate", second.File, line, column, "%s is recorded at line %d already, with the same labels and the same expression: remove one of the two", second.Name, first.Line)
			case promql.Apart(parsed[i].Expr, parsed[j].Expr, c.series.knowledge), haveCommonMetric(parsed[i].Expr, parsed[j].Expr):
				continue
			default:
				c.report("record/duplicate", second.File, line, column, "%s is recorded at line %d too, with the same labels and another expression: where both have a series with the same labels, one of the two samples is lost; give one another name, or another label", second.Name, first.Line)
				c.findings[len(c.findings)-1].Severity = finding.Warning
			}
			break
		}
	}
}

// haveCommonMetric reports whether two expressions ask for the same metric.
func haveCommonMetric(one, other parser.Expr) bool {
	asked := map[string]bool{}
	common := false
	for i, expr := range []parser.Expr{one, other} {
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if s, ok := node.(*parser.VectorSelector); ok {
				common = common || i == 1 && asked[promql.NameOf(s)]
				asked[promql.NameOf(s)] = asked[promql.NameOf(s)] || i == 0
			}
			return nil
		})
	}
	return common
}
