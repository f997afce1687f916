package witness

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
)

// node is a part of an expression, computed for one series of its result.
type node struct {
	expr parser.Expr
	kids []*node // the operands, or the series that an aggregation takes; the rule's result for a recorded metric
	leaf *leaf   // the series of a selector
	// every is the interval at which a rule records it; 0 where none does.
	every time.Duration
	// constant is the value of what does not depend on its operands, such as absent().
	constant *float64
	of       func(name string) *class
	names    map[string]*class
}

// label returns the class of a label of the result.
func (n *node) label(name string) *class {
	if c, ok := n.names[name]; ok {
		return c
	}
	if n.names == nil {
		n.names = map[string]*class{}
	}
	c := none(name)
	if n.of != nil {
		c = n.of(name)
	}
	n.names[name] = c
	return c
}

// leaf is a series as one selector sees it.
type leaf struct {
	selector *parser.VectorSelector
	use      use
	classes  map[string]*class
	series   *series // once labels are chosen
	apart    int     // by how much its level differs from that of other rows
}

// class returns the class of a label. A series that is scraped has job and instance.
func (l *leaf) class(label string) *class {
	c := l.classes[label]
	if c == nil {
		isOfTarget := label == model.JobLabel || label == model.InstanceLabel
		c = &class{name: label, need: isOfTarget && isScraped(promql.NameOf(l.selector))}
		l.classes[label] = c
	}
	return c
}

// use is what is done with the samples of a series.
type use struct {
	function string        // the innermost function of a range that looks at changes, as rate
	window   time.Duration // how far back it looks, the offset not included
	offset   time.Duration
	clock    bool // it is compared with the time
	le       string
	upper    bool // it is a bucket into which all observations fall
}

// test is a comparison that has to hold, or must not.
type test struct {
	expr        *parser.BinaryExpr
	left, right *node
	op          parser.ItemType
	not         bool
}

// hint is a number with which a value is compared.
type hint struct {
	op    parser.ItemType // as in value op number
	value float64
}

// ban is a selector that must select nothing.
type ban struct {
	selector *parser.VectorSelector
	offset   time.Duration
	link     *link    // what it would be matched with; nil for nothing
	level    *float64 // a value at which the part that must have no result would have one; nil for any
}

// plan is one way to make an expression have a result: which side of an or, how many series in an aggregation, what is
// missing. The choices are taken in the order in which they come up; those that are not given are the first of each.
type plan struct {
	*finder
	choices []int
	asked   []int // how many options each choice had

	leaves []*leaf
	tests  []*test
	bans   []ban
	raised []string                // the alerts that have to fire first
	hints  []hint                  // numbers that the parts are compared with, innermost last
	sides  []int                   // the choices that are sides of or
	row    int                     // of the aggregations around
	kept   func(label string) bool // whether the one of which it is another row keeps a label
	depth  int                     // of recording rules
	failed string                  // why the plan cannot be

	series     []*series
	aggregates []*node
	wanted     *float64 // the value that a part which must have no result is compared with, or one beyond
	exact      bool     // what differs by rounding alone counts
}

// newPlan builds a plan, and reports why it cannot be in failed.
func (f *finder) newPlan(choices []int) *plan {
	p := &plan{finder: f, choices: choices}
	p.make(f.expr, use{})
	if p.failed == "" {
		p.label()
	}
	return p
}

func (p *plan) choose(options int) int {
	i := len(p.asked)
	p.asked = append(p.asked, options)
	if i < len(p.choices) {
		return min(p.choices[i], options-1)
	}
	return 0
}

func (p *plan) fail(format string, args ...any) {
	if p.failed == "" {
		p.failed = fmt.Sprintf(format, args...)
	}
}

func (p *plan) tie(a, b *class, at parser.Expr) {
	if !unify(a, b) {
		p.fail("%s would have to be two things in %s", a.name, promql.Excerpt(at))
	}
}

// maxDepth limits recording rules that read others.
const maxDepth = 12

