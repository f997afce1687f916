package promql

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
)

// Knowledge is what an analysis rests on.
type Knowledge int

const (
	Sure  Knowledge = iota // the text, and what Prometheus guarantees
	Usual                  // what exporters do, as well
)

// Facts is what is known of each result of an expression, at any time.
type Facts struct {
	Labels Labels
	Values Interval
	// Empty says that it never has a result, whatever there is.
	Empty bool
	// Present says that it always has a result, whatever there is.
	Present bool

	core  parser.Expr // whose value, for the same labels, each result has; or nil
	whole bool        // each result of core is a result
	// itself says that each value is that of a thing divided by itself, or the like.
	itself bool
	clock  *Interval       // where each value lies as seen from time(): value - time(); nil where that is not known
	rests  []string        // what Values and clock rest on beside the text, as in: counters are not negative
	held   map[string]held // by canonical form: what the value of that expression is for the same labels
}

// held is where the value of an expression lies for each series of a result.
type held struct {
	Interval
	by parser.Expr // the part that says so
	// exact says that, the other way round, each such series in the interval is in the result.
	exact bool
}

// either is what is known of results of both kinds.
func (f Facts) either(o Facts) Facts {
	switch {
	case f.Empty:
		o.Present = o.Present || f.Present
		return o
	case o.Empty:
		return f
	}
	r := Facts{Labels: f.Labels.either(o.Labels), Values: f.Values.hull(o.Values), Present: f.Present || o.Present, rests: resting(f, o)}
	if f.clock != nil && o.clock != nil {
		r.clock = new(f.clock.hull(*o.clock))
	}
	for key, mine := range f.held {
		if other, ok := o.held[key]; ok {
			if r.held == nil {
				r.held = map[string]held{}
			}
			r.held[key] = held{Interval: mine.hull(other.Interval), by: mine.by}
		}
	}
	return r
}

// Analysis is what is known of an expression and of all its parts.
type Analysis struct {
	of    parser.Expr
	known *Known
	by    Knowledge
}

// Kind says what sort of contradiction a Reason is.
type Kind int

const (
	Values    Kind = iota // a comparison that no value meets
	Matching              // two sides of an operator of which no two series match
	Matchers              // a selector that no series meets
	Shadowed              // a side of "or" that the other hides
	Itself                // a thing divided by itself, or subtracted from itself
	Recorded              // a recorded metric whose rule never has a result
	Buckets               // a quantile of buckets without their label le
	Ambiguous             // a side of an operator of which several series match one of the other
	Useless               // a part that makes no difference
	Poisoned              // an aggregation that one quotient by 0 makes NaN
	Few                   // a range that holds too few samples
	Blind                 // a range that leaves out samples between two evaluations
	Stale                 // a recording that is recorded less often than the lookback
	Early                 // a recording that is read before it is recorded
)

// Reason is why a part of an expression never has a result, has always the same, or not the one that it is written for:
// two things that contradict each other, or the first alone.
type Reason struct {
	Kind          Kind
	At            parser.Expr // the part
	First, Second posrange.PositionRange
	Text          string // as in: count(x) is at least 1, so == 0 never holds
	Label         string // by which two sides never match, or that is missing
	Metric        string // whose buckets have lost their label le
	// Differ says that both sides have that label, with different values.
	Differ bool
	// Instead has the same results as At, but for the name of the metric, where At is useless; nil
	// where that is not sure.
	Instead parser.Expr
	// Never says that At never has a result, where Kind is about time, rather than at times.
	Never bool
	// Every is how often samples are recorded or scraped, or evaluations are, whichever a range of that Length is too short
	// for.
	Every, Length time.Duration
	Scraped       bool // whether Kind is Few and it is targets that are to be scraped more often
}

// Analyze finds what is known of an expression. Known may be nil; what it found before of the same parts it knows.
func Analyze(expr parser.Expr, known *Known, by Knowledge) *Analysis {
	if known == nil {
		known = Know(nil, nil)
	}
	return &Analysis{of: expr, known: known, by: by}
}

// Reasons are the contradictions in the expression, innermost first.
func (a *Analysis) Reasons() []Reason { return slices.DeleteFunc(a.found(), Reason.isSlip) }

// Slips are the parts of the expression that can have a result, but make no difference, fail as soon as there are more
// series, or are mostly NaN, innermost first.
func (a *Analysis) Slips() []Reason {
	return slices.DeleteFunc(a.found(), func(r Reason) bool { return !r.isSlip() })
}

func (r Reason) isSlip() bool { return r.Kind == Ambiguous || r.Kind == Useless || r.Kind == Poisoned }

