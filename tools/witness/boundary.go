package witness

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
)

// pair is a boundary: two neighbouring values of a variable, of which only fires makes the alert fire.
type pair struct {
	quiet, fires float64
	isolated     isolation // whether one of them is like neither of its neighbours, as in x == 5 or x != 5
	beyond       float64   // then that value
}

// decision is a boundary of a variable.
type decision struct {
	of variable
	at pair
}

// isolation is the value of a pair that differs from both its neighbours.
type isolation int

const (
	neither isolation = iota
	fires
	quiet
)

// boundaries finds for each condition of the plan the nearest inputs at which the alert fires and does not.
func (p *plan) boundaries(ctx context.Context) (found []Boundary, unknown []Unknown, err error) {
	p.exact = true
	var seen []parser.Expr
	taken := map[decision]bool{}
	for _, t := range p.tests {
		if slices.Contains(seen, parser.Expr(t.expr)) || len(p.seriesOf(t)) == 0 && !calls(t.expr, calendar...) {
			continue
		}
		seen = append(seen, t.expr)
		b, ok, err := p.boundaryOf(ctx, t, taken)
		switch {
		case err != nil:
			return nil, nil, err
		case ok:
			found = append(found, b)
		default:
			if p.looks > maxSeen {
				unknown = append(unknown, Unknown{p.text(t.expr), "it looks back too far for a search"})
				continue
			}
			unknown = append(unknown, Unknown{p.text(t.expr), "where it was seen to fail, another condition failed as well"})
		}
	}
	missing, err := p.presences(ctx)
	return append(found, missing...), unknown, err
}

func (p *plan) boundaryOf(ctx context.Context, t *test, taken map[decision]bool) (Boundary, bool, error) {
	if p.looks > maxSeen {
		return Boundary{}, false, nil
	}
	all := p.variablesOf(t)
	for _, v := range all {
		if b, ok, err := p.decides(ctx, v, t, taken); ok || err != nil {
			return b, ok, err
		}
	}
	// Where other conditions turn first, they may not with another series at its least.
	for _, other := range all[:min(len(all), 4)] {
		old := p.get(other)
		for _, least := range []float64{0, 1} {
			if least < other.low || least > other.high || old == least || other.of == nil || other.of.moment || !p.firesAt(ctx, other, least) {
				continue
			}
			p.put(other, least)
			for _, v := range all {
				if v.of == other.of {
					continue
				}
				if b, ok, err := p.decides(ctx, v, t, taken); ok || err != nil {
					p.put(other, old)
					return b, ok, err
				}
			}
			p.put(other, old)
		}
	}
	if b, ok, err := p.copies(ctx, t); ok || err != nil {
		return b, ok, err
	}
	if len(all) > 0 {
		return Boundary{}, false, nil
	}
	return p.leaving(ctx, t)
}

// leaving is the boundary of a series that is there and one that is missing.
func (p *plan) leaving(ctx context.Context, t *test) (Boundary, bool, error) {
	for _, one := range p.series {
		if p.seriesOf(t)[one] == 0 {
			continue
		}
		b := Boundary{Alert: p.alert, Condition: p.text(t.expr), Fires: p.title(one) + " there", Quiet: "missing"}
		s := &story{plan: p, name: b.Fires, opposite: p.title(one) + " missing", clears: "missing"}
		s.fire = func() { one.missing = false }
		s.calm = func() { one.missing = true }
		ok, err := s.observe(ctx, &b)
		one.missing = false
		if ok || err != nil {
			return b, ok, err
		}
	}
	return Boundary{}, false, nil
}

// decides finds the boundary of a test that a variable has.
func (p *plan) decides(ctx context.Context, v variable, t *test, taken map[decision]bool) (Boundary, bool, error) {
	if p.looks > maxSeen {
		return Boundary{}, false, nil
	}
	old := p.get(v)
	defer p.put(v, old)
	at, ok := p.cross(ctx, v, t)
	if ctx.Err() != nil {
		return Boundary{}, false, ctx.Err()
	}
	if !ok || taken[decision{v, at}] {
		return Boundary{}, false, nil
	}
	b, ok, err := p.tell(ctx, v, t, at)
	taken[decision{v, at}] = ok
	return b, ok, err
}