// make builds what an expression needs to have a result.
func (p *plan) make(expr parser.Expr, u use) *node {
	n := &node{expr: expr}
	if p.failed != "" || len(p.leaves) > maxLeaves {
		p.fail("it selects too many series")
		return n
	}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return p.make(e.Expr, u)
	case *parser.StepInvariantExpr:
		return p.make(e.Expr, u)
	case *parser.NumberLiteral:
		n.constant = &e.Val
	case *parser.StringLiteral:
	case *parser.UnaryExpr:
		n.kids = []*node{p.make(e.Expr, u)}
		n.of = n.kids[0].label
	case *parser.MatrixSelector:
		u.window += e.Range
		n.kids = []*node{p.make(e.VectorSelector, u)}
		n.of = n.kids[0].label
	case *parser.SubqueryExpr:
		u.window += e.Range
		u.offset += e.OriginalOffset
		n.kids = []*node{p.make(e.Expr, u)}
		n.of = n.kids[0].label
	case *parser.VectorSelector:
		p.selector(n, e, u)
	case *parser.Call:
		p.call(n, e, u)
	case *parser.AggregateExpr:
		p.aggregate(n, e, u)
	case *parser.BinaryExpr:
		p.binary(n, e, u)
	default:
		p.fail("%s is not searched", promql.Excerpt(expr))
	}
	return n
}

const maxLeaves = 15_000

func (p *plan) selector(n *node, e *parser.VectorSelector, u use) {
	u.offset += e.OriginalOffset
	name := promql.NameOf(e)
	inner := func(expr parser.Expr, set map[string]string, every time.Duration) {
		p.depth++
		n.every = cmp.Or(every, p.interval)
		n.kids = []*node{p.make(expr, u)}
		p.depth--
		n.of = func(label string) *class {
			if text, ok := set[label]; ok {
				return given(label, text)
			}
			if isName(label) {
				return given(label, name)
			}
			return n.kids[0].label(label)
		}
		for _, m := range e.LabelMatchers {
			p.constrain(n, m, e)
		}
	}
	if all := p.recorded[name]; len(all) > 0 && p.depth < maxDepth {
		r := all[p.choose(len(all))]
		inner(r.expr, r.Labels, r.Interval)
		return
	}
	if (name == alertsMetric || name == alertsForState) && p.depth < maxDepth {
		raised := p.alertsOf(e)
		if len(raised) == 0 {
			p.fail("no other alert of these rules has what %s asks for", promql.Excerpt(e))
			return
		}
		a := raised[p.choose(len(raised))]
		p.raised = append(p.raised, a.set[model.AlertNameLabel])
		inner(a.expr, a.set, a.every)
		one := 1.0
		n.constant = &one
		return
	}
	l := &leaf{selector: e, use: u, classes: map[string]*class{}}
	n.leaf = l
	p.leaves = append(p.leaves, l)
	n.of = l.class
	if u.le != "" {
		l.classes["le"] = given("le", u.le)
	}
	for _, m := range e.LabelMatchers {
		p.constrain(n, m, e)
	}
	if name == "" {
		n.label(model.MetricNameLabel).need = true
	}
}

// isScraped reports whether the series of a metric have job and instance, going by its name.
func isScraped(name string) bool {
	return !strings.Contains(name, ":") && !strings.HasPrefix(name, alertsMetric)
}

const alertsMetric = "ALERTS"

// constrain demands that a label of a result meets a matcher.
func (p *plan) constrain(n *node, m *labels.Matcher, at parser.Expr) {
	c := n.label(m.Name).root()
	if c.fixed != nil {
		if !m.Matches(*c.fixed) {
			p.fail("%s=%q does not match %s in %s", m.Name, *c.fixed, m, promql.Excerpt(at))
		}
		return
	}
	if m.Type == labels.MatchEqual {
		c.fixed = &m.Value
		for _, before := range c.matchers {
			if !before.Matches(m.Value) {
				p.fail("%s=%q does not match %s", m.Name, m.Value, before)
			}
		}
		return
	}
	c.matchers = append(c.matchers, m)
	c.need = c.need || !m.Matches("")
}

// raised is an alert whose state a selector of ALERTS asks for, with the labels of its series.
type raised struct {
	expr  parser.Expr
	set   map[string]string
	every time.Duration
}

