package witness

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/storage"

	"github.com/stemedb/firedrill/tools/promql"
)

// maxEvaluations limits the evaluations of one scenario.
const maxEvaluations = 100_000

// simulate evaluates the scenarios of a boundary and records what it observes.
func (d *deriver) simulate(ctx context.Context, data *dataset, c condition, k parameter, p pair) (Boundary, error) {
	span := d.steady + d.slot(d.alert.For) + 2*d.interval
	if span/d.interval > maxEvaluations {
		return Boundary{}, fmt.Errorf("it takes %d evaluations to see it fire: more than %d", span/d.interval, maxEvaluations)
	}
	s := &simulation{deriver: d, ctx: ctx, dataset: data, parameter: k}

	// Where rounding makes a condition hold at some evaluations only, the value one step further is taken.
	width, nearest, first := p.fires-p.quiet, p.fires, *s
	for tries := 0; ; tries++ {
		if err := s.fire(p.fires, span); err != nil {
			return Boundary{}, err
		}
		if tries == 0 {
			first = *s
		}
		if s.fires >= 0 && s.fires-s.active <= d.slot(d.alert.For) || k.attribute == presence || p.isolated != neither {
			break
		}
		if tries == 3 {
			if first.fires >= 0 { // a larger distance does not help
				*s, p.fires = first, nearest
			}
			break
		}
		p.fires = roundOff(p.fires + width)
	}
	if s.fires < 0 {
		return Boundary{}, fmt.Errorf("at %s its condition holds but it never fires", d.describe(k, p.fires))
	}
	for tries := 0; ; tries++ {
		quiet, err := s.quiet(p.quiet)
		if err != nil {
			return Boundary{}, err
		}
		if quiet {
			break
		}
		if tries == 3 || k.attribute == presence || p.isolated != neither {
			return Boundary{}, fmt.Errorf("at %s it becomes active at some evaluations", d.describe(k, p.quiet))
		}
		p.quiet = roundOff(p.quiet - width)
	}

	b := Boundary{Alert: d.alert, Condition: d.text(c.expr), After: s.fires - s.active}
	b.Fires, b.Quiet = s.describe(k, p.fires)+s.computed(p.fires, c, p.isolated == neither), position(d, k, p.quiet)+s.computed(p.quiet, c, false)
	scenarios := []func(pair) (*Scenario, string, error){s.quietScenario, s.firesAndClears, s.interrupted, s.seriesEnds}
	switch p.isolated {
	case fires:
		b.Quiet += ", " + number(p.beyond)
		scenarios = slices.Insert(scenarios, 1, func(p pair) (*Scenario, string, error) { return s.quietScenario(pair{quiet: p.beyond}) })
	case quiet:
		b.Fires += ", " + number(p.beyond)
		scenarios = slices.Insert(scenarios, 2, func(p pair) (*Scenario, string, error) {
			other, _, err := s.firesAndClears(pair{quiet: p.quiet, fires: p.beyond, isolated: quiet})
			return other, "", err
		})
	}
	for _, next := range scenarios {
		scenario, clears, err := next(p)
		if err != nil {
			return Boundary{}, err
		}
		if scenario != nil {
			b.Scenarios = append(b.Scenarios, *scenario)
		}
		if clears != "" {
			b.Clears = append(b.Clears, clears)
		}
	}
	return b, nil
}

// simulation evaluates the scenarios of one boundary.
type simulation struct {
	*deriver
	*dataset
	ctx           context.Context
	parameter     parameter
	active, fires time.Duration // when the condition holds first, and when the alert fires; -1 for never
	quietUntil    time.Duration // how long the quiet side is evaluated
}

// run evaluates phases and returns the input, its storage and each evaluation's result.
func (s *simulation) run(phases []phase) ([]Series, storage.Queryable, []Instant, error) {
	series := s.series(s.parameter, phases)
	m, err := load(series, s.sampled)
	if err != nil {
		return nil, nil, nil, err
	}
	total := 0
	for _, p := range phases {
		total += p.samples
	}
	seen, err := s.deriver.run(s.ctx, m, time.Duration(total-1)*s.sampled)
	return series, m, seen, err
}

// fire keeps the parameter at a value at which the alert should fire, and sets active and fires.
func (s *simulation) fire(value float64, span time.Duration) error {
	_, _, seen, err := s.run([]phase{{value, s.samples(span)}})
	s.active, s.fires = when(seen, Instant.active), when(seen, Instant.firing)
	return err
}

// when returns the time of the first evaluation for which is returns true, or -1.
func when(seen []Instant, is func(Instant) bool) time.Duration {
	if i := slices.IndexFunc(seen, is); i >= 0 {
		return seen[i].At
	}
	return -1
}

// drifts reports whether a series changes towards the boundary while its parameter is constant.
func (s *simulation) drifts() bool {
	return slices.ContainsFunc(s.inputs, func(in *input) bool { return in.kind == linear && !in.absent })
}