// seriesOf are the series on which a test depends, each with how often.
func (p *plan) seriesOf(t *test) map[*series]int {
	all := map[*series]int{}
	var visit func(n *node)
	visit = func(n *node) {
		if n.constant != nil {
			return
		}
		if n.leaf != nil {
			all[n.leaf.series]++
		}
		for _, kid := range n.kids {
			visit(kid)
		}
	}
	visit(t.left)
	visit(t.right)
	return all
}

// variablesOf lists the variables that a test depends on: those that fewer tests depend on come first.
func (p *plan) variablesOf(t *test) []variable {
	own := p.seriesOf(t)
	uses := map[*series]int{}
	for _, other := range p.tests {
		for s, n := range p.seriesOf(other) {
			uses[s] += n
		}
	}
	var all []variable
	for _, v := range p.variables() {
		if v.of == nil && calls(t.expr, calendar...) || own[v.of] > 0 {
			all = append(all, v)
		}
	}
	slices.SortStableFunc(all, func(a, b variable) int { return uses[a.of] - uses[b.of] })
	return all[:min(len(all), 12)]
}

// firesAt reports whether the alert fires with another value of a variable.
func (p *plan) firesAt(ctx context.Context, v variable, value float64) bool {
	old := p.get(v)
	p.put(v, value)
	defer p.put(v, old)
	missing, err := p.fires(ctx)
	return err == nil && missing < 0
}

// cross finds the neighbouring values of a variable between which the alert changes because a test does.
func (p *plan) cross(ctx context.Context, v variable, t *test) (pair, bool) {
	now := p.get(v)
	switch v.kind {
	case atStart:
		for _, step := range []float64{-3600, 3600} {
			for i := 1.0; i <= 7*24; i++ {
				if to := now + step*i; !p.firesAt(ctx, v, to) {
					return pair{quiet: to, fires: to - step}, true
				}
			}
		}
		return pair{}, false
	case atPeriod, atGap:
		for i := 1; i <= 60; i++ {
			for _, to := range []float64{now + float64(i), now - float64(i)} {
				if to >= 0 && (v.kind != atGap || to > 0) && !p.firesAt(ctx, v, to) && p.turns(v, t, now, to) {
					return pair{quiet: to, fires: now + math.Copysign(float64(i-1), to-now)}, true
				}
			}
		}
		return pair{}, false
	}
	if root, ok := p.root(v, t, p.begin); ok {
		p.put(v, now)
		if at, ok := p.neighbours(ctx, v, root, 1); ok && v.kind == atSlope && v.of.counter && root >= 5 && p.turns(v, t, at.fires, at.quiet) {
			return p.clear(ctx, v, t, at), true // what is counted is counted in whole numbers
		}
		if at, ok := p.neighbours(ctx, v, root, p.step(v, t.expr, root)); ok && p.turns(v, t, at.fires, at.quiet) {
			return p.clear(ctx, v, t, at), true
		}
	}
	p.put(v, now)
	return p.bisect(ctx, v, t, now)
}

// clear moves the firing side of a boundary one step on where it differs from the threshold by rounding alone.
func (p *plan) clear(ctx context.Context, v variable, t *test, at pair) pair {
	old := p.get(v)
	defer p.put(v, old)
	p.put(v, at.fires)
	p.exact = false
	isNear := p.missBy(t, p.begin) > 0
	p.exact = true
	further := roundOff(at.fires + at.fires - at.quiet)
	if isNear && at.isolated == neither && further >= v.low && further <= v.high && p.firesAt(ctx, v, further) {
		at.fires = further
	}
	return at
}

// turns reports whether a test is another at two values of a variable.
func (p *plan) turns(v variable, t *test, a, b float64) bool {
	old := p.get(v)
	defer p.put(v, old)
	var held [2]bool
	for i, value := range []float64{a, b} {
		p.put(v, value)
		held[i] = true
		for _, at := range p.moments {
			held[i] = held[i] && p.missBy(t, at) == 0
		}
	}
	return held[0] != held[1]
}