// alertsOf finds the other alerts whose state a selector of ALERTS may ask for.
func (p *plan) alertsOf(e *parser.VectorSelector) (all []raised) {
	for _, a := range p.Rules.set.Alerts {
		if a.Name == p.alert.Name && a.Line == p.alert.Line && a.File == p.alert.File {
			continue
		}
		set := map[string]string{}
		for label, text := range a.Labels {
			if !strings.Contains(text, "{{") {
				set[label] = text
			}
		}
		set[model.AlertNameLabel] = a.Name
		if promql.NameOf(e) == alertsMetric {
			set["alertstate"] = "firing"
		}
		fits := !slices.ContainsFunc(e.LabelMatchers, func(m *labels.Matcher) bool {
			text, ok := set[m.Name]
			return ok && m.Name != "alertstate" && !m.Matches(text)
		})
		if state := matchersOf(e, "alertstate"); len(state) > 0 && !state[0].Matches("firing") {
			set["alertstate"] = "pending"
			fits = fits && state[0].Matches("pending") && a.For > 0
		}
		if expr, err := promql.ParseExpr(a.Expr); err == nil && fits {
			all = append(all, raised{expr, set, a.Interval})
		}
	}
	return all[:min(len(all), 20)]
}

const alertsForState = "ALERTS_FOR_STATE"

// movers are the functions of a range that look at how a series changes.
var movers = []string{"rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "predict_linear",
	"double_exponential_smoothing", "stddev_over_time", "stdvar_over_time", "mad_over_time"}

func (p *plan) call(n *node, e *parser.Call, u use) {
	name := e.Func.Name
	switch name {
	case "absent", "absent_over_time":
		p.refute(e.Args[0], nil, u)
		one := 1.0
		n.constant = &one
		n.of = func(label string) *class { return given(label, absentLabel(e.Args[0], label)) }
		return
	case "histogram_quantile", "histogram_fraction":
		p.histogram(n, e, u)
		return
	case "info", "limitk", "limit_ratio", "histogram_quantiles":
		p.fail("%s() is not searched", name)
		return
	}
	if slices.Contains(movers, name) || name == "timestamp" {
		u.function = name
	}
	var of *node
	for _, arg := range e.Args {
		kid := p.make(arg, u)
		n.kids = append(n.kids, kid)
		if t := arg.Type(); of == nil && (t == parser.ValueTypeVector || t == parser.ValueTypeMatrix) {
			of = kid
		}
	}
	if of == nil || name == "scalar" {
		return
	}
	n.of = of.label
	switch name {
	case "label_replace":
		n.of = p.replaced(e, of)
	case "label_join":
		joined := ""
		for i := 3; i < len(e.Args); i++ {
			c := of.label(text(e.Args[i]))
			v, ok := c.choose()
			if !ok {
				p.fail("no value is found for %s", c.name)
			}
			c.root().fixed = &v
			if i > 3 {
				joined += text(e.Args[2])
			}
			joined += v
		}
		n.of = func(label string) *class {
			if label == text(e.Args[1]) {
				return given(label, joined)
			}
			return of.label(label)
		}
	}
}

func text(expr parser.Expr) string {
	if s, ok := promql.Bare(expr).(*parser.StringLiteral); ok {
		return s.Val
	}
	return ""
}

// replaced is what label_replace makes of the labels. The source is given a value that the pattern matches.
func (p *plan) replaced(e *parser.Call, of *node) func(string) *class {
	target, replacement, source, pattern := text(e.Args[1]), text(e.Args[2]), text(e.Args[3]), text(e.Args[4])
	replacing := func(c *class) func(string) *class {
		return func(label string) *class {
			if label == target {
				return c
			}
			return of.label(label)
		}
	}
	if source == "" {
		return replacing(given(target, replacement))
	}
	from := of.label(source)
	if replacement == "$1" && slices.Contains([]string{"(.*)", "(.+)", "^(.*)$", "^(.+)$"}, pattern) {
		from.root().need = from.root().need || from.root().fixed == nil
		return replacing(from)
	}
	m, err := labels.NewMatcher(labels.MatchRegexp, source, pattern)
	form, formErr := regexp.Compile("^(?s:" + pattern + ")$")
	if err != nil || formErr != nil {
		p.fail("the pattern %q cannot be read", pattern)
		return replacing(none(target))
	}
	root := from.root()
	if root.fixed == nil {
		root.matchers = append(root.matchers, m)
		if p.kept == nil || !p.kept(target) {
			root.index = max(root.index, p.row)
		}
		v, ok := root.choose()
		if !ok {
			p.fail("no value of %s is found that %q matches", source, pattern)
		}
		root.fixed = &v
	}
	found := form.FindStringSubmatchIndex(*root.fixed)
	if found == nil {
		return replacing(of.label(target))
	}
	value := string(form.ExpandString(nil, replacement, *root.fixed, found))
	return replacing(given(target, value))
}

