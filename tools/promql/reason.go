package promql

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func (a *Analysis) report(kind Kind, at, first, second parser.Expr, format string, args ...any) {
	key := part{at, a.by}
	a.known.reasons[key] = append(a.known.reasons[key], Reason{
		Kind: kind, At: at, First: first.PositionRange(), Second: second.PositionRange(), Text: fmt.Sprintf(format, args...),
	})
}

// resting is what either of the results rests on.
func resting(all ...Facts) (rests []string) {
	for _, f := range all {
		for _, why := range f.rests {
			if !slices.Contains(rests, why) {
				rests = append(rests, why)
			}
		}
	}
	return rests
}

// as ends a sentence with what its claim rests on.
func as(rests []string) string {
	if len(rests) == 0 {
		return ""
	}
	return ", as " + strings.Join(rests, " and ")
}

// Excerpt is an expression on one line, and not too long.
func Excerpt(expr parser.Expr) string {
	const most = 60
	text := []rune(strings.Join(strings.Fields(Bare(expr).String()), " "))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

// cancelled is where a quotient or a difference lies of which nothing is left but a number: x / x, 100 / x * x{a="1"}.
func (a *Analysis) cancelled(e *parser.BinaryExpr) (Interval, bool) {
	if !isPlain(e.VectorMatching) {
		return Interval{}, false
	}
	switch e.Op {
	case parser.SUB:
		if l := a.factor(e.LHS); l != "" && l == a.factor(e.RHS) {
			return point(0).orNaN(), true
		}
	case parser.MUL, parser.DIV:
		p, ok := a.product(e)
		if !ok || len(p.powers) > 0 {
			return Interval{}, false
		}
		if p.steps == 1 {
			return point(p.number).orNaN(), true
		}
		slack := math.Abs(p.number) * 1e-9
		return between(p.number-slack, p.number+slack).orNaN(), true
	}
	return Interval{}, false
}

// isPlain reports whether series match that have the same labels.
func isPlain(m *parser.VectorMatching) bool {
	return m != nil && m.Card == parser.CardOneToOne && !m.On && len(m.MatchingLabels) == 0 && m.FillValues.LHS == nil && m.FillValues.RHS == nil
}

// product is a number times powers of other values of the same series.
type product struct {
	number float64
	powers map[string]int // by factor, without those that are 0
	steps  int
}

func (a *Analysis) product(expr parser.Expr) (product, bool) {
	e, ok := Bare(expr).(*parser.BinaryExpr)
	if ok && (e.Op == parser.MUL || e.Op == parser.DIV) {
		l, lok := a.product(e.LHS)
		r, rok := a.product(e.RHS)
		scaled := e.LHS.Type() == parser.ValueTypeScalar || e.RHS.Type() == parser.ValueTypeScalar
		if !lok || !rok || !scaled && !isPlain(e.VectorMatching) {
			return product{}, false
		}
		sign := 1
		l.number, _ = Compute(e.Op, l.number, r.number)
		if e.Op == parser.DIV {
			sign = -1
		}
		powers := map[string]int{}
		for _, side := range []struct {
			of   product
			sign int
		}{{l, 1}, {r, sign}} {
			for key, n := range side.of.powers {
				if powers[key] += n * side.sign; powers[key] == 0 {
					delete(powers, key)
				}
			}
		}
		return product{l.number, powers, l.steps + r.steps + 1}, true
	}
	if v, ok := Constant(expr); ok {
		return product{number: v}, v != 0 && !math.IsInf(v, 0) && !math.IsNaN(v)
	}
	key := a.factor(expr)
	return product{number: 1, powers: map[string]int{key: 1}}, key != ""
}

// factor is the same text for two expressions that have the same value where their series have the same labels; empty
// where that is not known.
func (a *Analysis) factor(expr parser.Expr) string {
	if s, ok := Bare(expr).(*parser.VectorSelector); ok {
		name := NameOf(s)
		if name == "" {
			return ""
		}
		short := *s
		short.LabelMatchers = nil
		for _, m := range s.LabelMatchers {
			if m.Name == model.MetricNameLabel {
				short.LabelMatchers = append(short.LabelMatchers, m)
			}
		}
		return Canonical(&short)
	}
	if f := a.Of(expr); f.isUnique() && expr.Type() == parser.ValueTypeVector && deterministic(expr) {
		return Canonical(expr)
	}
	return ""
}

// deterministic reports whether an expression has the same value each time that it is evaluated.
func deterministic(expr parser.Expr) bool {
	ok := true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if agg, is := node.(*parser.AggregateExpr); is && (agg.Op == parser.LIMITK || agg.Op == parser.LIMIT_RATIO) {
			ok = false
		}
		return nil
	})
	return ok
}
