// Package witness finds the thresholds of alerts: it derives input series on either side of each one from the
// expression, evaluates them with Prometheus's engine, and reports what it observed.
//
// An expression is split into conditions (comparisons, and whether a series exists). For each of them it builds data for
// which that condition alone decides, finds the two neighbouring values between which the alert changes by asking the
// engine, and evaluates scenarios at them: `for` met and missed by one evaluation, a gap, resolution, and series that end.
package witness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/ruletest"
)

// DefaultInterval is the evaluation interval of groups that set none, as in promtool.
const DefaultInterval = time.Minute

// maxConditions limits the conditions of an expression.
const maxConditions = 40

// Boundary is a threshold of an alert, as observed.
type Boundary struct {
	Alert     rule.Alert
	Condition string // of the expression, the part that decides here
	Fires     string // the input at which the alert fires
	Quiet     string // the nearest input at which it does not
	// After is how long the condition holds before the alert fires.
	After time.Duration
	// Clears says what makes a firing alert resolve, and after how long.
	Clears    []string
	Scenarios []Scenario
}

// Scenario is a set of input series and what the alert was observed to do with it.
type Scenario struct {
	Name     string
	Interval time.Duration // between samples
	Series   []Series
	Checks   []Check // in the order of time
}

// Check is what an alert was observed to do at one evaluation.
type Check struct {
	At     time.Duration
	Firing []Firing
	Why    string // a short comment, or ""
}

// Unknown is a part of an expression for which no boundary was found.
type Unknown struct {
	Condition string
	Reason    string
}

// Derived holds the boundaries of one alert.
type Derived struct {
	Alert      rule.Alert
	Boundaries []Boundary
	Unknown    []Unknown // the parts without a boundary
}

// Derive finds the boundaries of an alert that is evaluated every interval. Parts of the expression that are not
// understood are part of the result; an error comes from ctx or from a rule that Prometheus would not load.
func Derive(ctx context.Context, alert rule.Alert, interval time.Duration) (Derived, error) {
	found := Derived{Alert: alert}
	if interval <= 0 {
		return found, fmt.Errorf("evaluation interval %s: must be positive", interval)
	}
	d, err := newDeriver(alert, interval)
	if err != nil {
		return found, err
	}
	if promql.Always(d.expr) {
		b, err := d.always(ctx)
		if err != nil {
			return found, err
		}
		found.Boundaries = append(found.Boundaries, b)
		return found, nil
	}
	if why := unsupported(d.expr); why != "" {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), why})
		return found, nil
	}
	if n := d.samples(d.steady); n > 2*maxSamples {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), fmt.Sprintf("it looks back over %d samples, more than promtool loads", n)})
		return found, nil
	}
	all := conditions(d.expr)
	if len(all) > maxConditions {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), fmt.Sprintf("it has %d conditions, more than %d", len(all), maxConditions)})
		return found, nil
	}
	if len(all) == 0 { // no comparison: it fires while there is data
		for s := range selectorsIn(d.expr) {
			all = append(all, condition{expr: s})
			break
		}
	}
	for _, c := range all {
		b, err := d.boundary(ctx, c)
		if err != nil && !errors.Is(err, errDecidesNothing) && ctx.Err() == nil && d.hasCounters() {
			// rate() extrapolates a counter that begins at 0 differently.
			d.started = 1_000_000
			if older, failed := d.boundary(ctx, c); failed == nil {
				b, err = older, nil
			}
			d.started = 0
		}
		switch {
		case ctx.Err() != nil:
			return found, ctx.Err()
		case errors.Is(err, errDecidesNothing):
		case err != nil:
			found.Unknown = append(found.Unknown, Unknown{d.text(c.expr), err.Error()})
		default:
			found.Boundaries = append(found.Boundaries, b)
		}
	}
	if len(found.Boundaries)+len(found.Unknown) == 0 {
		found.Unknown = append(found.Unknown, Unknown{d.text(d.expr), "no part of it was observed to decide"})
	}
	return found, nil
}

// hasCounters reports whether any series is a counter.
func (d *deriver) hasCounters() bool {
	return slices.Contains(slices.Collect(maps.Values(d.kinds)), counter)
}

// errDecidesNothing is returned for a selector that is expected to exist: other conditions decide.
var errDecidesNothing = errors.New("it decides nothing by itself")