// absentLabel is the value of a label of absent(): that of the one equality matcher.
func absentLabel(expr parser.Expr, label string) string {
	var s *parser.VectorSelector
	switch e := promql.Bare(expr).(type) {
	case *parser.VectorSelector:
		s = e
	case *parser.MatrixSelector:
		s = e.VectorSelector.(*parser.VectorSelector)
	default:
		return ""
	}
	value, seen := "", 0
	for _, m := range s.LabelMatchers {
		if m.Name == label && !isName(label) {
			seen++
			if m.Type == labels.MatchEqual {
				value = m.Value
			}
		}
	}
	if seen > 1 {
		return ""
	}
	return value
}

// histogram builds the buckets of a histogram: up to a number that the quantile is compared with, up to twice as much,
// and all.
func (p *plan) histogram(n *node, e *parser.Call, u use) {
	bound := 1.0
	for _, h := range slices.Backward(p.hints) {
		if h.value > 0 && !math.IsInf(h.value, 0) {
			bound = h.value
			break
		}
	}
	last := len(e.Args) - 1
	for _, arg := range e.Args[:last] {
		n.kids = append(n.kids, p.make(arg, u))
	}
	first := len(n.kids)
	for i, le := range []string{number(bound), number(2 * bound), "+Inf"} {
		u.le, u.upper = le, i > 0
		kid := p.make(e.Args[last], u)
		if first < len(n.kids) {
			for _, label := range p.universe {
				if label != "le" {
					p.tie(n.kids[first].label(label), kid.label(label), e)
				}
			}
		}
		n.kids = append(n.kids, kid)
	}
	n.of = func(label string) *class {
		if label == "le" {
			return none(label)
		}
		return n.kids[first].label(label)
	}
}

