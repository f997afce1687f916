package promql

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

func (a *Analysis) combined(e *parser.BinaryExpr) Facts {
	left, right := a.Of(e.LHS), a.Of(e.RHS)
	m := e.VectorMatching
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar && e.RHS.Type() == parser.ValueTypeScalar:
		f := scalar(anything)
		f.Values, f.clock = operated(e, left, right)
		f.rests = resting(left, right)
		return f
	case e.RHS.Type() == parser.ValueTypeScalar:
		return a.withScalar(e, left, right, e.Op)
	case e.LHS.Type() == parser.ValueTypeScalar:
		return a.withScalar(e, right, left, Mirror(e.Op))
	case m == nil || m.FillValues.LHS != nil || m.FillValues.RHS != nil:
		return Facts{Labels: AnyLabels, Values: anything}
	}
	switch e.Op {
	case parser.LOR:
		return a.or(e, left, right)
	case parser.LUNLESS:
		return a.unless(e, left, right)
	}
	joined := a.join(e, left, right)
	switch {
	case e.Op == parser.LAND:
		left.Labels, left.Empty, left.Present = joined.Labels, joined.Empty, joined.Present
		if joined.alike && !joined.Empty {
			left.held = a.both(e, &left, right)
		} else {
			left.held = inexact(left.held)
		}
		left.whole = false
		return left
	case e.Op.IsComparisonOperator() && !e.ReturnBool:
		f := a.filtered(e, left, right, joined)
		return f
	}
	joined.Facts.Values, joined.Facts.clock = operated(e, left, right)
	joined.Facts.rests = resting(left, right)
	if v, ok := a.cancelled(e); ok && !joined.Empty {
		joined.Facts.Values, joined.Facts.itself = v, true
	} else if v, why := a.ofWhole(e, joined); why != "" && !joined.Empty {
		joined.Facts.Values = joined.Facts.Values.meet(v)
		joined.Facts.rests = append(joined.Facts.rests, why)
	}
	joined.Facts.Labels = joined.Facts.Labels.without(model.MetricNameLabel)
	joined.Facts.core, joined.Facts.held = nil, nil
	return joined.Facts
}

// operated is where the result of an operator is that makes one value of two, in itself and as seen from time().
func operated(e *parser.BinaryExpr, left, right Facts) (Interval, *Interval) {
	l, r := left.Values, right.Values
	switch {
	case !e.Op.IsComparisonOperator():
		clock, values := clocked(e.Op, left, right)
		return l.computed(e.Op, r).meet(values), clock
	case l.holds(e.Op, r):
		return point(1), nil
	case l.compared(e.Op, r).none() && !(e.Op == parser.NEQ && (l.NaN || r.NaN)):
		return point(0), nil
	}
	return between(0, 1), nil
}

// withScalar is an operator between a vector and a number; a comparison is written as if the vector were on the left.
func (a *Analysis) withScalar(e *parser.BinaryExpr, f, scalar Facts, op parser.ItemType) Facts {
	if !e.Op.IsComparisonOperator() || e.ReturnBool {
		values, clock := operated(e, a.Of(e.LHS), a.Of(e.RHS))
		r := f.computed(values)
		r.clock, r.rests = clock, resting(f, scalar)
		return r
	}
	number := scalar.Values
	vector, other := e.LHS, e.RHS
	if e.LHS.Type() == parser.ValueTypeScalar {
		vector, other = e.RHS, e.LHS
	}
	values := f.Values.compared(op, number)
	if op != parser.NEQ {
		values.NaN = false
	}
	f.rests = resting(f, scalar)
	if neverAt(op, f, scalar) && !f.Empty {
		f.Empty = true
		a.report(Values, e, vector, other, "%s %s, so %s %s never holds%s", Excerpt(vector), whenever(*f.clock), op, Excerpt(other), as(f.rests))
	}
	if values.none() && !values.NaN && !f.Empty {
		f.Empty = true
		if h, ok := f.held[a.key(f.core)]; ok { // by another comparison
			a.report(Values, e, h.by, other, "%s %s, so %s %s never holds%s", Excerpt(vector), f.Values, op, Excerpt(other), as(f.rests))
		} else {
			a.report(Values, e, vector, other, "%s %s, so %s %s never holds%s", Excerpt(vector), f.Values, op, Excerpt(other), as(f.rests))
		}
	}
	if f.itself && !f.Empty && f.Values.numbers().holds(op, number) {
		a.report(Itself, e, vector, other, "%s is a thing and itself, and %s, so %s %s always holds", Excerpt(vector), f.Values.numbers(), op, Excerpt(other))
	}
	f.Present = f.Present && f.Values.holds(op, number)
	if key := a.key(f.core); key != "" && op != parser.NEQ {
		_, constant := Constant(other)
		f.held = withHeld(f.held, key, held{Interval: values, by: e, exact: constant && (f.whole || len(f.held) == 1 && f.held[key].exact)})
	}
	f.whole = false
	f.Values = values
	return f
}

