package witness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
)

// pair is a boundary: two neighbouring values of a parameter, of which only fires makes the condition hold.
type pair struct {
	quiet, fires float64
	isolated     isolation // whether one of them is like neither of its neighbours, as in x == 5 or x != 5
	beyond       float64   // then that value
}

// isolation is the value of a pair that differs from both its neighbours.
type isolation int

const (
	neither isolation = iota
	fires
	quiet
)

// cross finds where a comparison changes its result. Whether it does is decided by truth, evaluated with the data.
func (d *deriver) cross(ctx context.Context, data *dataset, b *parser.BinaryExpr, truth parser.Expr) (parameter, pair, error) {
	var why error
	for _, k := range d.parameters(data, b) {
		before := *k.of
		root, isRoot, err := d.root(ctx, data, k, b)
		if err == nil && !isRoot {
			root, err = d.bisect(ctx, data, k, truth)
		}
		if err == nil {
			var p pair
			if p, err = d.neighbours(ctx, data, k, root, d.step(b, k, root), truth); err == nil {
				err = d.turns(ctx, data, k, p, b)
			}
			if err == nil {
				*k.of = before
				return k, p, nil
			}
		}
		*k.of = before
		if ctx.Err() != nil {
			return parameter{}, pair{}, ctx.Err()
		}
		why = errors.Join(why, err)
	}
	if why == nil {
		why = errors.New("it compares no series")
	}
	return parameter{}, pair{}, firstOf(why)
}

// turns returns an error where the comparison is the same at both values of a pair, so that something else in the
// expression changes.
func (d *deriver) turns(ctx context.Context, data *dataset, k parameter, p pair, b *parser.BinaryExpr) error {
	var held [2]bool
	for i, at := range []float64{p.quiet, p.fires} {
		k.set(at)
		var err error
		if held[i], err = d.holds(ctx, data, b); err != nil {
			return err
		}
	}
	if held[0] == held[1] {
		return fmt.Errorf("another condition changes at %s", d.describe(k, p.fires))
	}
	return nil
}

// firstOf returns the first of joined errors: that of the most natural parameter.
func firstOf(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) > 0 {
		return all.Unwrap()[0]
	}
	return err
}

// root finds by the secant method the value of a parameter at which both sides of a comparison are equal, where they
// have values.
func (d *deriver) root(ctx context.Context, data *dataset, k parameter, b *parser.BinaryExpr) (root float64, found bool, err error) {
	at := func(p float64) (float64, float64, bool) {
		k.set(p)
		left, right, ok := d.measure(ctx, data, b)
		return left - right, max(math.Abs(left), math.Abs(right)), ok
	}
	if k.attribute != seriesValue || k.of.kind == changing || k.of.kind == resetting || k.of.labels.Has("le") {
		return 0, false, nil
	}
	p0 := k.of.level
	f0, _, ok := at(p0)
	if !ok {
		return 0, false, nil
	}
	p1 := p0 + max(1, math.Abs(p0)/10)
	for range 30 {
		f1, size, ok := at(p1)
		switch {
		case !ok || ctx.Err() != nil:
			return 0, false, ctx.Err()
		case math.Abs(f1) <= 1e-9*size:
			return roundOff(significant(p1, 10)), true, nil
		case f1 == f0 || math.IsNaN(f1) || math.IsInf(f1, 0):
			return 0, false, nil
		}
		p0, f0, p1 = p1, f1, p1-f1*(p1-p0)/(f1-f0)
	}
	return 0, false, nil
}