// rows lists how many series an aggregation is tried with.
func (p *plan) rows(e *parser.AggregateExpr) []int {
	options := []int{1, 2, 3}
	switch e.Op {
	case parser.STDDEV, parser.STDVAR:
		options = []int{2, 3, 1}
	case parser.COUNT_VALUES:
		options = []int{1, 2}
	}
	if e.Op != parser.COUNT && e.Op != parser.SUM {
		return options
	}
	var near []int
	for _, h := range slices.Backward(p.hints) {
		v := h.value
		if v < 0 || v > 12_000 || e.Op == parser.SUM && (v > 100 || promql.Analyze(e.Expr, p.known, promql.Usual).Of(e.Expr).Values.Max > 1) {
			continue
		}
		first := int(v) + 1
		switch h.op {
		case parser.GTE:
			first = int(math.Ceil(v))
		case parser.LSS:
			first = int(math.Ceil(v)) - 1
		case parser.LTE, parser.EQLC:
			first = int(v)
		}
		for _, n := range []int{first, int(v) + 1, int(math.Ceil(v)) - 1, int(v)} {
			if n >= 1 && !slices.Contains(near, n) {
				near = append(near, n)
			}
		}
	}
	if e.Op == parser.COUNT {
		options = append(near, options...)
	} else {
		options = append(options, near...)
	}
	var all []int
	for _, n := range options {
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

func (p *plan) aggregate(n *node, e *parser.AggregateExpr, u use) {
	options := p.rows(e)
	count := options[p.choose(len(options))]
	if e.Param != nil {
		if e.Op == parser.QUANTILE || e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			n.kids = append(n.kids, p.make(e.Param, use{}))
		}
	}
	before := len(n.kids)
	kept := func(label string) bool { return slices.Contains(e.Grouping, label) != e.Without && !isName(label) }
	for row := range count {
		hints := p.hints
		if e.Op == parser.COUNT || e.Op == parser.GROUP {
			p.hints = nil // it says nothing of the values that are counted
		}
		leaves, outer, outerKept := len(p.leaves), p.row, p.kept
		p.row += row
		if row > 0 {
			p.kept = kept
		}
		n.kids = append(n.kids, p.make(e.Expr, u))
		p.row, p.kept = outer, outerKept
		p.hints = hints
		if inner, ok := promql.Bare(e.Expr).(*parser.AggregateExpr); ok && inner.Op == parser.COUNT_VALUES {
			for _, l := range p.leaves[min(leaves, len(p.leaves)):] {
				l.apart = row
			}
		}
	}
	rows := n.kids[before:]
	p.aggregates = append(p.aggregates, n)
	n.of = func(label string) *class {
		if e.Op == parser.COUNT_VALUES && label == text(e.Param) {
			return &class{name: label, need: true}
		}
		if (e.Op == parser.TOPK || e.Op == parser.BOTTOMK) || kept(label) {
			c := rows[0].label(label)
			if !e.Without && c.root().fixed == nil && slices.Contains(e.Grouping, label) {
				c.root().need = true
			}
			return c
		}
		return none(label)
	}
	if p.failed != "" || count == 1 {
		return
	}
	for _, row := range rows[1:] {
		for _, label := range p.universe {
			if kept(label) {
				p.tie(rows[0].label(label), row.label(label), e)
			}
		}
	}
	p.distinguish(e, rows, kept)
}

// distinguish gives the series of an aggregation different values in a label that it drops.
func (p *plan) distinguish(e *parser.AggregateExpr, rows []*node, kept func(string) bool) {
	inner, _ := promql.Bare(e.Expr).(*parser.AggregateExpr)
	var names []string
	if e.Without {
		names = append(names, e.Grouping...)
	} else if inner != nil && !inner.Without {
		names = append(names, inner.Grouping...)
	}
	names = append(names, model.InstanceLabel)
	names = append(names, p.universe...)
	names = append(names, "pod", "replica")
	for _, name := range names {
		if kept(name) || isName(name) || name == "le" {
			continue
		}
		free, differs := true, true
		seen, given := map[*class]bool{}, map[string]bool{}
		for _, row := range rows {
			c := row.label(name).root()
			free = free && c.fixed == nil && !seen[c]
			seen[c] = true
			differs = differs && c.fixed != nil && !given[*c.fixed]
			if c.fixed != nil {
				given[*c.fixed] = true
			}
		}
		if differs {
			return
		}
		if !free {
			continue
		}
		for i, row := range rows {
			c := row.label(name).root()
			if i > 0 {
				c.index += i
			}
			c.need = true
		}
		return
	}
	p.fail("the series of %s cannot differ", promql.Excerpt(e))
}

func (p *plan) binary(n *node, e *parser.BinaryExpr, u use) {
	switch e.Op {
	case parser.LAND:
		n.kids = []*node{p.make(e.LHS, u), p.make(e.RHS, u)}
		p.separate(e, n.kids[1])
		p.match(e, n.kids[0], n.kids[1])
		n.of = n.kids[0].label
		return
	case parser.LUNLESS:
		n.kids = []*node{p.make(e.LHS, u)}
		p.refute(e.RHS, &link{n.kids[0], e}, u)
		n.of = n.kids[0].label
		return
	case parser.LOR:
		p.sides = append(p.sides, len(p.asked))
		side := e.LHS
		if p.choose(2) == 1 {
			p.refute(e.LHS, nil, u)
			side = e.RHS
		}
		n.kids = []*node{p.make(side, u)}
		n.of = n.kids[0].label
		return
	}
	left, right := u, u
	left.clock = u.clock || isClock(e.RHS)
	right.clock = u.clock || isClock(e.LHS)
	hints := p.hints
	for i, side := range []parser.Expr{e.LHS, e.RHS} {
		if v, ok := promql.Constant(side); ok {
			if e.Op.IsComparisonOperator() {
				op := e.Op
				if i == 0 {
					op = promql.Mirror(op)
				}
				p.hints = append(slices.Clone(p.hints), hint{op, v})
			} else if e.Op == parser.MUL && v != 0 {
				p.hints = scaled(p.hints, 1/v)
			} else if e.Op == parser.DIV && v != 0 {
				p.hints = scaled(p.hints, v)
			}
		}
	}
	n.kids = []*node{p.make(e.LHS, left), p.make(e.RHS, right)}
	p.hints = hints
	p.separate(e, n.kids[1])
	p.match(e, n.kids[0], n.kids[1])
	n.of = p.combined(e, n.kids[0], n.kids[1])
	if e.Op.IsComparisonOperator() && !e.ReturnBool && e.Type() == parser.ValueTypeVector {
		p.tests = append(p.tests, &test{expr: e, left: n.kids[0], right: n.kids[1], op: e.Op})
	}
}

func scaled(all []hint, by float64) []hint {
	r := make([]hint, len(all))
	for i, h := range all {
		r[i] = hint{h.op, h.value * by}
	}
	return r
}

// isClock reports whether an expression is computed from the time alone.
func isClock(expr parser.Expr) bool {
	for range selectorsIn(expr) {
		return false
	}
	return calls(expr, "time")
}

// separate lets the right side of an operator be of another series than the left, where both select the same metric and are
// not matched on all labels.
func (p *plan) separate(e *parser.BinaryExpr, right *node) {
	m := e.VectorMatching
	if m == nil || !m.On && len(m.MatchingLabels) == 0 || p.failed != "" {
		return
	}
	names := map[string]bool{}
	for s := range selectorsIn(e.LHS) {
		names[promql.NameOf(s)] = true
	}
	both := false
	for s := range selectorsIn(e.RHS) {
		both = both || names[promql.NameOf(s)] && promql.NameOf(s) != ""
	}
	if !both {
		return
	}
	for _, label := range append(append([]string{model.InstanceLabel}, p.universe...), "device") {
		if slices.Contains(m.MatchingLabels, label) == m.On || right.label(label).root().fixed != nil {
			continue
		}
		if c := right.label(label).root(); p.choose(2) == 1 {
			c.index, c.need = c.index+1, true
		}
		return
	}
}

// match ties the labels on which two sides are matched.
func (p *plan) match(e *parser.BinaryExpr, left, right *node) {
	m := e.VectorMatching
	if m == nil || e.LHS.Type() != parser.ValueTypeVector || e.RHS.Type() != parser.ValueTypeVector {
		return
	}
	for _, label := range p.universe {
		if isName(label) || slices.Contains(m.MatchingLabels, label) != m.On {
			continue
		}
		p.tie(left.label(label), right.label(label), e)
		if m.On && left.label(label).root().fixed == nil {
			left.label(label).root().need = true
		}
	}
}

// combined is what an operator leaves of the labels of its sides.
func (p *plan) combined(e *parser.BinaryExpr, left, right *node) func(string) *class {
	switch {
	case e.LHS.Type() != parser.ValueTypeVector:
		return right.label
	case e.RHS.Type() != parser.ValueTypeVector:
		return left.label
	}
	m := e.VectorMatching
	many, one := left, right
	switch m.Card {
	case parser.CardOneToMany:
		many, one = right, left
		fallthrough
	case parser.CardManyToOne:
		return func(label string) *class {
			if slices.Contains(m.Include, label) {
				c := one.label(label)
				if c.root().fixed == nil {
					c.root().need = true
				}
				return c
			}
			return many.label(label)
		}
	}
	return func(label string) *class {
		if slices.Contains(m.MatchingLabels, label) == m.On && !isName(label) {
			return left.label(label)
		}
		return none(label)
	}
}

// link is what a side that must have no result is matched with.
type link struct {
	left *node
	e    *parser.BinaryExpr
}

// refute builds what an expression needs to have no result.
func (p *plan) refute(expr parser.Expr, l *link, u use) {
	if p.failed != "" {
		return
	}
	switch e := expr.(type) {
	case *parser.ParenExpr:
		p.refute(e.Expr, l, u)
	case *parser.StepInvariantExpr:
		p.refute(e.Expr, l, u)
	case *parser.UnaryExpr:
		p.refute(e.Expr, l, u)
	case *parser.MatrixSelector:
		p.refute(e.VectorSelector, l, u)
	case *parser.SubqueryExpr:
		u.offset += e.OriginalOffset
		p.refute(e.Expr, l, u)
	case *parser.VectorSelector:
		name := promql.NameOf(e)
		if all := p.recorded[name]; len(all) > 0 && p.depth < maxDepth {
			p.depth++
			for _, r := range all {
				p.refute(r.expr, nil, u)
			}
			p.depth--
			return
		}
		p.bans = append(p.bans, ban{e, u.offset + e.OriginalOffset, l, p.wanted})
	case *parser.AggregateExpr:
		p.refute(e.Expr, nil, u)
	case *parser.Call:
		p.refuteCall(e, u)
	case *parser.BinaryExpr:
		p.refuteBinary(e, l, u)
	default:
		p.fail("%s always has a result", promql.Excerpt(expr))
	}
}

func (p *plan) refuteCall(e *parser.Call, u use) {
	switch e.Func.Name {
	case "absent", "absent_over_time":
		p.make(e.Args[0], u)
		return
	case "vector", "scalar", "time":
		p.fail("%s always has a result", promql.Excerpt(e))
		return
	}
	for _, arg := range e.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			p.refute(arg, nil, u)
			return
		}
	}
	p.fail("%s always has a result", promql.Excerpt(e))
}

