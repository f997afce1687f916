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
	"github.com/stemedb/firedrill/tools/finding"
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
// judges only what it understands, and ignores other words, units and expressions. A text may be loose: it may tell of
// other things than the condition.
func (c *checker) agreement(alert rule.Alert, expr parser.Expr, text, what, file string, line int, loose bool) {
	where := func(part string) string { return c.where(file, line, part) }
	before := len(c.findings)
	thresholds := c.thresholds(alert.Expr, expr)
	claims := findClaims(text)
	if loose {
		claims = slices.DeleteFunc(claims, func(cl claim) bool { return normText.MatchString(sentence(text, cl.text)) })
	}
	c.times(alert, expr, thresholds, claims, what, where, loose)
	c.amounts(alert, expr, thresholds, claims, text, what, where)
	c.spans(alert, expr, thresholds, claims, what, where)
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

// times compares the times that a text names, such as "within 7 days", with the thresholds that are times.
func (c *checker) times(alert rule.Alert, expr parser.Expr, thresholds []threshold, claims []claim, what string, where func(string) string, loose bool) {
	thresholds = slices.DeleteFunc(slices.Clone(thresholds), func(t threshold) bool {
		// The time since something was due is not its age.
		isDue := func(name string) bool { return strings.Contains(name, "_next_") }
		return !t.isTime() || slices.ContainsFunc(t.metrics, isDue)
	})
	if len(thresholds) == 0 {
		return
	}
	known := timings(alert, expr)
	for _, t := range thresholds {
		known = append(known, t.base+alert.For.Seconds()) // older than 10 minutes, for 5 minutes
	}

	matched := false
	var others []claim
	for _, cl := range claims {
		if cl.of != promql.Time {
			continue
		}
		same := slices.DeleteFunc(slices.Clone(thresholds), func(t threshold) bool { return !cl.is(t.base) })
		if len(same) == 0 {
			others = append(others, cl)
			continue
		}
		matched = true
		if !slices.ContainsFunc(same, func(t threshold) bool { return cl.side == unknown || t.side == unknown || t.side == cl.side }) {
			c.disagree(alert, same[0], cl, what, where)
		}
	}
	for _, cl := range others {
		// A time that is no threshold may be the rule's own "for", or the range that it looks back.
		isTiming := slices.ContainsFunc(known, cl.is)
		if (isTiming || matched || loose) && cl.side == unknown || isTiming && matched || cl.role != ofCondition {
			continue
		}
		t := thresholds[max(0, slices.IndexFunc(thresholds, func(t threshold) bool { return t.side == cl.side && t.value != 0 }))]
		if follows(t.base, t.side, cl) && math.Abs(t.base-cl.low) < 0.1*t.base {
			continue // a margin
		}
		c.differ(alert, t, cl, what, where)
		return
	}
}

// disagree reports that a text names the other side of a threshold.
func (c *checker) disagree(alert rule.Alert, t threshold, cl claim, what string, where func(string) string) {
	c.reportRange(alert, "expr", t.offset, t.end, "trigger/direction",
		"%s fires at %s, that is %s %s, but its %s says %q (%s), that is %s: reverse the comparison, or fix the text",
		alert.Name, t.text, t.side, cl.in(t.base), what, cl.text, where(cl.text), cl.side)
}

// follows reports whether what a text says is true whenever the rule fires: above 90 where it fires above 95.
func follows(base float64, side direction, cl claim) bool {
	return side == cl.side && (side == above && base >= cl.high || side == below && base <= cl.low)
}

// differ reports that a text names another threshold: a warning where the text is true all the same.
func (c *checker) differ(alert rule.Alert, t threshold, cl claim, what string, where func(string) string) {
	c.reportRange(alert, "expr", t.offset, t.end, "trigger/threshold", "%s fires at %s, that is %s, but its %s says %q (%s): write the same in both",
		alert.Name, t.text, cl.in(t.base), what, cl.text, where(cl.text))
	if follows(t.base, t.side, cl) && t.base <= 2*cl.low && t.base >= cl.high/2 {
		c.findings[len(c.findings)-1].Severity = finding.Warning
	}
}

var (
	// wordText begins a side in words: a number in "(RF < 3)" is of something else.
	wordText = regexp.MustCompile(`^[a-zA-Z]`)
	// changeText is what a text says of a difference rather than of a value: grew by more than 50 %.
	changeText = regexp.MustCompile(`(?i)\b(?:by|increas|drop|decreas|higher|lower|chang|deviat|differ|gr[eo]w|rise|rose|spike|compared|of the)`)
	// normText is what a text says of how it should be rather than of how it is.
	normText = regexp.MustCompile(`(?i)\b(?:should|must|normal(?:ly)?|usual(?:ly)?|recommend(?:s|ed)?|targets?|healthy|expected|e\.g|example|default|ideal(?:ly)?|objectives?|goals?|SLOs?|budget|burn|checks? that|ensures?|verif(?:y|ies)|considered|when|where|whether|if|until|unless|otherwise|can|may|might|could|would)\b`)
)

// amounts compares the sizes, the percentages and the numbers to which a text gives a side with the thresholds.
func (c *checker) amounts(alert rule.Alert, expr parser.Expr, thresholds []threshold, claims []claim, text, what string, where func(string) string) {
	for _, of := range []promql.Quantity{promql.Bytes, promql.Ratio, ""} {
		related := slices.DeleteFunc(slices.Clone(thresholds), func(t threshold) bool { return t.unit.Of != of || t.value == 0 && of != "" })
		if of == "" && len(thresholds) != 1 || len(related) == 0 {
			continue
		}
		var other *claim
		matched := false
		for i, cl := range claims {
			if cl.of != of || of == "" && !wordText.MatchString(cl.text) {
				continue
			}
			agrees, same := false, -1
			if slices.ContainsFunc(thresholds, func(t threshold) bool { return t.mayBe(cl, alert, expr) }) {
				agrees = true
			}
			for j, t := range related {
				for _, r := range t.readings() {
					if cl.is(r.value) {
						same = j
						agrees = agrees || cl.side == unknown || r.side == unknown || r.side == cl.side
					}
				}
			}
			switch {
			case agrees:
				matched = true
			case normText.MatchString(sentence(text, cl.text)) || changeText.MatchString(sentence(text, cl.text)):
			case same >= 0:
				matched = true
				c.disagree(alert, related[same], cl, what, where)
			case cl.side != unknown && other == nil:
				other = &claims[i]
			}
		}
		if other != nil && !matched {
			c.differ(alert, related[0], *other, what, where)
		}
	}
}

// mayBe reports whether an amount of which no unit is known may be what a text says, in a unit that is usual.
func (t threshold) mayBe(cl claim, alert rule.Alert, expr parser.Expr) bool {
	if t.unit.Of != "" {
		return false
	}
	switch cl.of {
	case promql.Bytes:
		return slices.ContainsFunc([]float64{1, 1e3, 1 << 10, 1e6, 1 << 20, 1e9, 1 << 30}, func(u float64) bool { return cl.is(t.value * u) })
	case promql.Ratio:
		return cl.is(t.value) || cl.is(t.value/100) || cl.is(1-t.value) || cl.is(1-t.value/100)
	}
	if !t.unit.Rate {
		return false
	}
	return slices.ContainsFunc(append(timings(alert, expr), 60, 3600), func(seconds float64) bool { // 0.83 a second is 500 in ten minutes
		return math.Abs(t.value*seconds-cl.low) < 0.05*cl.low
	})
}

// sentenceEnd ends a sentence.
var sentenceEnd = regexp.MustCompile(`[.;!?]\s|\n\s*\n`)

// sentence is the part of a text before something in it, from the beginning of the sentence.
func sentence(text, part string) string {
	before, _, _ := strings.Cut(template.ReplaceAllString(text, "…"), part)
	if ends := sentenceEnd.FindAllStringIndex(before, -1); len(ends) > 0 {
		before = before[ends[len(ends)-1][1]:]
	}
	return before
}

// atLeastText gives a time the side above, even where sideText does not since the time is that for which something lasts.
var atLeastText = regexp.MustCompile(`(?i)\b(?:more|longer|greater|over|least)\b|[>≥]`)

// spans compares how long a condition is said to last, and how far a rule is said to look back, with the rule.
func (c *checker) spans(alert rule.Alert, expr parser.Expr, thresholds []threshold, claims []claim, what string, where func(string) string) {
	known, ranges, all := c.timesOf(alert, expr)
	for _, t := range thresholds {
		if t.isTime() {
			known = append(known, t.base)
		}
		if t.unit.Of == "" {
			for _, u := range units {
				if u.of == promql.Time {
					known = append(known, t.value*u.low)
				}
			}
		}
	}
	if !all {
		return
	}
	for _, cl := range claims {
		if cl.role == ofCondition || slices.ContainsFunc(known, cl.is) || cl.side == below ||
			cl.role == ofWindow && alert.For == 0 && len(ranges) == 0 { // the metric looks back
			continue
		}
		fires := "at once"
		if alert.For > 0 {
			fires = "once its condition has lasted " + model.Duration(alert.For).String()
		}
		for i, r := range ranges {
			join := " and looks back "
			if i > 0 {
				join = ", "
			}
			fires += join + model.Duration(r).String()
		}
		c.reportAt(alert, "for", 0, "trigger/window", "%s fires %s, but its %s says %q (%s): write the same in both", alert.Name, fires, what, cl.text, where(cl.text))
		if cl.role == ofLasting && atLeastText.MatchString(cl.text) && alert.For.Seconds() >= cl.high {
			c.findings[len(c.findings)-1].Severity = finding.Warning // what it says is true all the same
		}
		return
	}
}

// quotation is a comparison of a series with a number, as a text may hold it: "up == 0".
var quotation = regexp.MustCompile(`[a-zA-Z_:][\w:]*(?:\{[^{}]*\})?\s*(?:[<>]=?|[!=]=)\s*-?\d[\d.*/^ ]*`)

// quotations compares the PromQL in a text with the comparisons that a rule makes of the same metric.
func (c *checker) quotations(alert rule.Alert, expr parser.Expr, text, what string, where func(string) string) {
	actual := c.thresholds(alert.Expr, expr)
	text = template.ReplaceAllString(text, "…")
	for _, at := range quotation.FindAllStringIndex(text, -1) {
		if next, _ := utf8.DecodeRuneInString(text[at[1]:]); next == '%' || unicode.IsLetter(next) {
			continue // words checks a number with a unit
		}
		source := strings.TrimRight(text[at[0]:at[1]], " .")
		quoted, err := promql.ParseExpr(source)
		if err != nil {
			continue // it only looked like PromQL
		}
		for _, q := range c.thresholds(source, quoted) {
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

// threshold is a comparison with a constant, read with the constant on the right.
type threshold struct {
	op      parser.ItemType
	value   float64 // never negative
	side    direction
	unit    promql.Unit // of the value
	base    float64     // the value in seconds, bytes or parts of a whole
	written reading     // the side that varies as it is: x in 1 - x < 0.2 has a value, and 1 - x another
	metrics []string
	text    string // the comparison as it is written
	offset  int    // of the constant, in the expression
	end     int    // just behind it
}

// reading is one way to say at what a threshold fires.
type reading struct {
	value float64
	side  direction
}

func (t threshold) isTime() bool { return t.unit.Of == promql.Time && !t.unit.Rate }

// readings are the ways to say at what it fires: more than 90 % used is less than 10 % free.
func (t threshold) readings() []reading {
	all := []reading{{t.base, t.side}, t.written}
	if t.unit.Of == promql.Ratio {
		for _, r := range slices.Clone(all) {
			all = append(all, reading{1 - r.value, -r.side}, reading{math.Abs(r.value - 1), r.side})
		}
	}
	return all
}

// thresholds returns the comparisons with a constant in an expression.
func (c *checker) thresholds(source string, expr parser.Expr) []threshold {
	return findThresholds(source, expr, c.known())
}

// known is what is known of metrics by the rules; nil before they are read.
func (c *checker) known() *promql.Known {
	if c.series == nil {
		return nil
	}
	return c.series.rules
}

func findThresholds(source string, expr parser.Expr, known *promql.Known) []threshold {
	var found []threshold
	var visit func(node parser.Node, sign direction)
	visit = func(node parser.Node, sign direction) { // which is 0 where it is not known what makes it fire
		switch e := node.(type) {
		case *parser.BinaryExpr:
			if t, ok := compare(e, known); ok {
				pos := e.PositionRange()
				t.text = strings.Join(strings.Fields(source[pos.Start:pos.End]), " ")
				t.side, t.written.side = t.side*sign, t.written.side*sign
				found = append(found, t)
			}
			right := sign
			switch {
			case e.Op == parser.LUNLESS: // fires while the right side does not
				right = -sign
			case !e.Op.IsSetOperator() && !(e.Op.IsComparisonOperator() && (e.Op == parser.GTR || e.Op == parser.GTE)):
				sign, right = unknown, unknown // x - count(y > 5), or count(y > 5) < 3
			}
			visit(e.LHS, sign)
			visit(e.RHS, right)
			return
		case *parser.Call:
			if strings.HasPrefix(e.Func.Name, "absent") {
				sign = -sign
			}
		}
		for child := range parser.ChildrenIter(node) {
			visit(child, sign)
		}
	}
	visit(expr, above)
	return found
}

// compare brings a comparison into the form of a threshold.
func compare(e *parser.BinaryExpr, known *promql.Known) (threshold, bool) {
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
	varying, constant, number, scale := e.LHS, e.RHS, right.constant, left.scale
	if right.scale != 0 {
		varying, constant, number, scale = e.RHS, e.LHS, left.constant, right.scale
	}
	pos := constant.PositionRange()
	t := threshold{op: e.Op, value: math.Abs(value), offset: int(pos.Start), end: int(pos.End)}
	if left.scale != 0 && right.scale != 0 {
		l, r := promql.UnitOf(e.LHS, known), promql.UnitOf(e.RHS, known)
		if t.unit = l; l.Of == promql.Moment || r.Of == promql.Moment { // whose difference is compared
			t.unit = promql.Unit{Of: promql.Time, Scale: max(l.Scale, r.Scale)}
		}
		number, scale = value, 1
	} else {
		t.unit = promql.UnitOf(varying, known)
	}
	t.unit = t.unit.Share()
	if t.unit == (promql.Unit{Of: promql.Ratio, Scale: 1}) && isSelected(varying) && math.Abs(number) > 2 {
		t.unit = promql.Unit{Scale: 1} // called a ratio, but in percent
	}
	inBase := t.unit.Scale
	t.base = t.value * inBase * math.Abs(scale)
	if t.unit.Of == "" {
		inBase, t.base = 1, math.Abs(number)
	}
	isMirrored := difference.scale < 0
	if value < 0 { // "now - end > -7 days" is "end - now < 7 days"
		isMirrored = !isMirrored
	}
	op := e.Op
	if constant == e.LHS {
		op = promql.Mirror(op)
	}
	if number < 0 {
		op = promql.Mirror(op)
	}
	if isMirrored {
		t.op = promql.Mirror(t.op)
	}
	t.written = reading{value: math.Abs(number) * inBase}
	if !e.ReturnBool { // what is made of the 0 and the 1 decides
		t.side, t.written.side = sideOf(t.op), sideOf(op)
	}
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			t.metrics = append(t.metrics, selector.Name)
		}
		return nil
	})
	return t, true
}

// isSelected reports whether an expression is a metric as it is.
func isSelected(expr parser.Expr) bool {
	_, ok := promql.Bare(expr).(*parser.VectorSelector)
	return ok
}

func sideOf(op parser.ItemType) direction {
	switch op {
	case parser.LSS, parser.LTE:
		return below
	case parser.GTR, parser.GTE:
		return above
	}
	return unknown
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

// expiryText finds what says that something ends in the future.
var expiryText = regexp.MustCompile(`(?i)expir(?:y|es?|ing|ation)(?:\b|_)|not_?after|valid_?(?:until|to)\b`)

// swapped demands that what is left until something expires is its moment minus now, and not now minus its moment, which
// is negative until then and so below any limit.
func (c *checker) swapped(alert rule.Alert, expr parser.Expr) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		e, ok := node.(*parser.BinaryExpr)
		if !ok || e.Op != parser.LSS && e.Op != parser.LTE {
			return nil
		}
		difference, ok := promql.Bare(e.LHS).(*parser.BinaryExpr)
		limit, isNumber := promql.Constant(e.RHS)
		if !ok || !isNumber || limit <= 0 || difference.Op != parser.SUB {
			return nil
		}
		now, isCall := promql.Bare(difference.LHS).(*parser.Call)
		if !isCall || now.Func.Name != "time" || difference.RHS.Type() != parser.ValueTypeVector {
			return nil
		}
		moment := difference.RHS
		ends := slices.ContainsFunc(selectors(moment), func(s *parser.VectorSelector) bool { return expiryText.MatchString(s.Name) })
		for _, name := range []string{"summary", "description", "message"} {
			if found := expiryText.FindString(alert.Annotations[name]); found != "" && !strings.Contains(alert.Annotations[name], "expired") && !strings.Contains(alert.Annotations[name], " ago") {
				ends = true
			}
		}
		if ends {
			pos := difference.PositionRange()
			c.reportRange(alert, "expr", int(pos.Start), int(pos.End), "trigger/direction", "%s fires at %s, which holds until %s and long after: write %s - time()",
				alert.Name, promql.Excerpt(e), promql.Excerpt(moment), promql.Excerpt(moment))
		}
		return nil
	})
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

