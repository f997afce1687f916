package check

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// direction says on which side of a threshold an alert fires.
type direction int

const (
	below   direction = -1
	unknown direction = 0
	above   direction = 1
)

func (d direction) String() string {
	return map[direction]string{below: "below", above: "above"}[d]
}

// agreement compares what a text says of an alert's condition, in words or in PromQL, with the alert's expression. It
// judges only what it understands, and ignores other words, units and expressions.
func (c *checker) agreement(alert rule.Alert, expr parser.Expr, text, what, file string, line int) {
	where := func(part string) string { return c.where(file, line, part) }
	before := len(c.findings)
	c.words(alert, expr, text, what, where)
	if len(c.findings) == before { // the same disagreement is reported once
		c.quotations(alert, expr, text, what, where)
	}
}

// where returns the place of a part of the text that begins on a line: with its column where it is found.
func (c *checker) where(file string, line int, part string) string {
	const most = 5 // lines that a summary may be folded over
	for n := line; n < line+most; n++ {
		if before, _, ok := strings.Cut(c.line(file, n), part); ok {
			return fmt.Sprintf("%s:%d:%d", file, n, 1+utf8.RuneCountInString(before))
		}
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// words compares the times that a text names, such as "within 7 days", with the thresholds that are times.
func (c *checker) words(alert rule.Alert, expr parser.Expr, text, what string, where func(string) string) {
	thresholds := slices.DeleteFunc(findThresholds(alert.Expr, expr), func(t threshold) bool { return !t.isTime })
	if len(thresholds) == 0 {
		return
	}
	known := timings(alert, expr)

	matched := false
	var others []claim
	for _, cl := range findClaims(text) {
		same := slices.DeleteFunc(slices.Clone(thresholds), func(t threshold) bool { return !equal(t.value, cl.seconds) })
		if len(same) == 0 {
			others = append(others, cl)
			continue
		}
		matched = true
		agrees := func(t threshold) bool { return cl.side == unknown || t.side == unknown || t.side == cl.side }
		if !slices.ContainsFunc(same, agrees) {
			c.reportRange(alert, "expr", same[0].offset, same[0].end, "trigger/direction",
				"%s fires at %s, that is %s %s, but its %s says %q (%s), that is %s: reverse the comparison, or fix the text",
				alert.Name, same[0].text, same[0].side, cl.in(same[0].value), what, cl.text, where(cl.text), cl.side)
		}
	}
	for _, cl := range others {
		// A time that is no threshold may be the rule's own "for", or the range that it looks back.
		isTiming := slices.ContainsFunc(known, func(seconds float64) bool { return equal(seconds, cl.seconds) })
		if (isTiming || matched) && cl.side == unknown || isTiming && matched {
			continue
		}
		t := thresholds[max(0, slices.IndexFunc(thresholds, func(t threshold) bool { return t.side == cl.side && t.value != 0 }))]
		c.reportRange(alert, "expr", t.offset, t.end, "trigger/threshold", "%s fires at %s, that is %s, but its %s says %q (%s): write the same in both",
			alert.Name, t.text, cl.in(t.value), what, cl.text, where(cl.text))
		return
	}
}

// quotation is a comparison of a series with a number, as a text may hold it: "up == 0".
var quotation = regexp.MustCompile(`[a-zA-Z_:][\w:]*(?:\{[^{}]*\})?\s*(?:[<>]=?|[!=]=)\s*-?\d[\d.*/^ ]*`)

// quotations compares the PromQL in a text with the comparisons that a rule makes of the same metric.
func (c *checker) quotations(alert rule.Alert, expr parser.Expr, text, what string, where func(string) string) {
	actual := findThresholds(alert.Expr, expr)
	for _, at := range quotation.FindAllStringIndex(text, -1) {
		if next, _ := utf8.DecodeRuneInString(text[at[1]:]); next == '%' || unicode.IsLetter(next) {
			continue // words checks a number with a unit
		}
		source := strings.TrimRight(text[at[0]:at[1]], " .")
		quoted, err := promql.ParseExpr(source)
		if err != nil {
			continue // it only looked like PromQL
		}
		for _, q := range findThresholds(source, quoted) {
			unrelated := func(t threshold) bool {
				return !slices.ContainsFunc(q.metrics, func(name string) bool { return slices.Contains(t.metrics, name) })
			}
			related := slices.DeleteFunc(slices.Clone(actual), unrelated)
			if len(related) > 0 && !slices.ContainsFunc(related, func(t threshold) bool { return t.op == q.op && equal(t.value, q.value) }) {
				c.reportRange(alert, "expr", related[0].offset, related[0].end, "trigger/condition", "%s fires at %s, but its %s says %q (%s): write the same in both",
					alert.Name, related[0].text, what, q.text, where(source))
			}
		}
	}
}

func equal(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) }

// claim is a time that a text names.
type claim struct {
	text    string // with the words that give its side
	seconds float64
	side    direction // unknown where the text leaves it open
	unit    string    // in which the text counts
}

// in writes seconds in the claim's unit, so that the two can be compared.
func (c claim) in(seconds float64) string {
	n := strconv.FormatFloat(seconds/units[c.unit], 'g', 6, 64)
	if n != "1" {
		return n + " " + c.unit + "s"
	}
	return n + " " + c.unit
}

var units = map[string]float64{"millisecond": 0.001, "second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}

var (
	// A time: "1h30m", "7 days", "7-day", "48h". It does not begin in the middle of a word or a number.
	timeText = regexp.MustCompile(`(?:^|[^\w.,])(?:((?:\d+(?:ms|[wdhms])){2,})|(\d+(?:\.\d+)?)(?:[ \t-]?((?i:millisecond|second|sec|minute|min|hour|hr|day|week))s?|(ms|[wdhms])))\b`)
	unitName = map[string]string{"sec": "second", "min": "minute", "hr": "hour", "ms": "millisecond", "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}

	// The words right before a time that give it a side.
	sideText = regexp.MustCompile(`(?i)(?:(\b(?:less than|fewer than|shorter than|sooner than|below|under|within|at most)(?: the next)?|<=?|≤)|` +
		`(\b(?:more than|greater than|longer than|older than|above|beyond|exceed(?:s|ed|ing)?|at least)|>=?|≥))\s*$`)
	// What makes that side doubtful: a backup that has not run within 26 hours is older than that.
	// A condition that lasts for more than 5 minutes is not about a threshold either.
	doubtText = regexp.MustCompile(`(?i)\b(?:no|not|none|never|without)\b|n't\b|\b(?:for|lasts|lasting)\s*$`)
	together  = regexp.MustCompile(`^\s+(?:and\s+)?$`)
	template  = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
)

// findClaims returns the times that a text names, templates left out.
func findClaims(text string) []claim {
	text = template.ReplaceAllString(text, "…")
	var claims []claim
	rest := 0 // where the words since the last claim begin
	for _, m := range timeText.FindAllStringSubmatchIndex(text, -1) {
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return text[m[2*i]:m[2*i+1]]
		}
		cl := claim{unit: "second"}
		start := max(m[2], m[4]) // of whichever form it has
		if compound := part(1); compound != "" {
			d, err := model.ParseDuration(compound)
			if err != nil {
				continue // too large for a duration
			}
			cl.seconds = time.Duration(d).Seconds()
		} else {
			n, err := strconv.ParseFloat(part(2), 64)
			if err != nil {
				continue
			}
			unit := strings.ToLower(part(3) + part(4))
			cl.unit = cmp.Or(unitName[unit], unit)
			cl.seconds = n * units[cl.unit]
			if math.IsInf(cl.seconds, 0) {
				continue
			}
		}
		before := text[rest:start]
		if last := len(claims) - 1; last >= 0 && together.MatchString(before) && units[cl.unit] < units[claims[last].unit] { // "1 day and 12 hours"
			begin := rest - len(claims[last].text)
			claims[last].seconds += cl.seconds
			claims[last].text = text[begin:m[1]]
			rest = m[1]
			continue
		}
		if i := strings.LastIndexAny(before, ".;:,()\n"); i >= 0 {
			before = before[i+1:]
		}
		if s := sideText.FindStringSubmatchIndex(before); s != nil {
			start -= len(before) - s[0]
			if !doubtText.MatchString(before[:s[0]]) {
				cl.side = above
				if s[2] >= 0 {
					cl.side = below
				}
			}
		}
		cl.text = text[start:m[1]]
		rest = m[1]
		claims = append(claims, cl)
	}
	return claims
}

// threshold is a comparison with a constant, read with the constant on the right.
type threshold struct {
	op      parser.ItemType
	value   float64 // never negative
	side    direction
	isTime  bool // in seconds
	metrics []string
	text    string // the comparison as it is written
	offset  int    // of the constant, in the expression
	end     int    // just behind it
}

// findThresholds returns the comparisons with a constant in an expression.
func findThresholds(source string, expr parser.Expr) []threshold {
	var found []threshold
	var visit func(node parser.Node, turned bool)
	visit = func(node parser.Node, turned bool) {
		switch e := node.(type) {
		case *parser.BinaryExpr:
			if t, ok := compare(e); ok {
				pos := e.PositionRange()
				t.text = strings.Join(strings.Fields(source[pos.Start:pos.End]), " ")
				if turned {
					t.side = -t.side
				}
				found = append(found, t)
			}
			visit(e.LHS, turned)
			visit(e.RHS, turned != (e.Op == parser.LUNLESS)) // fires while the right side does not
			return
		case *parser.Call:
			turned = turned != strings.HasPrefix(e.Func.Name, "absent")
		}
		for child := range parser.ChildrenIter(node) {
			visit(child, turned)
		}
	}
	visit(expr, false)
	return found
}

// compare brings a comparison into the form of a threshold.
func compare(e *parser.BinaryExpr) (threshold, bool) {
	if !e.Op.IsComparisonOperator() {
		return threshold{}, false
	}
	left, right := linear(e.LHS), linear(e.RHS)
	difference := left.minus(right) // scale*v + constant, compared with 0
	value := -difference.constant / difference.scale
	if difference.scale == 0 || math.IsNaN(value) || math.IsInf(value, 0) {
		return threshold{}, false
	}
	if value == 0 && left.scale != 0 && right.scale != 0 {
		return threshold{}, false // two series compared with each other
	}
	constant := e.RHS.PositionRange()
	if right.scale != 0 {
		constant = e.LHS.PositionRange()
	}
	t := threshold{op: e.Op, value: math.Abs(value), isTime: inSeconds(e.LHS) || inSeconds(e.RHS), offset: int(constant.Start), end: int(constant.End)}
	isMirrored := difference.scale < 0
	if value < 0 { // "now - end > -7 days" is "end - now < 7 days"
		isMirrored = !isMirrored
	}
	if isMirrored {
		t.op = promql.Mirror(t.op)
	}
	switch {
	case e.ReturnBool: // what is made of the 0 and the 1 decides
	case t.op == parser.LSS || t.op == parser.LTE:
		t.side = below
	case t.op == parser.GTR || t.op == parser.GTE:
		t.side = above
	}
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			t.metrics = append(t.metrics, selector.Name)
		}
		return nil
	})
	return t, true
}