func (p *plan) refuteBinary(e *parser.BinaryExpr, l *link, u use) {
	switch e.Op {
	case parser.LAND:
		if p.choose(2) == 0 {
			p.refute(e.RHS, nil, u)
		} else {
			p.refute(e.LHS, nil, u)
		}
		return
	case parser.LOR:
		p.refute(e.LHS, l, u)
		p.refute(e.RHS, l, u)
		return
	case parser.LUNLESS:
		if p.choose(2) == 0 {
			p.refute(e.LHS, nil, u)
		} else {
			p.match(e, p.make(e.LHS, u), p.make(e.RHS, u))
		}
		return
	}
	// Whichever side can have no result.
	side := e.LHS
	if side.Type() != parser.ValueTypeVector || promql.Always(side) {
		side = e.RHS
	}
	canMiss := side.Type() == parser.ValueTypeVector && !promql.Always(side)
	if !e.Op.IsComparisonOperator() || e.ReturnBool {
		if !canMiss {
			p.fail("%s always has a result", promql.Excerpt(e))
			return
		}
		p.refute(side, nil, u)
		return
	}
	isFalse := p.isSelected(e)
	if canMiss && p.choose(2) == 1 {
		isFalse = !isFalse
	}
	if !isFalse && canMiss {
		p.wanted = wanted(e)
		p.refute(side, l, u)
		p.wanted = nil
		return
	}
	tests := len(p.tests)
	n := p.make(e, u)
	if p.failed == "" && len(p.tests) > tests {
		p.tests[len(p.tests)-1].not = true
	}
	if l != nil {
		p.match(l.e, l.left, n)
	}
}