// quiet reports whether the alert stays inactive while the parameter is at a value, and sets quietUntil. Where a series
// drifts, it looks until just before the alert becomes active at the other value. Rates do not count until their window
// is full.
func (s *simulation) quiet(value float64) (bool, error) {
	s.quietUntil = s.fires
	if s.drifts() {
		s.quietUntil = max(s.active-s.interval, 0)
	}
	filled := time.Duration(0)
	for {
		_, _, seen, err := s.run([]phase{{value, s.samples(s.quietUntil)}})
		wasActive := slices.ContainsFunc(seen, func(i Instant) bool { return i.active() && i.At >= filled && i.At <= s.quietUntil })
		if err != nil || !wasActive || filled > 0 || !s.hasCounters() || s.drifts() {
			return !wasActive, err
		}
		filled = s.steady
		s.quietUntil = filled + s.slot(s.alert.For)
	}
}

func (s *simulation) at(phases []phase) []phase {
	return slices.DeleteFunc(phases, func(p phase) bool { return p.samples <= 0 })
}

// quietScenario is the scenario in which the alert stays inactive.
func (s *simulation) quietScenario(p pair) (*Scenario, string, error) {
	series := s.series(s.parameter, []phase{{p.quiet, s.samples(s.quietUntil)}})
	name := fmt.Sprintf("%s is quiet with %s", s.alert.Name, s.describe(s.parameter, p.quiet))
	return &Scenario{name, s.sampled, series, []Check{{At: s.quietUntil}}}, "", nil
}

// clearLimit is how long the alert is evaluated after its condition ends, to see it resolve.
func (s *simulation) clearLimit() time.Duration {
	return s.slot(s.longest + s.alert.KeepFiringFor + lookback + 3*max(s.interval, s.sampled))
}

// back is the value at which the alert resolves. A series that drifts starts again, far enough away to stay quiet.
func (s *simulation) back(p pair) float64 {
	if s.drifts() && s.parameter.of.kind == linear {
		return p.quiet + s.clearLimit().Seconds()
	}
	return p.quiet
}

// firesAndClears is the scenario in which the alert is not yet firing, fires once `for` is met, and resolves.
func (s *simulation) firesAndClears(p pair) (*Scenario, string, error) {
	var (
		phases  []phase
		series  []Series
		m       storage.Queryable
		seen    []Instant
		err     error
		cleared time.Duration
	)
	// Rounding may move the boundary by a last bit after the values that came before.
	for tries := 0; tries < 3; tries++ {
		phases = []phase{{p.fires, s.samples(s.fires)}, {s.back(p), s.samples(s.clearLimit())}}
		if series, m, seen, err = s.run(phases); err != nil {
			return nil, "", err
		}
		cleared = when(seen, func(i Instant) bool { return i.At > s.fires && !i.firing() })
		if cleared >= 0 || s.parameter.attribute != seriesValue || p.isolated != neither {
			break
		}
		p.quiet = roundOff(p.quiet + math.Copysign(math.Abs(p.fires-p.quiet)/float64(1+tries), p.quiet-p.fires))
	}
	sc := &Scenario{Name: fmt.Sprintf("%s fires with %s", s.alert.Name, s.describe(s.parameter, p.fires)), Interval: s.sampled}
	if s.alert.For > 0 {
		sc.Name += " for " + model.Duration(s.alert.For).String()
		sc.Checks = append(sc.Checks, Check{At: s.fires - s.interval, Why: "not yet"})
	}
	sent, err := s.sent(s.ctx, m, s.fires)
	if err != nil {
		return nil, "", err
	}
	sc.Checks = append(sc.Checks, Check{At: s.fires, Firing: withoutName(sent)})
	if cleared < 0 {
		sc.Series = s.series(s.parameter, s.at([]phase{phases[0]}))
		return sc, fmt.Sprintf("not within %s of %s", model.Duration(s.clearLimit()).String(), s.describe(s.parameter, p.quiet)), nil
	}
	if last := cleared - s.interval; last > s.fires {
		if sent, err = s.lastSent(m, seen, last); err != nil {
			return nil, "", err
		}
		sc.Checks = append(sc.Checks, Check{At: last, Firing: withoutName(sent), Why: "still"})
	}
	sc.Checks = append(sc.Checks, Check{At: cleared, Why: "resolved"})
	phases[1].samples = s.samples(cleared) - phases[0].samples
	if sc.Series = s.series(s.parameter, s.at(phases)); len(sc.Series) != len(series) {
		return nil, "", errors.New("the input has another number of series once it is cut to the evaluations that are needed")
	}
	return sc, fmt.Sprintf("%s: %s", position(s.deriver, s.parameter, p.quiet), s.delay(cleared-s.fires)), nil
}

// lastSent is what the alert sends at a time: while keep_firing_for keeps it firing, the last that it sent before.
func (s *simulation) lastSent(m storage.Queryable, seen []Instant, at time.Duration) ([]Firing, error) {
	for ; at >= 0; at -= s.interval {
		sent, err := s.sent(s.ctx, m, at)
		if err != nil || len(sent) > 0 {
			return sent, err
		}
	}
	return nil, nil
}

