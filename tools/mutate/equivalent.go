package mutate

import (
	"fmt"
	"time"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/witness"
)

// Equivalent returns why no input can distinguish a mutant from the original, or "" if that is not known.
func (m Mutant) Equivalent() string {
	before, err := promql.ParseExpr(m.Original.Expr)
	if err != nil {
		return ""
	}
	facts := promql.Analyze(before, nil, promql.Sure).Of(before)
	switch m.Field {
	case "expr":
		after, err := promql.ParseExpr(m.Mutated.Expr)
		if err != nil {
			return ""
		}
		switch {
		case promql.Canonical(before) == promql.Canonical(after):
			return "the expression is the same once constants are computed"
		case promql.Same(before, after, promql.SeriesValue, promql.Sure):
			return "both expressions have the same result for any input"
		case witness.ShowsValue(m.Original):
			return ""
		case !promql.Same(before, after, promql.Series, promql.Sure):
		case facts.Present:
			return "it fires for any input and shows no value"
		default:
			return "both expressions hold for the same series, and the alert shows no value"
		}
	case "for", "keep_firing_for":
		from, to := m.Original.For, m.Mutated.For
		if m.Field == "keep_firing_for" {
			from, to = m.Original.KeepFiringFor, m.Mutated.KeepFiringFor
		}
		switch every := m.every(); {
		case evaluations(from, every) != evaluations(to, every):
		case m.Field == "for":
			return fmt.Sprintf("evaluated every %s, both fire at the same evaluation", every)
		default:
			return fmt.Sprintf("evaluated every %s, both clear at the same evaluation", every)
		}
	case "labels.severity":
		if m.Original.Labels["severity"] == m.Mutated.Labels["severity"] {
			return "the severity is the same"
		}
	default: // an annotation
		if !facts.Labels.May(m.From) && !facts.Labels.May(m.To) {
			return fmt.Sprintf("the alert has neither the label %s nor %s", m.From, m.To)
		}
	}
	return ""
}

// evaluations returns how many intervals a duration takes.
func evaluations(hold, every time.Duration) int64 { return int64((hold + every - 1) / every) }

// isUsuallyEquivalent reports whether no input can distinguish a mutant from the original as far as exporters do as usual:
// a sum of what is never negative is over 0 where the largest is.
func (m Mutant) isUsuallyEquivalent() bool {
	before, err := promql.ParseExpr(m.Original.Expr)
	after, other := promql.ParseExpr(m.Mutated.Expr)
	if err != nil || other != nil || m.Field != "expr" {
		return false
	}
	need := promql.Series
	if witness.ShowsValue(m.Original) {
		need = promql.SeriesValue
	}
	return promql.Same(before, after, need, promql.Usual)
}