// wanted is a value with which a comparison with a number holds.
func wanted(e *parser.BinaryExpr) *float64 {
	v, ok := promql.Constant(e.RHS)
	op := e.Op
	if !ok {
		if v, ok = promql.Constant(e.LHS); !ok {
			return nil
		}
		op = promql.Mirror(op)
	}
	switch op {
	case parser.GTR, parser.NEQ:
		v++
	case parser.LSS:
		v--
	}
	return &v
}

// isSelected reports whether the plan already needs a series that a part of an expression selects.
func (p *plan) isSelected(expr parser.Expr) bool {
	for s := range selectorsIn(expr) {
		for _, l := range p.leaves {
			if promql.NameOf(l.selector) == promql.NameOf(s) {
				return true
			}
		}
	}
	return false
}

// label chooses the labels of all series, and makes those of the leaves that have the same one series.
func (p *plan) label() {
	for _, l := range p.leaves {
		name := promql.NameOf(l.selector)
		if strings.HasSuffix(name, "_bucket") && l.classes["le"] == nil {
			l.classes["le"] = given("le", "+Inf")
		}
		for _, label := range []string{model.JobLabel, model.InstanceLabel} {
			if isScraped(name) {
				l.class(label)
			}
		}
	}
	byLabels := map[uint64]*series{}
	for _, l := range p.leaves {
		values := map[string]string{}
		for label, c := range l.classes {
			v, ok := p.valueOf(c, label, l)
			if !ok {
				p.fail("no value of %s is found for %s", label, promql.Excerpt(l.selector))
				return
			}
			if v != "" {
				values[label] = v
			}
		}
		set := labels.FromMap(values)
		if l.series = byLabels[set.Hash()]; l.series == nil {
			l.series = &series{labels: set}
			byLabels[set.Hash()] = l.series
			p.series = append(p.series, l.series)
		}
		l.series.apart = max(l.series.apart, l.apart)
		l.series.uses = append(l.series.uses, l.use)
	}
	p.obeyBans()
	for _, n := range p.aggregates {
		p.complete(n)
	}
}

