package evaluate

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	static "github.com/stemedb/firedrill/tools/promql"
)

// alertMetrics are the metrics that alerting rules write.
var alertMetrics = []string{"ALERTS", "ALERTS_FOR_STATE"}

// Expression is an expression and what is known of it before it is evaluated.
type Expression struct {
	// Text is the expression as Prometheus prints and evaluates it, which may differ from the file.
	Text   string
	Parsed parser.Expr
	Selection
	// Always is set if it has a value for any input.
	Always bool
	// past is set if the value at a time depends only on the time and earlier samples. One range query then gives the
	// same values as instant queries.
	past bool
	// inert is set if, without the series that it selects, it has neither a value nor an error at any time.
	inert bool
}

// Selection is the metrics that an expression selects.
type Selection struct {
	Names []string
	Any   bool // it also selects other than by name
	// alerts holds the matchers of each selector of ALERTS or ALERTS_FOR_STATE.
	alerts [][]*labels.Matcher
}

// Selects reports whether the expression may select the metric.
func (s Selection) Selects(metric string) bool { return s.Any || slices.Contains(s.Names, metric) }

// Reads reports whether the expression may select what the rule writes.
func (s Selection) Reads(r *Rule) bool {
	if !r.Alerting {
		return s.Selects(r.Name)
	}
	return s.Any || slices.ContainsFunc(s.alerts, r.mayMatch)
}

// readsAny reports whether the expression may select what one of the rules writes.
func (s Selection) readsAny(rules []*Rule) bool { return slices.ContainsFunc(rules, s.Reads) }

// finds reports whether the expression may select one of these metrics.
func (s Selection) finds(there map[string]bool) bool {
	return s.Any && len(there) > 0 || slices.ContainsFunc(s.Names, func(name string) bool { return there[name] })
}

// Add adds what another expression selects.
func (s *Selection) Add(other Selection) {
	s.Names, s.Any, s.alerts = append(s.Names, other.Names...), s.Any || other.Any, append(s.alerts, other.alerts...)
}

// inspect walks an expression and notes in e what it selects and from when. It returns whether the expression has no
// value while what it selects is missing, and whether it must be tried to know that it has no error then.
func inspect(node parser.Expr, e *Expression) (empty, tryEmpty bool) {
	switch n := node.(type) {
	case *parser.VectorSelector:
		e.note(n)
		return true, false
	case *parser.MatrixSelector:
		return inspect(n.VectorSelector, e)
	case *parser.SubqueryExpr:
		e.past = e.past && n.OriginalOffset >= 0 && n.OriginalOffsetExpr == nil && n.RangeExpr == nil && n.StepExpr == nil &&
			n.Timestamp == nil && n.StartOrEnd == 0
		return inspect(n.Expr, e)
	case *parser.ParenExpr:
		return inspect(n.Expr, e)
	case *parser.StepInvariantExpr:
		return inspect(n.Expr, e)
	case *parser.UnaryExpr:
		return inspect(n.Expr, e)
	case *parser.AggregateExpr:
		empty, tryEmpty = inspect(n.Expr, e)
		if n.Param != nil {
			inspect(n.Param, e)
			_, number := static.Bare(n.Param).(*parser.NumberLiteral)
			_, text := static.Bare(n.Param).(*parser.StringLiteral)
			empty, tryEmpty = empty && (number || text), true
		}
		return empty, tryEmpty
	case *parser.BinaryExpr:
		return inspectBinary(n, e)
	case *parser.Call:
		return inspectCall(n, e)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return false, false
	}
	// Other nodes: nothing is known.
	e.past, e.Any = false, true
	return false, false
}

// note notes what a selector selects.
func (e *Expression) note(s *parser.VectorSelector) {
	e.past = e.past && s.OriginalOffset >= 0 && s.OriginalOffsetExpr == nil && s.Timestamp == nil && s.StartOrEnd == 0 &&
		!s.Smoothed && !s.Anchored
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			e.Names = append(e.Names, m.Value)
			if slices.Contains(alertMetrics, m.Value) {
				e.alerts = append(e.alerts, s.LabelMatchers)
			}
			return
		}
	}
	e.Any = true
}

func inspectBinary(n *parser.BinaryExpr, e *Expression) (empty, tryEmpty bool) {
	left, probeLeft := inspect(n.LHS, e)
	right, probeRight := inspect(n.RHS, e)
	tryEmpty = probeLeft || probeRight
	switch {
	case n.Op == parser.LOR, n.VectorMatching != nil && (n.VectorMatching.FillValues.LHS != nil || n.VectorMatching.FillValues.RHS != nil):
		return left && right, tryEmpty
	case n.Op == parser.LUNLESS:
		return left, tryEmpty
	default: // a scalar is never empty, and then the other side decides
		return left || right, tryEmpty
	}
}

func inspectCall(n *parser.Call, e *Expression) (empty, tryEmpty bool) {
	vectors := 0
	for _, arg := range n.Args {
		argEmpty, argProbe := inspect(arg, e)
		tryEmpty = tryEmpty || argProbe
		if kind := arg.Type(); kind == parser.ValueTypeVector || kind == parser.ValueTypeMatrix {
			vectors++
			empty = argEmpty
		}
	}
	switch n.Func.Name {
	case "absent", "absent_over_time":
		e.past = e.past && !repeatsLabel(n.Args[0])
		return false, tryEmpty
	case "scalar", "vector":
		return false, tryEmpty
	case "label_replace", "label_join":
		tryEmpty = true
	case "info":
		e.Any = true
	}
	return empty && vectors == 1, tryEmpty
}

// repeatsLabel reports whether a selector has two matchers for the same label. Which of them absent() takes for the label's
// value depends on their order, and that on whether anything is stored yet; see querier.Select.
func repeatsLabel(expr parser.Expr) bool {
	seen := map[string]bool{}
	repeats := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			for _, m := range s.LabelMatchers {
				repeats = repeats || seen[m.Name]
				seen[m.Name] = true
			}
		}
		return nil
	})
	return repeats
}
