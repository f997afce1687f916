package boundary

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/rule"
)

// pair is a boundary: two positions of a knob, next to each other, with the condition on one side and not on the other.
type pair struct {
	quiet, fires float64
	alone        lone    // whether one of them is like neither of its neighbours, as in x == 5 or x != 5
	beyond       float64 // then the neighbour on its other side
}

// lone says which position of a pair stands alone.
type lone int

const (
	neither lone = iota
	fires
	quiet
)

// cross finds where a comparison turns. Whether it does is asked of truth, in the scene.
func (d *deriver) cross(ctx context.Context, sc *scene, b *parser.BinaryExpr, truth parser.Expr) (knob, pair, error) {
	var why error
	for _, k := range d.knobs(sc, b) {
		before := *k.of
		root, isRoot, err := d.root(ctx, sc, k, b)
		if err == nil && !isRoot {
			root, err = d.bisect(ctx, sc, k, truth)
		}
		if err == nil {
			var p pair
			if p, err = d.neighbours(ctx, sc, k, root, d.step(b, k, root), truth); err == nil {
				err = d.turns(ctx, sc, k, p, b)
			}
			if err == nil {
				*k.of = before
				return k, p, nil
			}
		}
		*k.of = before
		if ctx.Err() != nil {
			return knob{}, pair{}, ctx.Err()
		}
		why = errors.Join(why, err)
	}
	if why == nil {
		why = errors.New("it compares no series")
	}
	return knob{}, pair{}, firstOf(why)
}

// turns is nil where a comparison itself turns at a pair, and it is not something else in the expression that does.
func (d *deriver) turns(ctx context.Context, sc *scene, k knob, p pair, b *parser.BinaryExpr) error {
	var held [2]bool
	for i, at := range []float64{p.quiet, p.fires} {
		k.set(at)
		var err error
		if held[i], err = d.holds(ctx, sc, b); err != nil {
			return err
		}
	}
	if held[0] == held[1] {
		return fmt.Errorf("what turns at %s is another condition", d.describe(k, p.fires))
	}
	return nil
}

// firstOf leaves of joined errors the one that counts: that of the most natural knob.
func firstOf(err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok && len(all.Unwrap()) > 0 {
		return all.Unwrap()[0]
	}
	return err
}

