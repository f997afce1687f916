package promql

import (
	"math"
	"regexp"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// Quantity is what values measure.
type Quantity string

const (
	Time   Quantity = "seconds"
	Moment Quantity = "timestamp" // since 1970: the difference of two is a Time
	Bytes  Quantity = "bytes"
	Ratio  Quantity = "ratio"
)

// Unit is the unit of values.
type Unit struct {
	Of Quantity // empty where it is not known
	// Scale is in seconds, bytes or parts of a whole: 0.001 for milliseconds, 0.01 for percent.
	Scale float64
	// Rate says that it is per second.
	Rate bool
	// Likely says that it is a quotient of two things of which no unit is known.
	Likely bool
}

// Share is the unit where a time per second, as of a CPU, is read as the ratio that it is.
func (u Unit) Share() Unit {
	if u.Of == Time && u.Rate {
		return Unit{Of: Ratio, Scale: u.Scale}
	}
	return u
}

// none is the unit of what counts anything. Its scale is what it has been multiplied with, so that quotients know theirs.
var none = Unit{Scale: 1}

func (u Unit) times(f float64) Unit {
	if f == 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return none
	}
	u.Scale *= math.Abs(f)
	return u
}

// byWord are the units that end the names of metrics: https://prometheus.io/docs/practices/naming/#base-units and those
// that exporters use instead.
var byWord = map[string]Unit{
	"seconds": {Of: Time, Scale: 1}, "milliseconds": {Of: Time, Scale: 1e-3}, "millis": {Of: Time, Scale: 1e-3}, "ms": {Of: Time, Scale: 1e-3},
	"microseconds": {Of: Time, Scale: 1e-6}, "micros": {Of: Time, Scale: 1e-6}, "us": {Of: Time, Scale: 1e-6},
	"nanoseconds": {Of: Time, Scale: 1e-9}, "nanos": {Of: Time, Scale: 1e-9}, "ns": {Of: Time, Scale: 1e-9},
	"minutes": {Of: Time, Scale: 60}, "hours": {Of: Time, Scale: 3600}, "days": {Of: Time, Scale: 86400}, "weeks": {Of: Time, Scale: 604800},
	"bytes": {Of: Bytes, Scale: 1}, "kilobytes": {Of: Bytes, Scale: 1e3}, "kb": {Of: Bytes, Scale: 1e3}, "kib": {Of: Bytes, Scale: 1 << 10}, "kibibytes": {Of: Bytes, Scale: 1 << 10},
	"megabytes": {Of: Bytes, Scale: 1e6}, "mb": {Of: Bytes, Scale: 1e6}, "mib": {Of: Bytes, Scale: 1 << 20}, "mebibytes": {Of: Bytes, Scale: 1 << 20},
	"gigabytes": {Of: Bytes, Scale: 1e9}, "gb": {Of: Bytes, Scale: 1e9}, "gib": {Of: Bytes, Scale: 1 << 30}, "gibibytes": {Of: Bytes, Scale: 1 << 30},
	"ratio": {Of: Ratio, Scale: 1}, "percent": {Of: Ratio, Scale: 0.01}, "percentage": {Of: Ratio, Scale: 0.01}, "pct": {Of: Ratio, Scale: 0.01},
}

var (
	// partOf ends the name of a part of a histogram or summary, or of a counter.
	partOf = regexp.MustCompile(`_(bucket|sum|total|max|min|avg)$`)
	// momentForm finds the names of moments.
	momentForm = regexp.MustCompile(`_(timestamp|(start|boot|node)_time)(_seconds|_milliseconds|_ms)?$|^node_time_seconds$`)
	// recordedForm is level:metric:operations: https://prometheus.io/docs/practices/rules/#naming
	recordedForm = regexp.MustCompile(`^[^:]*:([^:]+):([^:]+)$`)
	// keepsUnit are the operations of a recording whose result has the unit of its metric.
	keepsUnit = regexp.MustCompile(`^(sum|avg|mean|max|min|p\d+|[a-z_]*quantile.*|\d+quantile)(_|$)`)
)

// UnitOfName is the unit that a metric's name says.
func UnitOfName(name string) Unit {
	if m := recordedForm.FindStringSubmatch(name); m != nil {
		switch {
		case strings.HasPrefix(m[2], "ratio"):
			return Unit{Of: Ratio, Scale: 1}
		case keepsUnit.MatchString(m[2]) && !strings.Contains(m[2], "rate"):
			return UnitOfName(m[1])
		}
		return none
	}
	if strings.Contains(name, ":") {
		return none
	}
	name = partOf.ReplaceAllString(name, "")
	at := strings.LastIndexByte(name, '_')
	u, ok := byWord[name[at+1:]]
	if !ok || at < 0 {
		u = none
	}
	if momentForm.MatchString(name) {
		u.Of = Moment
	}
	return u
}

// UnitOf is the unit of an expression's values by the names of its metrics, and by the rules that record them. Known may
// be nil.
func UnitOf(expr parser.Expr, known *Known) Unit {
	return measure{known: known}.of(expr)
}

// measure finds units, through at most so many recordings.
type measure struct {
	known   *Known
	through int
}