// line is an expression read as scale*v + constant, where v is all in it that varies.
type line struct{ scale, constant float64 }

func (l line) times(f float64) line { return line{l.scale * f, l.constant * f} }

func (l line) minus(r line) line {
	scale := l.scale
	if scale == 0 {
		scale = -r.scale
	}
	return line{scale, l.constant - r.constant}
}

func linear(expr parser.Expr) line {
	opaque := line{scale: 1}
	switch e := expr.(type) {
	case *parser.NumberLiteral:
		return line{constant: e.Val}
	case *parser.ParenExpr:
		return linear(e.Expr)
	case *parser.UnaryExpr:
		if e.Op == parser.SUB {
			return linear(e.Expr).times(-1)
		}
		return linear(e.Expr)
	case *parser.BinaryExpr:
		l, r := linear(e.LHS), linear(e.RHS)
		isSum := l.scale == 0 || r.scale == 0 || math.Abs(l.scale) == math.Abs(r.scale)
		switch {
		case e.Op == parser.ADD && isSum:
			return l.minus(r.times(-1))
		case e.Op == parser.SUB && isSum:
			return l.minus(r)
		case e.Op == parser.MUL && l.scale == 0:
			return r.times(l.constant)
		case e.Op == parser.MUL && r.scale == 0:
			return l.times(r.constant)
		case e.Op == parser.DIV && r.scale == 0:
			return l.times(1 / r.constant)
		case e.Op == parser.POW && l.scale == 0 && r.scale == 0:
			return line{constant: math.Pow(l.constant, r.constant)}
		}
	}
	return opaque
}