// spanInName finds a time in a metric's name, as in node_load15 or requests_5m.
var spanInName = regexp.MustCompile(`(\d+)(s|sec|m|min|h|d)?(?:_|:|$)`)

// timesOf returns every time that a rule knows, alone and added up as far as they follow each other, and how far it looks
// back. All is false where a metric is recorded by a rule that is not here, so that its window is not known.
func (c *checker) timesOf(alert rule.Alert, expr parser.Expr) (known []float64, ranges []time.Duration, all bool) {
	known = timings(alert, expr)
	all = true
	seen := map[string]bool{}
	var visit func(expr parser.Expr)
	visit = func(expr parser.Expr) {
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			switch e := node.(type) {
			case *parser.MatrixSelector:
				ranges = append(ranges, e.Range)
			case *parser.SubqueryExpr:
				ranges = append(ranges, e.Range)
			case *parser.VectorSelector:
				if e.OriginalOffset > 0 {
					ranges = append(ranges, e.OriginalOffset)
				}
				name := promql.NameOf(e)
				if seen[name] {
					break
				}
				seen[name] = true
				for _, m := range spanInName.FindAllStringSubmatch(name, -1) {
					n, _ := strconv.ParseFloat(m[1], 64)
					known = append(known, n*units[cmp.Or(unitName[m[2]], "minute")].low)
				}
				for _, m := range e.LabelMatchers {
					if d, err := model.ParseDuration(m.Value); err == nil {
						known = append(known, time.Duration(d).Seconds())
					}
				}
				var recordings []promql.Recording
				if k := c.known(); k != nil {
					recordings = k.Recorded(name)
				}
				all = all && (len(recordings) > 0 || !strings.Contains(name, ":"))
				for _, r := range recordings {
					visit(r.Expr)
				}
			}
			return nil
		})
	}
	visit(expr)
	slices.Sort(ranges)
	ranges = slices.Compact(ranges)
	for _, r := range ranges {
		known = append(known, r.Seconds(), (r + alert.For).Seconds())
		for _, s := range ranges {
			known = append(known, (r + s).Seconds(), (r + s + alert.For).Seconds())
		}
	}
	return known, ranges, all
}
