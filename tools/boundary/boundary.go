// Package boundary finds where alerts begin to fire: from an alert's expression it derives input series just on either
// side of each threshold, runs them on Prometheus's own engine, and tells what was seen.
//
// An expression is taken apart into conditions (comparisons, and whether a series is there). For each of them it builds
// a small world in which that condition alone decides, finds by asking the engine the two neighbouring values between
// which the alert turns, and plays scenarios at them: as long as `for` asks and one evaluation less, a gap, the way
// back, and series that end.
package boundary

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/rule"
)

// DefaultInterval is how often rules are evaluated where their group does not say so, as in promtool.
const DefaultInterval = time.Minute

// mostConditions is how many conditions an expression may have to be taken apart.
const mostConditions = 40

// Boundary is a place where an alert turns, as it was observed.
type Boundary struct {
	Alert     rule.Alert
	Condition string // of the expression, the part that decides here
	Fires     string // in words, the input at which the alert fires
	Quiet     string // and the one next to it at which it does not
	// After is how long the condition holds before the alert fires.
	After time.Duration
	// Clears says what makes a firing alert resolve, and how long that takes.
	Clears    []string
	Scenarios []Scenario
}

// Scenario is a short story of input series, and what the alert was seen to do in it.
type Scenario struct {
	Name     string
	Interval time.Duration // between samples
	Series   []Series
	Checks   []Check // in the order of time
}

// Check is what an alert was seen to do at one evaluation.
type Check struct {
	At     time.Duration
	Firing []Firing
	Why    string // in a few words, where it helps
}

// Unknown is a part of an expression of which no boundary was found.
type Unknown struct {
	Condition string
	Reason    string
}

// Derived is what could be derived of one alert.
type Derived struct {
	Alert      rule.Alert
	Boundaries []Boundary
	Unknown    []Unknown // of an alert with neither, the expression has nothing to decide
}

// Derive finds the boundaries of an alert that is evaluated every interval. What it does not understand of the
// expression is part of the answer; the error is of ctx, or of an alert that Prometheus would not load.
func Derive(ctx context.Context, alert rule.Alert, interval time.Duration) (Derived, error) {
	found := Derived{Alert: alert}
	if interval <= 0 {
		return found, fmt.Errorf("evaluation interval %s: must be positive", interval)
	}
	d, err := newDeriver(alert, interval)
	if err != nil {
		return found, err
	}
	if rule.Always(d.expr) {
		b, err := d.always(ctx)
		if err != nil {
			return found, err
		}
		found.Boundaries = append(found.Boundaries, b)
		return found, nil
	}
	if why := strange(d.expr); why != "" {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), why})
		return found, nil
	}
	if n := d.samples(d.steady); n > 2*maxSamples {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), fmt.Sprintf("it looks back over %d samples, more than promtool loads", n)})
		return found, nil
	}
	all := conditions(d.expr)
	if len(all) > mostConditions {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), fmt.Sprintf("it has %d conditions, more than %d", len(all), mostConditions)})
		return found, nil
	}
	if len(all) == 0 { // something is computed and nothing compared: it fires while there is data
		for s := range selectorsIn(d.expr) {
			all = append(all, condition{expr: s})
			break
		}
	}
	for _, c := range all {
		b, err := d.boundary(ctx, c)
		if err != nil && !errors.Is(err, errCarrier) && ctx.Err() == nil && d.counts() {
			// The first samples of a counter that begins at 0 are judged otherwise than those of one that has counted for long.
			d.begun = 1_000_000
			if older, failed := d.boundary(ctx, c); failed == nil {
				b, err = older, nil
			}
			d.begun = 0
		}
		switch {
		case ctx.Err() != nil:
			return found, ctx.Err()
		case errors.Is(err, errCarrier):
		case err != nil:
			found.Unknown = append(found.Unknown, Unknown{d.text(c.expr), err.Error()})
		default:
			found.Boundaries = append(found.Boundaries, b)
		}
	}
	if len(found.Boundaries)+len(found.Unknown) == 0 {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), "nothing in it was seen to decide"})
	}
	return found, nil
}

// counts says whether any series is a counter.
func (d *deriver) counts() bool {
	for _, k := range d.kinds {
		if k == counter {
			return true
		}
	}
	return false
}

// errCarrier is the answer about a selector that is expected to be there: others decide.
var errCarrier = errors.New("it decides nothing by itself")

// text is a part of the expression as it is written, on one line.
func (d *deriver) text(node parser.Node) string {
	at := node.PositionRange()
	if at.Start < 0 || int(at.End) > len(d.alert.Expr) || at.Start >= at.End {
		return node.String()
	}
	return strings.Join(strings.Fields(d.alert.Expr[at.Start:at.End]), " ")
}