// inSeconds reports whether an expression's value is a time, going by the names of its metrics.
func inSeconds(expr parser.Expr) bool {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name, "_sum"), "_bucket")
		return strings.HasSuffix(name, "_seconds")
	case *parser.MatrixSelector:
		return inSeconds(e.VectorSelector)
	case *parser.SubqueryExpr:
		return inSeconds(e.Expr)
	case *parser.ParenExpr:
		return inSeconds(e.Expr)
	case *parser.UnaryExpr:
		return inSeconds(e.Expr)
	case *parser.AggregateExpr:
		return e.Op != parser.COUNT && e.Op != parser.COUNT_VALUES && e.Op != parser.GROUP && inSeconds(e.Expr)
	case *parser.Call:
		switch e.Func.Name {
		case "time", "timestamp":
			return true
		case "absent", "absent_over_time", "changes", "count_over_time", "deriv", "present_over_time", "resets":
			return false
		}
		return slices.ContainsFunc(e.Args, inSeconds)
	case *parser.BinaryExpr:
		switch {
		case e.Op == parser.ADD || e.Op == parser.SUB || e.Op == parser.MUL:
			return inSeconds(e.LHS) || inSeconds(e.RHS)
		case e.Op == parser.DIV: // a time by a time is a ratio
			return inSeconds(e.LHS) && !inSeconds(e.RHS)
		}
		return inSeconds(e.LHS) && !e.ReturnBool
	}
	return false
}

// timings returns the times in seconds that a rule knows beside its thresholds.
func timings(alert rule.Alert, expr parser.Expr) []float64 {
	times := []time.Duration{alert.For, alert.KeepFiringFor, alert.Interval}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch e := node.(type) {
		case *parser.MatrixSelector:
			times = append(times, e.Range)
		case *parser.SubqueryExpr:
			times = append(times, e.Range, e.Step, e.OriginalOffset)
		case *parser.VectorSelector:
			times = append(times, e.OriginalOffset)
		}
		return nil
	})
	seconds := make([]float64, len(times))
	for i, d := range times {
		seconds[i] = d.Seconds()
	}
	return seconds
}