// delay describes how long something takes, given the time of the evaluation that shows it.
func (s *simulation) delay(d time.Duration) string {
	if d <= s.interval {
		return "at once"
	}
	return "after " + model.Duration(d-s.interval).String()
}

// interrupted is the scenario of a gap in the condition that restarts `for`.
func (s *simulation) interrupted(p pair) (*Scenario, string, error) {
	if s.alert.For < 2*s.interval || s.drifts() || s.parameter.of.kind == changing || s.parameter.of.kind == resetting {
		return nil, "", nil
	}
	half := s.samples(s.active + s.alert.For/2)
	for gap := 1; time.Duration(gap)*s.sampled <= s.clearLimit(); gap = max(gap+1, gap*5/4) {
		phases := []phase{{p.fires, half}, {p.quiet, gap}, {p.fires, s.samples(s.steady + s.alert.For + 2*s.interval)}}
		_, _, seen, err := s.run(phases)
		if err != nil {
			return nil, "", err
		}
		before := time.Duration(half-1) * s.sampled
		quietUntil := when(seen, func(i Instant) bool { return i.At > before && !i.active() })
		if quietUntil < 0 {
			continue
		}
		if first := when(seen, Instant.firing); first < quietUntil {
			if first < 0 {
				return nil, "", fmt.Errorf("after a gap it never fires")
			}
			return nil, "", nil // it fired before the gap had an effect
		}
		fires := when(seen, Instant.firing)
		if phases[2].samples = s.samples(fires) - half - gap; phases[2].samples <= 0 {
			return nil, "", nil
		}
		series, m, seen, err := s.run(phases)
		if err != nil || when(seen, Instant.firing) != fires {
			return nil, "", err
		}
		sent, err := s.sent(s.ctx, m, fires)
		if err != nil {
			return nil, "", err
		}
		checks := []Check{{At: s.fires, Why: "but for the gap"}, {At: fires - s.interval, Why: "not yet"}, {At: fires, Firing: withoutName(sent)}}
		if checks[0].At >= checks[1].At {
			checks = checks[1:]
		}
		return &Scenario{fmt.Sprintf("%s begins again after a gap of %s", s.alert.Name, model.Duration(time.Duration(gap)*s.sampled).String()), s.sampled, series, checks}, "", nil
	}
	return nil, "", nil
}

// seriesEnds is the scenario of a target that stops exporting the series.
func (s *simulation) seriesEnds(p pair) (*Scenario, string, error) {
	if s.parameter.attribute == presence || s.parameter.attribute == copies || s.parameter.of.labels.Has("le") {
		return nil, "", nil
	}
	before := *s.parameter.of
	defer func() { *s.parameter.of = before }()
	s.parameter.set(p.fires)
	gone := parameter{s.parameter.of, presence}
	phases := []phase{{1, s.samples(s.fires)}, {0, s.samples(s.clearLimit())}}
	own := s.parameter
	s.parameter = gone
	defer func() { s.parameter = own }()
	_, m, seen, err := s.run(phases)
	if err != nil {
		return nil, "", err
	}
	name := gone.of.labels.Get("__name__")
	cleared := when(seen, func(i Instant) bool { return i.At > s.fires && !i.firing() })
	if !seen[int(s.fires/s.interval)].firing() {
		return nil, "", nil
	}
	sent, err := s.sent(s.ctx, m, s.fires)
	if err != nil {
		return nil, "", err
	}
	sc := &Scenario{Interval: s.sampled, Checks: []Check{{At: s.fires, Firing: withoutName(sent)}}}
	if cleared < 0 {
		return nil, name + " gone: keeps firing", nil
	}
	sc.Name = fmt.Sprintf("%s is resolved when %s is no longer reported", s.alert.Name, name)
	sc.Checks = append(sc.Checks, Check{At: cleared})
	phases[1].samples = s.samples(cleared) - phases[0].samples
	sc.Series = s.series(gone, s.at(phases))
	return sc, fmt.Sprintf("%s gone: %s", name, s.delay(cleared-s.fires)), nil
}

// computed is the value that a condition computes when the parameter has a value, in parentheses, or "" where it
// computes nothing. All its digits are written if exact and only the last of them makes it fire.
func (s *simulation) computed(value float64, c condition, exact bool) string {
	b := comparison(c.expr)
	if b == nil || s.parameter.attribute == copies || s.drifts() || isDirect(b) && s.parameter.of.kind == gauge {
		return ""
	}
	before := *s.parameter.of
	defer func() { *s.parameter.of = before }()
	s.parameter.set(value)
	left, right, ok := s.measure(s.ctx, s.dataset, b)
	if !ok {
		return ""
	}
	if _, constant := promql.Constant(b.LHS); constant {
		left, right = right, left
	}
	if rounded := significant(left, 6); rounded != right || left == right || !exact {
		return fmt.Sprintf(" (%s)", number(rounded))
	}
	return fmt.Sprintf(" (%s)", strconv.FormatFloat(left, 'f', -1, 64))
}