// boundary finds the boundary of one condition, in worlds that become finer until it lies at a round number.
func (d *deriver) boundary(ctx context.Context, c condition) (Boundary, error) {
	b := comparison(c.expr)
	if b == nil {
		sc, err := d.prepare(ctx, c, base)
		if err != nil {
			return Boundary{}, err
		}
		return d.appearance(ctx, sc, c)
	}
	var (
		best      *scene
		turned    knob
		neighbour pair
		first     error
	)
	scales := []float64{base, 1e3, 1e4, 1e5, 1e6}
	for i := 0; i < len(scales); i++ {
		sc, err := d.prepare(ctx, c, scales[i])
		if err == nil {
			var k knob
			var p pair
			if k, p, err = d.cross(ctx, sc, b, d.expr); err == nil {
				if best == nil || isWhole(p) {
					best, turned, neighbour = sc, k, p
				}
				// Where what is turned is part of the whole too, a round whole makes for a round part.
				if part := p.fires; i == 0 && part > 0 && !isWhole(p) {
					scales = slices.Insert(scales, 1, math.Round(base*base/(base+part)))
				}
			}
		}
		if err != nil && i == 0 && !isDirect(b) { // one part of a sum crosses it only where the others leave it room
			scales = []float64{base, 1}
		}
		if err != nil && first == nil {
			first = err
		}
		if best != nil && isWhole(neighbour) || err != nil && best == nil && i == len(scales)-1 || ctx.Err() != nil || isDirect(b) {
			break
		}
	}
	if best == nil {
		return Boundary{}, first
	}
	return d.play(ctx, best, c, turned, neighbour)
}

func isWhole(p pair) bool {
	return p.fires == float64(int64(p.fires)) && p.quiet == float64(int64(p.quiet))
}

// isDirect says whether a comparison is of a series with a number, so that no other series has a scale.
func isDirect(b *parser.BinaryExpr) bool {
	n := 0
	for range selectorsIn(b) {
		n++
	}
	return n == 1
}

// prepare builds a scene in which all but one condition is as it must be for that one to decide.
func (d *deriver) prepare(ctx context.Context, c condition, scale float64) (*scene, error) {
	sc, err := d.scene(scale)
	if err != nil {
		return nil, err
	}
	for _, want := range c.demands {
		if err := d.satisfy(ctx, sc, want); err != nil {
			return nil, err
		}
	}
	return sc, nil
}

// appearance is the boundary between a series that is there and one that is missing.
func (d *deriver) appearance(ctx context.Context, sc *scene, c condition) (Boundary, error) {
	s := c.expr.(*parser.VectorSelector)
	if len(sc.by[key(s)]) == 0 {
		return Boundary{}, errCarrier
	}
	k := knob{of: sc.by[key(s)][0], dial: presence}
	k.set(1)
	there, err := d.holds(ctx, sc, d.expr)
	if err != nil {
		return Boundary{}, err
	}
	k.set(0)
	missing, err := d.holds(ctx, sc, d.expr)
	if err != nil {
		return Boundary{}, err
	}
	switch {
	case there == missing:
		return Boundary{}, errCarrier
	case there:
		return d.play(ctx, sc, c, k, pair{quiet: 0, fires: 1})
	}
	return d.play(ctx, sc, c, k, pair{quiet: 1, fires: 0})
}

// always is the boundary of an alert that nothing keeps from firing.
func (d *deriver) always(ctx context.Context) (Boundary, error) {
	sc, err := d.scene(base)
	if err != nil {
		return Boundary{}, err
	}
	s := &stage{deriver: d, ctx: ctx, scene: sc}
	if err := s.fire(0, d.slot(d.alert.For)+d.interval); err != nil {
		return Boundary{}, err
	}
	sent, err := s.sent(ctx, nil, s.fires)
	if err != nil {
		return Boundary{}, err
	}
	story := Scenario{Name: d.alert.Name + " fires always", Interval: d.sampled, Checks: []Check{{At: s.fires, Firing: withoutName(sent)}}}
	return Boundary{Alert: d.alert, Condition: d.text(d.expr), Fires: "always", Quiet: "never", After: s.fires - s.active, Scenarios: []Scenario{story}}, nil
}

// withoutName leaves alertname out, which promtool adds itself.
func withoutName(all []Firing) []Firing {
	for i := range all {
		all[i].Labels = labels.NewBuilder(all[i].Labels).Del(labels.AlertName).Labels()
	}
	return all
}