// root finds the position of a knob at which both sides of a comparison are equal, where that can be seen from values.
func (d *deriver) root(ctx context.Context, sc *scene, k knob, b *parser.BinaryExpr) (root float64, found bool, err error) {
	at := func(p float64) (float64, float64, bool) {
		k.set(p)
		left, right, ok := d.measure(ctx, sc, b)
		return left - right, max(math.Abs(left), math.Abs(right)), ok
	}
	if k.dial != levels || k.of.kind == steps || k.of.kind == drops || k.of.labels.Has("le") {
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
			return tidy(significant(p1, 10)), true, nil
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

// ladder are the positions between which a turn is looked for.
var ladder = []float64{0, 1, 2, 3, 5, 10, 20, 50, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9, 1e12}

// bisect finds a turn of truth without knowing values.
func (d *deriver) bisect(ctx context.Context, sc *scene, k knob, truth parser.Expr) (float64, error) {
	is := func(p float64) (bool, error) {
		k.set(p)
		return d.holds(ctx, sc, truth)
	}
	rungs := ladder
	switch {
	case k.of.labels.Has("le"):
		rungs = []float64{0, k.of.level}
	case k.dial == copies:
		rungs = ladder[:9]
	case k.of.kind == steps, k.of.kind == drops:
		rungs = []float64{0, math.Max(1, float64(d.steady/d.sampled))}
	case k.of.kind == gauge || k.of.kind == clock:
		rungs = append([]float64{-1e9, -1e6, -1e3, -100, -1}, ladder...)
	}
	whole := k.dial == copies || k.of.labels.Has("le") || k.of.kind == steps || k.of.kind == drops
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
		return tidy(significant(high, 6)), nil
	}
	say := "never"
	if lowIs {
		say = "always"
	}
	return 0, fmt.Errorf("whatever the value of %s, the expression %s holds", k.of.labels.Get("__name__"), say)
}

// step is how far apart two values are that people would call next to each other: 1 where they are counted, else one unit
// in the last place of how the number is written.
func (d *deriver) step(b *parser.BinaryExpr, k knob, root float64) float64 {
	if k.dial == copies || k.of.labels.Has("le") || k.of.kind == steps || k.of.kind == drops {
		return 1
	}
	places := 0
	for _, pair := range [][2]parser.Expr{{b.LHS, b.RHS}, {b.RHS, b.LHS}} {
		if literal, ok := rule.Bare(pair[1]).(*parser.NumberLiteral); ok && isConstant(pair[1]) {
			if _, ok := rule.Bare(pair[0]).(*parser.VectorSelector); ok {
				text := d.alert.Expr[literal.PosRange.Start:literal.PosRange.End]
				if _, fraction, ok := strings.Cut(text, "."); ok && strings.Trim(fraction, "0123456789") == "" {
					places = len(fraction)
				}
			}
		}
	}
	step := math.Pow10(-places)
	for p := places; root*math.Pow10(p) != math.Trunc(root*math.Pow10(p)); p++ {
		if p-places > 6 { // no fraction that anybody would write
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
func (d *deriver) neighbours(ctx context.Context, sc *scene, k knob, root, step float64, truth parser.Expr) (pair, error) {
	least := math.Inf(-1)
	if k.dial == copies || k.of.kind == counter || k.of.kind == steps || k.of.kind == drops {
		least = 0
	}
	middle := math.Round(root / step)
	value := func(i int) float64 { return tidy((middle + float64(i)) * step) }
	seen := map[int]bool{}
	is := func(i int) (bool, error) {
		if held, ok := seen[i]; ok {
			return held, nil
		}
		k.set(value(i))
		held, err := d.holds(ctx, sc, truth)
		seen[i] = held
		return held, err
	}
	for _, i := range []int{0, -1, 1, -2, 2, -3, 3} { // the turn is between i and i+1
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
			at    int
			held  bool // what the neighbour does if the position is not alone
			alone lone
			other *float64
		}{{beyondFires, true, fires, &p.quiet}, {beyondQuiet, false, quiet, &p.fires}} {
			if value(end.at) < max(least, 0) || p.alone != neither {
				continue
			}
			held, err := is(end.at)
			if err != nil {
				return pair{}, err
			}
			if held != end.held {
				p.alone, p.beyond = end.alone, value(end.at)
				if p.beyond == 0 { // of up == 1, the other value that people think of is 0
					*end.other, p.beyond = p.beyond, *end.other
				}
			}
		}
		return p, nil
	}
	return pair{}, fmt.Errorf("the expression does not turn at %s", d.describe(k, root))
}

// satisfy turns the scene until a demand is met.
func (d *deriver) satisfy(ctx context.Context, sc *scene, want demand) error {
	b := comparison(want.expr)
	if b == nil {
		if s, ok := want.expr.(*parser.VectorSelector); ok {
			for _, in := range sc.by[key(s)] {
				in.absent = !want.hold
			}
		}
		return nil
	}
	if held, err := d.holds(ctx, sc, b); err != nil || held == want.hold {
		return err
	}
	k, p, err := d.cross(ctx, sc, b, b)
	if err != nil {
		return fmt.Errorf("%s cannot be met: %w", b, err)
	}
	near, far := p.fires, p.quiet
	if !want.hold {
		near, far = far, near
	}
	// Well inside, where that is possible: this is not the boundary that is looked at.
	distance := near - far
	well := near + math.Copysign(max(math.Abs(near), 10*math.Abs(distance)), distance)
	if well >= 0 || near < 0 {
		k.set(tidy(well))
		if held, err := d.holds(ctx, sc, b); err == nil && held == want.hold {
			return nil
		}
	}
	k.set(near)
	return nil
}