func (m measure) of(expr parser.Expr) Unit {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return m.metric(NameOf(e))
	case *parser.MatrixSelector:
		return m.of(e.VectorSelector)
	case *parser.SubqueryExpr:
		return m.of(e.Expr)
	case *parser.ParenExpr:
		return m.of(e.Expr)
	case *parser.StepInvariantExpr:
		return m.of(e.Expr)
	case *parser.UnaryExpr:
		return m.of(e.Expr)
	case *parser.Call:
		return m.call(e)
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.SUM, parser.AVG, parser.MIN, parser.MAX, parser.QUANTILE, parser.STDDEV, parser.TOPK, parser.BOTTOMK, parser.LIMITK:
			return m.of(e.Expr)
		}
	case *parser.BinaryExpr:
		return m.operation(e)
	}
	return none
}

func (m measure) metric(name string) Unit {
	const most = 5
	if m.known == nil || len(m.known.Recorded(name)) == 0 || m.through == most {
		return UnitOfName(name)
	}
	m.through++
	var found Unit
	for i, r := range m.known.Recorded(name) {
		u := m.of(r.Expr)
		if i > 0 && u != found {
			return none
		}
		found = u
	}
	return found
}

func (m measure) call(e *parser.Call) Unit {
	switch name := e.Func.Name; name {
	case "time", "timestamp":
		return Unit{Of: Moment, Scale: 1}
	case "histogram_quantile": // of the rates of buckets, whose bounds have the unit
		found := none
		parser.Inspect(e.Args[1], func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				found = m.metric(NameOf(selector))
				found.Rate = false
			}
			return nil
		})
		return found
	case "rate", "irate", "deriv":
		u := m.of(e.Args[0])
		if u.Of == Moment {
			return none
		}
		u.Rate = true
		return u
	case "increase", "delta", "idelta", "abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sort", "sort_desc",
		"avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "last_over_time", "first_over_time", "stddev_over_time",
		"scalar", "vector", "predict_linear", "label_replace", "label_join":
		return m.of(e.Args[0])
	case "quantile_over_time":
		return m.of(e.Args[1])
	default:
		return none
	}
}

func (m measure) operation(e *parser.BinaryExpr) Unit {
	left, right := m.of(e.LHS), m.of(e.RHS)
	l, leftIsNumber := Constant(e.LHS)
	r, rightIsNumber := Constant(e.RHS)
	switch {
	case e.Op == parser.LAND, e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LOR:
		if left == right || isFixed(e.RHS) {
			return left
		}
	case e.Op.IsComparisonOperator():
		switch {
		case e.ReturnBool:
		case leftIsNumber:
			return right
		default:
			return left
		}
	case e.Op == parser.SUB, e.Op == parser.ADD:
		return sum(e.Op, left.Share(), right.Share(), leftIsNumber, rightIsNumber)
	case e.Op == parser.MUL:
		switch {
		case leftIsNumber:
			return right.times(1 / l)
		case rightIsNumber:
			return left.times(1 / r)
		case right.Of == "" && isFactor(e.RHS):
			return left
		case left.Of == "" && isFactor(e.LHS):
			return right
		}
	case e.Op == parser.DIV && rightIsNumber:
		return left.times(r)
	case e.Op == parser.DIV && !leftIsNumber:
		return quotient(e, left, right)
	}
	return none
}

func sum(op parser.ItemType, left, right Unit, leftIsNumber, rightIsNumber bool) Unit {
	switch {
	case rightIsNumber:
		return left
	case leftIsNumber:
		return right
	case op == parser.SUB && (left.Of == Moment || right.Of == Moment):
		switch {
		case left.Of != Moment:
			left = right
		case right.Of == Moment && left.Scale != right.Scale:
			return none
		}
		return Unit{Of: Time, Scale: left.Scale}
	case left == right:
		return left
	case left.Of == right.Of && left.Scale == right.Scale && left.Rate == right.Rate:
		left.Likely = true
		return left
	}
	return none
}

func quotient(e *parser.BinaryExpr, left, right Unit) Unit {
	switch {
	case left.Of == Moment || right.Of == Moment:
		return none
	case left.Of == right.Of && left.Rate == right.Rate:
		return Unit{Of: Ratio, Scale: left.Scale / right.Scale, Likely: left.Of == "" || left.Likely || right.Likely}
	case (left.Of == Time || left.Of == Bytes) && right.Of == "" && left.Rate == right.Rate && isCount(e.RHS):
		left.Rate = false
		return left
	}
	return none
}

// isCount reports whether values count events, by the names of all metrics, or series.
func isCount(expr parser.Expr) bool {
	if e, ok := Bare(expr).(*parser.AggregateExpr); ok && e.Op == parser.COUNT {
		return true
	}
	all, any := true, false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			any = true
			all = all && (strings.HasSuffix(NameOf(selector), "_count") || strings.HasSuffix(NameOf(selector), "_total"))
		}
		return nil
	})
	return all && any
}

// isFixed reports whether an expression holds no metric.
func isFixed(expr parser.Expr) bool {
	fixed := true
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		_, selects := node.(*parser.VectorSelector)
		fixed = fixed && !selects
		return nil
	})
	return fixed
}

// isFactor reports whether an expression is multiplied with for its labels, as metrics that end in _info are.
func isFactor(expr parser.Expr) bool {
	all, any := true, false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			any = true
			name := NameOf(selector)
			all = all && (strings.HasSuffix(name, "_info") || strings.HasSuffix(name, "_labels") || name == "up")
		}
		return nil
	})
	return all && any
}