// text is the source of a node, on one line.
func (d *deriver) text(node parser.Node) string {
	at := node.PositionRange()
	if at.Start < 0 || int(at.End) > len(d.alert.Expr) || at.Start >= at.End {
		return node.String()
	}
	return strings.Join(strings.Fields(d.alert.Expr[at.Start:at.End]), " ")
}

// boundary finds the boundary of one condition, with increasingly fine data until it lies at a whole number.
func (d *deriver) boundary(ctx context.Context, c condition) (Boundary, error) {
	b := comparison(c.expr)
	if b == nil {
		data, err := d.prepare(ctx, c, base)
		if err != nil {
			return Boundary{}, err
		}
		return d.appearance(ctx, data, c)
	}
	var (
		best      *dataset
		varied    parameter
		neighbour pair
		first     error
	)
	scales := []float64{base, 1e3, 1e4, 1e5, 1e6}
	for i := 0; i < len(scales); i++ {
		data, err := d.prepare(ctx, c, scales[i])
		if err == nil {
			var k parameter
			var p pair
			if k, p, err = d.cross(ctx, data, b, d.expr); err == nil {
				if best == nil || isWhole(p) {
					best, varied, neighbour = data, k, p
				}
				// Where the varied part is also in the divisor, a round sum gives a round part.
				if part := p.fires; i == 0 && part > 0 && !isWhole(p) {
					scales = slices.Insert(scales, 1, math.Round(base*base/(base+part)))
				}
			}
		}
		if err != nil && i == 0 && !isDirect(b) { // one term of a sum can cross the threshold only if the others are small
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
	return d.simulate(ctx, best, c, varied, neighbour)
}

func isWhole(p pair) bool {
	return p.fires == float64(int64(p.fires)) && p.quiet == float64(int64(p.quiet))
}

// isDirect reports whether a comparison selects only one series.
func isDirect(b *parser.BinaryExpr) bool {
	n := 0
	for range selectorsIn(b) {
		n++
	}
	return n == 1
}

// prepare builds data for which only the given condition decides.
func (d *deriver) prepare(ctx context.Context, c condition, scale float64) (*dataset, error) {
	data, err := d.dataset(scale)
	if err != nil {
		return nil, err
	}
	for _, want := range c.demands {
		if err := d.satisfy(ctx, data, want); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// appearance is the boundary between a series that exists and one that does not.
func (d *deriver) appearance(ctx context.Context, data *dataset, c condition) (Boundary, error) {
	s := c.expr.(*parser.VectorSelector)
	if len(data.by[key(s)]) == 0 {
		return Boundary{}, errDecidesNothing
	}
	k := parameter{of: data.by[key(s)][0], attribute: presence}
	k.set(1)
	there, err := d.holds(ctx, data, d.expr)
	if err != nil {
		return Boundary{}, err
	}
	k.set(0)
	missing, err := d.holds(ctx, data, d.expr)
	if err != nil {
		return Boundary{}, err
	}
	switch {
	case there == missing:
		return Boundary{}, errDecidesNothing
	case there:
		return d.simulate(ctx, data, c, k, pair{quiet: 0, fires: 1})
	}
	return d.simulate(ctx, data, c, k, pair{quiet: 1, fires: 0})
}

// always is the boundary of an alert that fires for any input.
func (d *deriver) always(ctx context.Context) (Boundary, error) {
	data, err := d.dataset(base)
	if err != nil {
		return Boundary{}, err
	}
	s := &simulation{deriver: d, ctx: ctx, dataset: data}
	if err := s.fire(0, d.slot(d.alert.For)+d.interval); err != nil {
		return Boundary{}, err
	}
	sent, err := s.sent(ctx, ruletest.Storage(nil), s.fires)
	if err != nil {
		return Boundary{}, err
	}
	story := Scenario{Name: d.alert.Name + " fires always", Interval: d.sampled, Checks: []Check{{At: s.fires, Firing: withoutName(sent)}}}
	return Boundary{Alert: d.alert, Condition: d.text(d.expr), Fires: "always", Quiet: "never", After: s.fires - s.active, Scenarios: []Scenario{story}}, nil
}

// withoutName removes alertname, which promtool adds by itself.
func withoutName(all []Firing) []Firing {
	for i := range all {
		all[i].Labels = labels.NewBuilder(all[i].Labels).Del(labels.AlertName).Labels()
	}
	return all
}
