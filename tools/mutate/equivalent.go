package mutate

import (
	"fmt"
	"regexp"
	"time"

	"github.com/stemedb/firedrill/tools/witness"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// Equivalent returns why no input can distinguish a mutant from the original, or "" if that is not known.
func (m Mutant) Equivalent() string {
	switch m.Field {
	case "expr":
		before, err := promql.ParseExpr(m.Original.Expr)
		if err != nil {
			return ""
		}
		after, err := promql.ParseExpr(m.Mutated.Expr)
		if err == nil && promql.Canonical(before) == promql.Canonical(after) {
			return "the expression is the same once constants are computed"
		}
		if err == nil && promql.Always(before) && promql.Always(after) && !showsValue(m.Original) {
			return "it fires for any input and shows no value"
		}
	case "for":
		every := m.Original.Interval
		if every == 0 {
			every = witness.DefaultInterval
		}
		if evaluations(m.Original.For, every) == evaluations(m.Mutated.For, every) {
			return fmt.Sprintf("evaluated every %s, both fire at the same evaluation", every)
		}
	case "labels.severity":
		if m.Original.Labels["severity"] == m.Mutated.Labels["severity"] {
			return "the severity is the same"
		}
	}
	return ""
}

// valueInTemplate matches templates that use the value, or the whole data.
var valueInTemplate = regexp.MustCompile(`\$value|\.Value|\{\{-?\s*\.\s*-?\}\}`)

func showsValue(a rule.Alert) bool {
	for _, texts := range []map[string]string{a.Labels, a.Annotations} {
		for _, text := range texts {
			if valueInTemplate.MatchString(text) {
				return true
			}
		}
	}
	return false
}

// evaluations returns how many intervals a for takes.
func evaluations(hold, every time.Duration) int64 { return int64((hold + every - 1) / every) }