// bisect looks for a change between the value at which the alert fires and others.
func (p *plan) bisect(ctx context.Context, v variable, t *test, now float64) (pair, bool) {
	var candidates []float64
	for _, c := range steps {
		candidates = append(candidates, c)
		if v.low < 0 {
			candidates = append(candidates, -c)
		}
	}
	slices.SortFunc(candidates, func(a, b float64) int {
		switch d := math.Abs(a-now) - math.Abs(b-now); {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
	asked := 0
	for _, other := range candidates {
		if other == now || other < v.low || other > v.high || !p.turns(v, t, now, other) {
			continue
		}
		if asked++; asked > 4 {
			break
		}
		if p.firesAt(ctx, v, other) {
			continue
		}
		near, far := now, other
		for range 40 {
			mid := (near + far) / 2
			if v.whole {
				mid = math.Trunc(mid)
			}
			if mid == near || mid == far || !v.whole && math.Abs(near-far) <= 1e-7*max(math.Abs(near), math.Abs(far)) {
				break
			}
			if p.firesAt(ctx, v, mid) {
				near = mid
			} else {
				far = mid
			}
		}
		root, step := roundest(near, far)
		if v.whole {
			root, step = far, 1
		}
		if at, ok := p.neighbours(ctx, v, root, step); ok && p.turns(v, t, at.fires, at.quiet) {
			return p.clear(ctx, v, t, at), true
		}
		if v.whole {
			return pair{quiet: far, fires: near}, true
		}
	}
	return pair{}, false
}

// roundest is the number with the fewest digits among those next to a boundary between two others, and the distance to its
// neighbours.
func roundest(near, far float64) (root, step float64) {
	middle, width := (near+far)/2, math.Abs(near-far)
	for digits := range 5 {
		step = math.Pow10(-digits)
		if root = math.Round(middle/step) * step; math.Abs(root-middle) <= width {
			return roundOff(root), step
		}
	}
	step = stepAt(middle)
	return roundOff(math.Round(middle/step) * step), step
}

// step is the distance between neighbouring values: 1 for what is counted, else one unit in the last place of the number
// in the expression.
func (p *plan) step(v variable, b *parser.BinaryExpr, root float64) float64 {
	if v.whole {
		return 1
	}
	places := 0
	for _, sides := range [][2]parser.Expr{{b.LHS, b.RHS}, {b.RHS, b.LHS}} {
		if literal, ok := promql.Bare(sides[1]).(*parser.NumberLiteral); ok {
			if _, ok := promql.Bare(sides[0]).(*parser.VectorSelector); ok {
				if _, fraction, ok := strings.Cut(p.text(literal), "."); ok && strings.Trim(fraction, "0123456789") == "" {
					places = len(fraction)
				}
			}
		}
	}
	step := math.Pow10(-places)
	for digits := places; root*math.Pow10(digits) != math.Trunc(root*math.Pow10(digits)); digits++ {
		if digits-places > 6 { // not a fraction that a person would write
			step = 1
			if math.Abs(root) < 10 {
				step = math.Pow10(int(math.Floor(math.Log10(math.Abs(root)))) - 1)
			}
			break
		}
		step = math.Pow10(-digits - 1)
	}
	if ulp := math.Nextafter(math.Abs(root), math.Inf(1)) - math.Abs(root); ulp > step {
		step = math.Pow10(int(math.Ceil(math.Log10(ulp))))
	}
	return step
}

// neighbours asks the engine which of the values around a root make the alert fire.
func (p *plan) neighbours(ctx context.Context, v variable, root, step float64) (pair, bool) {
	middle := math.Round(root / step)
	value := func(i int) float64 { return roundOff((middle + float64(i)) * step) }
	seen := map[int]bool{}
	is := func(i int) bool {
		if held, ok := seen[i]; ok {
			return held
		}
		seen[i] = p.firesAt(ctx, v, value(i))
		return seen[i]
	}
	possible := func(i int) bool { return value(i) >= v.low && value(i) <= v.high }
	for _, i := range []int{0, -1, 1, -2, 2, -3, 3} { // the change is between i and i+1
		if !possible(i) || !possible(i+1) {
			continue
		}
		a, b := is(i), is(i+1)
		if a == b {
			continue
		}
		at := pair{quiet: value(i), fires: value(i + 1)}
		beyondFires, beyondQuiet := i+2, i-1
		if a {
			at = pair{quiet: value(i + 1), fires: value(i)}
			beyondFires, beyondQuiet = i-1, i+2
		}
		for _, end := range []struct {
			at       int
			held     bool // whether the alert fires at the neighbour, unless the value is isolated
			isolated isolation
			other    *float64
		}{{beyondFires, true, fires, &at.quiet}, {beyondQuiet, false, quiet, &at.fires}} {
			if !possible(end.at) || at.isolated != neither {
				continue
			}
			if held := is(end.at); held != end.held {
				at.isolated, at.beyond = end.isolated, value(end.at)
				if at.beyond == 0 { // for x == 1, the other value of interest is 0
					*end.other, at.beyond = at.beyond, *end.other
				}
			}
		}
		return at, true
	}
	return pair{}, false
}

// text is the source of a part of the alert's expression, on one line; of a part of a rule that it reads, as Prometheus
// prints it.
func (p *plan) text(node parser.Expr) string {
	at := node.PositionRange()
	if int(at.End) <= len(p.alert.Expr) && at.Start >= 0 && at.Start < at.End {
		text := strings.Join(strings.Fields(p.alert.Expr[at.Start:at.End]), " ")
		if parsed, err := promql.ParseExpr(text); err == nil && parsed.String() == node.String() {
			return text
		}
	}
	return promql.Excerpt(node)
}

// position describes a value of a variable, without the name of its series.
func (p *plan) position(v variable, value float64) string {
	every := model.Duration(p.sampled).String()
	switch v.kind {
	case atStart:
		return "at " + time.Unix(int64(value), 0).UTC().Format("15:04 on Monday, 2 January")
	case atPeriod:
		if value == 0 {
			return "unchanged"
		}
		if v.of.resets {
			return "reset each " + model.Duration(time.Duration(value)*p.sampled).String()
		}
		return "changing each " + model.Duration(time.Duration(value)*p.sampled).String()
	case atGap:
		return "with a sample each " + model.Duration(time.Duration(value)*p.sampled).String()
	case atSwing:
		return "going up and down by " + number(value)
	case atEarly:
		if v.of.counter {
			return fmt.Sprintf("rising by %s each %s before, by %s since", number(v.of.slope+value), every, number(v.of.slope))
		}
		return fmt.Sprintf("at %s before, at %s since", number(min(max(v.of.level+value, v.of.low), v.of.high)), number(v.of.level))
	case atSlope:
		if le := v.of.labels.Get("le"); le != "" {
			return fmt.Sprintf("with %s of %s within %s", number(value), number(bucketTotal), le)
		}
		if v.of.counter && v.of.early != 0 {
			return fmt.Sprintf("rising by %s each %s before, by %s since", number(max(0, value+v.of.early)), every, number(value))
		}
		if value < 0 {
			return fmt.Sprintf("falling by %s each %s to %s", number(-value), every, number(v.of.level))
		}
		return fmt.Sprintf("rising by %s each %s", number(value), every)
	}
	if v.of.moment {
		if value < 0 {
			return number(-value) + "s ago"
		}
		return "in " + number(value) + "s"
	}
	return number(value)
}

// bucketTotal is how many observations a histogram has with each sample.
const bucketTotal = 100

// named is position with the name of the series.
func (p *plan) named(v variable, value float64) string {
	if v.of == nil {
		return p.position(v, value)
	}
	what := p.title(v.of)
	if v.kind == atLevel && !v.of.moment {
		return what + " at " + p.position(v, value)
	}
	return what + " " + p.position(v, value)
}

// title is the name of a series and, where others have the same, the labels in which it differs from one of them.
func (p *plan) title(s *series) string {
	metric := s.labels.Get(model.MetricNameLabel)
	own := map[string]string{}
	for _, other := range p.series {
		if other.labels.Get(model.MetricNameLabel) != metric {
			continue
		}
		for _, l := range []labels.Labels{s.labels, other.labels} {
			l.Range(func(l labels.Label) {
				if l.Name != "le" && s.labels.Get(l.Name) != other.labels.Get(l.Name) {
					own[l.Name] = s.labels.Get(l.Name)
				}
			})
		}
	}
	own[model.MetricNameLabel] = metric
	all := labels.NewScratchBuilder(len(own))
	for label, text := range own {
		all.Add(label, text)
	}
	all.Sort()
	return name(all.Labels())
}

// comes is what a test compares where a variable has a value, in parentheses; "" where that is the value itself. All
// digits are written if exact and only the last of them decides.
func (p *plan) comes(v variable, value float64, t *test, exact bool) string {
	if s, ok := promql.Bare(t.expr.LHS).(*parser.VectorSelector); ok && v.kind == atLevel && !v.of.moment && len(p.recorded[promql.NameOf(s)]) == 0 {
		if _, constant := promql.Constant(t.expr.RHS); constant {
			return ""
		}
	}
	if v.kind == atStart || v.kind == atLevel && v.of.whole {
		return ""
	}
	old := p.get(v)
	defer p.put(v, old)
	p.put(v, value)
	left, ok := p.value(t.left, p.begin)
	right, okRight := p.value(t.right, p.begin)
	if !ok || !okRight || math.IsNaN(left) {
		return ""
	}
	if _, constant := promql.Constant(t.expr.LHS); constant {
		left, right = right, left
	}
	if v.kind == atLevel && !v.of.moment && left == value {
		return ""
	}
	if rounded := significant(left, 6); rounded != right || left == right || !exact {
		return fmt.Sprintf(" (%s)", number(rounded))
	}
	return fmt.Sprintf(" (%s)", strconv.FormatFloat(left, 'f', -1, 64))
}

// significant rounds to a number of significant digits.
func significant(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// tell describes a boundary, and what is observed at its two sides.
func (p *plan) tell(ctx context.Context, v variable, t *test, at pair) (Boundary, bool, error) {
	b := Boundary{Alert: p.alert, Condition: p.text(t.expr)}
	b.Fires = p.named(v, at.fires) + p.comes(v, at.fires, t, at.isolated == neither)
	b.Quiet = p.position(v, at.quiet) + p.comes(v, at.quiet, t, false)
	switch at.isolated {
	case fires:
		b.Quiet += ", " + number(at.beyond)
	case quiet:
		b.Fires += ", " + number(at.beyond)
	}
	story := &story{plan: p, name: p.named(v, at.fires), opposite: p.named(v, at.quiet)}
	if v.of != nil && !v.of.labels.Has("le") {
		story.gone = v.of
	}
	story.fire = func() { p.put(v, at.fires) }
	story.calm = func() { p.put(v, at.quiet) }
	story.clears = p.position(v, at.quiet)
	ok, err := story.observe(ctx, &b)
	return b, ok, err
}

// copies is the boundary of how many series there are.
func (p *plan) copies(ctx context.Context, t *test) (Boundary, bool, error) {
	var counted *node
	var find func(n *node)
	find = func(n *node) {
		if e, ok := n.expr.(*parser.AggregateExpr); ok && counted == nil && (e.Op == parser.COUNT || e.Op == parser.SUM || e.Op == parser.GROUP) {
			counted = n
		}
		for _, kid := range n.kids {
			find(kid)
		}
	}
	find(t.left)
	find(t.right)
	if counted == nil || len(counted.kids) == 0 {
		return Boundary{}, false, nil
	}
	var last []*series
	var collect func(n *node)
	collect = func(n *node) {
		if n.leaf != nil {
			last = append(last, n.leaf.series)
		}
		for _, kid := range n.kids {
			collect(kid)
		}
	}
	collect(counted.kids[len(counted.kids)-1])
	if len(last) == 0 {
		return Boundary{}, false, nil
	}
	set := func(missing bool) {
		for _, s := range last {
			s.missing = missing
		}
	}
	defer set(false)
	name := last[0].labels.Get(model.MetricNameLabel)
	n := len(counted.kids)
	less := n - 1
	set(true)
	if missing, err := p.fires(ctx); err == nil && missing < 0 {
		// Not one less, then: one more.
		less = n + 1
		set(false)
		more := p.another(last, n)
		p.series = append(p.series, more...)
		defer func() { p.series = p.series[:len(p.series)-len(more)] }()
		set = func(isQuiet bool) {
			for _, s := range more {
				s.missing = !isQuiet
			}
		}
		set(true)
		if missing, err := p.fires(ctx); err != nil || missing < 0 {
			return Boundary{}, false, ctx.Err()
		}
	}
	many := func(n int) string {
		switch n {
		case 0:
			return "no series"
		case 1:
			return "1 series"
		}
		return fmt.Sprintf("%d series", n)
	}
	b := Boundary{Alert: p.alert, Condition: p.text(t.expr), Fires: many(n) + " of " + name, Quiet: many(less)}
	s := &story{plan: p, name: b.Fires, opposite: many(less) + " of " + name, clears: b.Quiet}
	s.fire = func() { set(false) }
	s.calm = func() { set(true) }
	ok, err := s.observe(ctx, &b)
	return b, ok, err
}

// another is one more of series of which there are n.
func (p *plan) another(last []*series, n int) []*series {
	var all []*series
	for _, s := range last {
		more := *s
		label := model.InstanceLabel
		if !s.labels.Has(label) {
			label = "copy"
		}
		more.labels = labels.NewBuilder(s.labels).Set(label, usual(label, n)).Labels()
		all = append(all, &more)
	}
	return all
}

// presences are the boundaries of series that are there or not: what must be missing, and, where there is no comparison,
// what must be there.
func (p *plan) presences(ctx context.Context) ([]Boundary, error) {
	var all []Boundary
	seen := map[string]bool{}
	for _, ban := range p.bans {
		extra, ok := p.banned(ban)
		if !ok || seen[extra.labels.String()] {
			continue
		}
		seen[extra.labels.String()] = true
		p.series = append(p.series, extra)
		name := extra.labels.Get(model.MetricNameLabel)
		b := Boundary{Alert: p.alert, Condition: p.text(ban.selector), Fires: name + " missing", Quiet: "there"}
		s := &story{plan: p, name: b.Fires, opposite: name + " there", clears: "there"}
		s.fire = func() { extra.missing = true }
		s.calm = func() { extra.missing = false }
		ok, err := s.observe(ctx, &b)
		p.series = p.series[:len(p.series)-1]
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, b)
		}
	}
	for _, one := range p.series {
		if !one.begins && !one.ends {
			continue
		}
		set, now, other := &one.begins, "new", "there before"
		if one.ends {
			set, now, other = &one.ends, "gone", "there"
		}
		name := one.labels.Get(model.MetricNameLabel)
		b := Boundary{Alert: p.alert, Condition: p.text(p.expr), Fires: name + " " + now, Quiet: other}
		s := &story{plan: p, name: b.Fires, opposite: name + " " + other, clears: other}
		s.fire = func() { *set = true }
		s.calm = func() { *set = false }
		ok, err := s.observe(ctx, &b)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, b)
		}
	}
	if len(p.tests) > 0 {
		return all, nil
	}
	for _, one := range p.series {
		name := one.labels.Get(model.MetricNameLabel)
		if seen[name] || one.begins || one.ends {
			continue
		}
		seen[name] = true
		b := Boundary{Alert: p.alert, Condition: name, Fires: name + " there", Quiet: "missing"}
		s := &story{plan: p, name: b.Fires, opposite: name + " missing", clears: "missing"}
		s.fire = func() { one.missing = false }
		s.calm = func() { one.missing = true }
		ok, err := s.observe(ctx, &b)
		one.missing = false
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, b)
		}
	}
	return all, nil
}