func (a *Analysis) found() []Reason {
	a.Of(a.of)
	var all []Reason
	var visit func(node parser.Node)
	visit = func(node parser.Node) {
		for child := range parser.ChildrenIter(node) {
			visit(child)
		}
		if expr, ok := node.(parser.Expr); ok {
			all = append(all, a.known.reasons[part{expr, a.by}]...)
		}
	}
	visit(a.of)
	return all
}

// Of returns what is known of a part of the expression.
func (a *Analysis) Of(expr parser.Expr) Facts {
	if found, ok := a.known.facts[part{expr, a.by}]; ok {
		return found
	}
	f := a.find(expr)
	if f.core == nil && f.isUnique() && deterministic(expr) {
		f.core, f.whole = expr, true
	}
	if len(f.held) > 0 {
		if h, ok := f.held[a.key(f.core)]; ok {
			f.Values = f.Values.meet(h.Interval)
		}
	}
	a.known.facts[part{expr, a.by}] = f
	return f
}

// key is the canonical form of an expression; empty for none, and for one that is too long to be compared often.
func (a *Analysis) key(core parser.Expr) string {
	const longest = 4000
	if core == nil {
		return ""
	}
	key, ok := a.known.keys[core]
	if pos := core.PositionRange(); !ok && pos.End-pos.Start < longest {
		key = Canonical(core)
		a.known.keys[core] = key
	}
	return key
}

// isUnique reports whether no two series of a result have the same labels without the name.
func (f Facts) isUnique() bool {
	_, fixed := f.Labels.Fixed(model.MetricNameLabel)
	return fixed
}

func (a *Analysis) find(expr parser.Expr) Facts {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return a.Of(e.Expr)
	case *parser.StepInvariantExpr:
		return a.Of(e.Expr)
	case *parser.NumberLiteral:
		return scalar(point(e.Val))
	case *parser.UnaryExpr:
		f := a.Of(e.Expr)
		if e.Op == parser.SUB {
			f = f.computed(f.Values.negated())
		}
		return f
	case *parser.MatrixSelector:
		return a.Of(e.VectorSelector)
	case *parser.SubqueryExpr:
		f := a.Of(e.Expr)
		f.core, f.held, f.clock = nil, nil, earlier(f.clock, e)
		return f
	case *parser.VectorSelector:
		return a.selected(e)
	case *parser.Call:
		return a.called(e)
	case *parser.AggregateExpr:
		return a.aggregated(e)
	case *parser.BinaryExpr:
		return a.combined(e)
	}
	return Facts{Labels: AnyLabels, Values: anything}
}

// scalar is what is known of a number, which is always there and has no labels.
func scalar(values Interval) Facts {
	return Facts{Labels: OnlyLabels(), Values: values, Present: true}
}

// computed is a result with other values, whose series have lost their names.
func (f Facts) computed(values Interval) Facts {
	return Facts{Labels: f.Labels.without(model.MetricNameLabel), Values: values, Empty: f.Empty, Present: f.Present, rests: f.rests}
}

func (a *Analysis) selected(e *parser.VectorSelector) Facts {
	name := NameOf(e)
	f := a.known.Metric(name, a.by)
	if f.Empty {
		r := a.known.recordings[name][0]
		a.report(Recorded, e, e, e, "%s, which %s records, never has a result", name, r.Place)
	}
	for _, m := range e.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			continue
		}
		before := f.Labels.value(m.Name)
		after, ok := before.meet(matched(m))
		if !ok && before.assumed { // a matcher that asks for series without the label shows that some exist
			before.has, before.assumed, before.lacks = "", false, true
			after, ok = before.meet(matched(m))
		}
		if !ok && !f.Empty {
			if !metBySome([]*labels.Matcher{m}, true) {
				a.report(Matchers, e, e, e, "%s matches nothing: no value of %s meets it, and neither does a series without %s", m, m.Name, m.Name)
				f.Empty = true
				continue
			}
			what := name
			if what == "" || len(before.matchers) > 0 || !before.isMissing() {
				what = "what it selects"
			}
			a.report(Matchers, e, e, e, "%s has %s, so %s matches nothing", what, before.describe(m.Name), m)
			f.Empty = true
		}
		if ok {
			f.Labels = f.Labels.with(m.Name, after)
		}
	}
	return f
}

// matched is what a matcher says of a label.
func matched(m *labels.Matcher) value {
	switch {
	case m.Type == labels.MatchEqual:
		return value{among: []string{m.Value}}
	case m.Type == labels.MatchRegexp && len(m.SetMatches()) > 0:
		return value{among: filtered(m.SetMatches(), m.Matches), matchers: []*labels.Matcher{m}}
	}
	return value{matchers: []*labels.Matcher{m}}
}