// complete adds to the series of an aggregation those that its selector selects as well.
func (p *plan) complete(n *node) {
	e := n.expr.(*parser.AggregateExpr)
	row := n.kids[len(n.kids)-1]
	l := onlyLeaf(row)
	if l == nil {
		return
	}
	own := map[*series]bool{}
	for _, kid := range n.kids {
		if other := onlyLeaf(kid); other != nil {
			own[other.series] = true
		}
	}
	group := func(s *series) labels.Labels {
		if e.Without {
			return labels.NewBuilder(s.labels).Del(append([]string{model.MetricNameLabel}, e.Grouping...)...).Labels()
		}
		return labels.NewBuilder(s.labels).Keep(e.Grouping...).Labels()
	}
	for _, s := range p.series {
		if !own[s] && labels.Selector(l.selector.LabelMatchers).Matches(s.labels) && labels.Equal(group(s), group(l.series)) {
			n.kids = append(n.kids, copied(row, &leaf{selector: l.selector, use: l.use, series: s}))
			s.uses = append(s.uses, l.use)
		}
	}
}

// onlyLeaf is the one series that a part computes with, where it computes with numbers beside it and drops nothing; or nil.
func onlyLeaf(n *node) *leaf {
	if n.leaf != nil {
		return n.leaf
	}
	switch e := n.expr.(type) {
	case *parser.AggregateExpr:
		return nil
	case *parser.VectorSelector:
		return nil // recorded
	case *parser.BinaryExpr:
		if e.Op.IsSetOperator() || e.Op.IsComparisonOperator() && !e.ReturnBool {
			return nil
		}
	}
	var found *leaf
	for _, kid := range n.kids {
		if _, isNumber := kid.expr.(*parser.NumberLiteral); isNumber {
			continue
		}
		l := onlyLeaf(kid)
		if l == nil || found != nil {
			return nil
		}
		found = l
	}
	return found
}

// copied is a part of an expression that computes with another series.
func copied(n *node, l *leaf) *node {
	c := *n
	if n.leaf != nil {
		c.leaf = l
		return &c
	}
	c.kids = make([]*node, len(n.kids))
	for i, kid := range n.kids {
		c.kids[i] = copied(kid, l)
	}
	return &c
}

func (p *plan) valueOf(c *class, label string, l *leaf) (string, bool) {
	root := c.root()
	if root.fixed == nil {
		v, ok := root.choose()
		if !ok {
			return "", false
		}
		root.fixed = &v
	}
	for _, m := range l.selector.LabelMatchers {
		if m.Name == label && !m.Matches(*root.fixed) {
			return "", false
		}
	}
	return *root.fixed, true
}

// obeyBans makes series that a ban selects begin or end in time, where it looks at another time than their use.
func (p *plan) obeyBans() {
	for _, b := range p.bans {
		for _, s := range p.series {
			if !labels.Selector(b.selector.LabelMatchers).Matches(s.labels) {
				continue
			}
			before, after := false, false
			for _, u := range s.uses {
				before = before || u.offset+u.window < b.offset
				after = after || u.offset > b.offset
			}
			switch {
			case before && !after:
				s.begins = true
			case after && !before:
				s.ends = true
			default:
				p.fail("%s must select nothing, and something", promql.Excerpt(b.selector))
			}
		}
	}
}

// recording is a recording rule with its expression parsed.
type recording struct {
	rule.Recording
	expr parser.Expr
}