// linked are the labels by which what a ban selects would be matched.
func (p *plan) linked(b ban) map[string]string {
	all := map[string]string{}
	if b.link == nil || b.link.e.VectorMatching == nil {
		return all
	}
	m := b.link.e.VectorMatching
	for _, label := range p.universe {
		if slices.Contains(m.MatchingLabels, label) == m.On {
			if c := b.link.left.label(label).root(); c.fixed != nil && *c.fixed != "" {
				all[label] = *c.fixed
			}
		}
	}
	return all
}

// banned is a series that a ban selects.
func (p *plan) banned(b ban) (*series, bool) {
	classes := map[string]*class{}
	for _, m := range b.selector.LabelMatchers {
		c := classes[m.Name]
		if c == nil {
			c = &class{name: m.Name}
			classes[m.Name] = c
		}
		if c.matchers = append(c.matchers, m); m.Type == labels.MatchEqual && c.fixed == nil {
			c.fixed = &m.Value
		}
		c.need = c.need || !m.Matches("")
	}
	if isScraped(promql.NameOf(b.selector)) {
		for _, label := range []string{model.JobLabel, model.InstanceLabel} {
			if classes[label] == nil {
				classes[label] = &class{name: label, need: true}
			}
		}
	}
	values := map[string]string{}
	for label, text := range p.linked(b) {
		if c := classes[label]; c == nil {
			classes[label] = given(label, text)
		} else if c.fixed == nil {
			c.fixed = &text
		}
	}
	for label, c := range classes {
		v, ok := c.choose()
		if !ok {
			return nil, false
		}
		if v != "" {
			values[label] = v
		}
	}
	s := &series{labels: labels.FromMap(values), uses: []use{{}}, missing: true}
	p.describe(s)
	if b.level != nil && !s.counter {
		s.level = min(max(*b.level, s.low), s.high)
	}
	return s, !slices.ContainsFunc(p.series, func(other *series) bool { return labels.Equal(other.labels, s.labels) })
}