// significant rounds to a number of significant digits.
func significant(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// ladder lists the values between which bisect looks for a change.
var ladder = []float64{0, 1, 2, 3, 5, 10, 20, 50, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9, 1e12}

// bisect finds a change of truth where the values of both sides do not show it.
func (d *deriver) bisect(ctx context.Context, data *dataset, k parameter, truth parser.Expr) (float64, error) {
	is := func(p float64) (bool, error) {
		k.set(p)
		return d.holds(ctx, data, truth)
	}
	rungs := ladder
	switch {
	case k.of.labels.Has("le"):
		rungs = []float64{0, k.of.level}
	case k.attribute == copies:
		rungs = ladder[:9]
	case k.of.kind == changing, k.of.kind == resetting:
		rungs = []float64{0, math.Max(1, float64(d.steady/d.sampled))}
	case k.of.kind == gauge || k.of.kind == timestamp:
		rungs = append([]float64{-1e9, -1e6, -1e3, -100, -1}, ladder...)
	}
	whole := k.attribute == copies || k.of.labels.Has("le") || k.of.kind == changing || k.of.kind == resetting
	low, lowIs := 0.0, false
	for i, high := range rungs {
		highIs, err := is(high)
		if err != nil {
			return 0, err
		}
		if i == 0 || highIs == lowIs {
			low, lowIs = high, highIs
			continue
		}
		for range 60 {
			mid := (low + high) / 2
			if whole {
				mid = math.Floor(mid)
			}
			if mid == low || !whole && math.Abs(high-low) <= 1e-7*math.Abs(high) {
				break
			}
			midIs, err := is(mid)
			if err != nil {
				return 0, err
			}
			if midIs == lowIs {
				low = mid
			} else {
				high = mid
			}
		}
		return roundOff(significant(high, 6)), nil
	}
	result := "never holds"
	if lowIs {
		result = "always holds"
	}
	return 0, fmt.Errorf("the expression %s for any value of %s", result, k.of.labels.Get("__name__"))
}

// step is the distance between neighbouring values: 1 for what is counted, else one unit in the last place of the number
// in the expression.
func (d *deriver) step(b *parser.BinaryExpr, k parameter, root float64) float64 {
	if k.attribute == copies || k.of.labels.Has("le") || k.of.kind == changing || k.of.kind == resetting {
		return 1
	}
	places := 0
	for _, pair := range [][2]parser.Expr{{b.LHS, b.RHS}, {b.RHS, b.LHS}} {
		if literal, ok := promql.Bare(pair[1]).(*parser.NumberLiteral); ok {
			if _, ok := promql.Bare(pair[0]).(*parser.VectorSelector); ok {
				text := d.alert.Expr[literal.PosRange.Start:literal.PosRange.End]
				if _, fraction, ok := strings.Cut(text, "."); ok && strings.Trim(fraction, "0123456789") == "" {
					places = len(fraction)
				}
			}
		}
	}
	step := math.Pow10(-places)
	for p := places; root*math.Pow10(p) != math.Trunc(root*math.Pow10(p)); p++ {
		if p-places > 6 { // not a fraction that a person would write
			step = 1
			if math.Abs(root) < 10 {
				step = math.Pow10(int(math.Floor(math.Log10(math.Abs(root)))) - 1)
			}
			break
		}
		step = math.Pow10(-p - 1)
	}
	if ulp := math.Nextafter(math.Abs(root), math.Inf(1)) - math.Abs(root); ulp > step {
		step = math.Pow10(int(math.Ceil(math.Log10(ulp))))
	}
	return step
}

// neighbours asks the engine which of the values around root make the expression hold.
func (d *deriver) neighbours(ctx context.Context, data *dataset, k parameter, root, step float64, truth parser.Expr) (pair, error) {
	least := math.Inf(-1)
	if k.attribute == copies || k.of.kind == counter || k.of.kind == changing || k.of.kind == resetting {
		least = 0
	}
	middle := math.Round(root / step)
	value := func(i int) float64 { return roundOff((middle + float64(i)) * step) }
	seen := map[int]bool{}
	is := func(i int) (bool, error) {
		if held, ok := seen[i]; ok {
			return held, nil
		}
		k.set(value(i))
		held, err := d.holds(ctx, data, truth)
		seen[i] = held
		return held, err
	}
	for _, i := range []int{0, -1, 1, -2, 2, -3, 3} { // the change is between i and i+1
		if value(i) < least {
			continue
		}
		a, err := is(i)
		if err != nil {
			return pair{}, err
		}
		b, err := is(i + 1)
		if err != nil {
			return pair{}, err
		}
		if a == b {
			continue
		}
		p := pair{quiet: value(i), fires: value(i + 1)}
		beyondFires, beyondQuiet := i+2, i-1
		if a {
			p = pair{quiet: value(i + 1), fires: value(i)}
			beyondFires, beyondQuiet = i-1, i+2
		}
		for _, end := range []struct {
			at       int
			held     bool      // what the neighbour does if the position is not alone
			isolated isolation // whether the value on the other side of one of them is like the other, as in x == 5 or x != 5
			other    *float64
		}{{beyondFires, true, fires, &p.quiet}, {beyondQuiet, false, quiet, &p.fires}} {
			if value(end.at) < max(least, 0) || p.isolated != neither {
				continue
			}
			held, err := is(end.at)
			if err != nil {
				return pair{}, err
			}
			if held != end.held {
				p.isolated, p.beyond = end.isolated, value(end.at)
				if p.beyond == 0 { // for up == 1, the other value of interest is 0
					*end.other, p.beyond = p.beyond, *end.other
				}
			}
		}
		return p, nil
	}
	return pair{}, fmt.Errorf("the expression does not change at %s", d.describe(k, root))
}

// satisfy changes the data until a demand is met.
func (d *deriver) satisfy(ctx context.Context, data *dataset, want demand) error {
	b := comparison(want.expr)
	if b == nil {
		if s, ok := want.expr.(*parser.VectorSelector); ok {
			for _, in := range data.by[key(s)] {
				in.absent = !want.hold
			}
		}
		return nil
	}
	if held, err := d.holds(ctx, data, b); err != nil || held == want.hold {
		return err
	}
	k, p, err := d.cross(ctx, data, b, b)
	if err != nil {
		return fmt.Errorf("%s cannot be met: %w", b, err)
	}
	near, far := p.fires, p.quiet
	if !want.hold {
		near, far = far, near
	}
	// Well away from this boundary, which is not the one to find.
	distance := near - far
	well := near + math.Copysign(max(math.Abs(near), 10*math.Abs(distance)), distance)
	if well >= 0 || near < 0 {
		k.set(roundOff(well))
		if held, err := d.holds(ctx, data, b); err == nil && held == want.hold {
			return nil
		}
	}
	k.set(near)
	return nil
}