// filtered is a comparison of two vectors: the results are those of the left side for which it holds.
func (a *Analysis) filtered(e *parser.BinaryExpr, left, right Facts, joined joined) Facts {
	f := left
	f.Labels, f.Empty, f.rests = joined.Labels, joined.Empty, resting(left, right)
	f.Values = left.Values.compared(e.Op, right.Values)
	if e.Op != parser.NEQ {
		f.Values.NaN = false
	}
	same := joined.alike && a.sameCore(left, right)
	switch {
	case f.Empty:
	case same && (e.Op == parser.LSS || e.Op == parser.GTR):
		f.Empty = true
		a.report(Values, e, e.LHS, e.RHS, "both sides are the same, so %s never holds", e.Op)
	case neverAt(e.Op, left, right):
		f.Empty = true
		a.report(Values, e, e.LHS, e.RHS, "%s %s, and %s %s, so %s never holds%s", Excerpt(e.LHS), whenever(*left.clock), Excerpt(e.RHS), whenever(*right.clock), e.Op, as(f.rests))
	case f.Values.none() && !f.Values.NaN:
		f.Empty = true
		a.report(Values, e, e.LHS, e.RHS, "%s %s, and %s %s, so %s never holds%s", Excerpt(e.LHS), left.Values, Excerpt(e.RHS), right.Values, e.Op, as(f.rests))
	}
	f.Present = joined.Present && left.Values.holds(e.Op, right.Values)
	f.whole, f.held = false, inexact(left.held)
	if !joined.alike { // labels can be left out or added
		f.core, f.held = nil, nil
	}
	return f
}

// both is what is held of series that are on both sides of "and", with the same labels.
func (a *Analysis) both(e *parser.BinaryExpr, left *Facts, right Facts) map[string]held {
	all := left.held
	for key, other := range right.held {
		mine, ok := all[key]
		if !ok {
			mine = held{Interval: anything, by: e.LHS, exact: false}
			if key == a.key(left.core) {
				mine.Interval = left.Values
			}
		}
		narrowed := held{Interval: mine.Interval.meet(other.Interval), by: other.by, exact: mine.exact && other.exact}
		if narrowed.none() && !narrowed.NaN && !left.Empty {
			left.Empty = true
			a.report(Values, e, mine.by, other.by, "%s and %s never hold for the same series", Excerpt(mine.by), Excerpt(other.by))
		}
		all = withHeld(all, key, narrowed)
	}
	if h, ok := all[a.key(left.core)]; ok {
		left.Values = left.Values.meet(h.Interval)
	}
	if len(all) > 1 || len(right.held) == 0 { // the other side may lack a series for another reason
		all = inexact(all)
	}
	return all
}

func (a *Analysis) or(e *parser.BinaryExpr, left, right Facts) Facts {
	if left.Present && !left.Empty && !right.Empty && a.sameSeries(e.VectorMatching, left, right) {
		a.report(Shadowed, e.RHS, e.RHS, e.LHS, "%s always has a result, so %s never shows", Excerpt(e.LHS), Excerpt(e.RHS))
		return left
	}
	return left.either(right)
}

// sameSeries reports whether each series of the one side surely matches each of the other.
func (a *Analysis) sameSeries(m *parser.VectorMatching, left, right Facts) bool {
	for _, name := range matchedNames(m, left.Labels, right.Labels) {
		l, ok := left.Labels.Fixed(name)
		r, also := right.Labels.Fixed(name)
		if !ok || !also || l != r {
			return false
		}
	}
	return m.On || !left.Labels.open && !right.Labels.open
}

func (a *Analysis) unless(e *parser.BinaryExpr, left, right Facts) Facts {
	f := left
	f.whole, f.held = false, inexact(left.held)
	if left.Empty || right.Empty {
		return f
	}
	f.Present = false
	if right.Present && a.sameSeries(e.VectorMatching, left, right) {
		f.Empty = true
		a.report(Values, e, e.RHS, e.LHS, "%s always has a result, so unless leaves nothing", Excerpt(e.RHS))
		return f
	}
	j, ok := a.match(e, left, right)
	if !ok {
		f.Present = left.Present
		return f
	}
	if j.alike && a.sameCore(left, right) {
		mine, ok := left.held[a.key(left.core)]
		if !ok {
			mine = held{Interval: left.Values, by: e.LHS}
		}
		if other, ok := right.held[a.key(right.core)]; ok && len(right.held) == 1 && other.exact && mine.Interval.within(other.Interval) {
			f.Empty = true
			a.report(Values, e, mine.by, other.by, "whenever %s holds, %s does, so unless leaves nothing", Excerpt(mine.by), Excerpt(other.by))
		}
	}
	return f
}

// sameCore reports whether the values of two results are those of the same expression, for the same labels.
func (a *Analysis) sameCore(left, right Facts) bool {
	key := a.key(left.core)
	return key != "" && key == a.key(right.core)
}
