package boundary

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// most is how many evaluations a scenario may take.
const most = 100_000

// play runs the scenarios of a boundary and writes down what was seen.
func (d *deriver) play(ctx context.Context, sc *scene, c condition, k knob, p pair) (Boundary, error) {
	span := d.steady + d.slot(d.alert.For) + 2*d.interval
	if span/d.interval > most {
		return Boundary{}, fmt.Errorf("it takes %d evaluations to see it fire: more than %d", span/d.interval, most)
	}
	s := &stage{deriver: d, ctx: ctx, scene: sc, knob: k}

	// A value whose computation wavers by the last bit at some evaluations is no neighbour: one step further it is.
	width, nearest, first := p.fires-p.quiet, p.fires, *s
	for tries := 0; ; tries++ {
		if err := s.fire(p.fires, span); err != nil {
			return Boundary{}, err
		}
		if tries == 0 {
			first = *s
		}
		if s.fires >= 0 && s.fires-s.active <= d.slot(d.alert.For) || k.dial == presence || p.alone != neither {
			break
		}
		if tries == 3 {
			if first.fires >= 0 { // further away it is no steadier
				*s, p.fires = first, nearest
			}
			break
		}
		p.fires = tidy(p.fires + width)
	}
	if s.fires < 0 {
		return Boundary{}, fmt.Errorf("at %s its condition holds and yet it never fires", d.describe(k, p.fires))
	}
	for tries := 0; ; tries++ {
		quiet, err := s.quiet(p.quiet)
		if err != nil {
			return Boundary{}, err
		}
		if quiet {
			break
		}
		if tries == 3 || k.dial == presence || p.alone != neither {
			return Boundary{}, fmt.Errorf("at %s it is not quiet all the time", d.describe(k, p.quiet))
		}
		p.quiet = tidy(p.quiet - width)
	}

	b := Boundary{Alert: d.alert, Condition: d.text(c.expr), After: s.fires - s.active}
	b.Fires, b.Quiet = s.describe(k, p.fires)+s.computed(p.fires, c, p.alone == neither), position(d, k, p.quiet)+s.computed(p.quiet, c, false)
	stories := []func(pair) (*Scenario, string, error){s.staysQuiet, s.firesAndClears, s.interrupted, s.ends}
	switch p.alone {
	case fires:
		b.Quiet += ", " + number(p.beyond)
		stories = slices.Insert(stories, 1, func(p pair) (*Scenario, string, error) { return s.staysQuiet(pair{quiet: p.beyond}) })
	case quiet:
		b.Fires += ", " + number(p.beyond)
		stories = slices.Insert(stories, 2, func(p pair) (*Scenario, string, error) {
			other, _, err := s.firesAndClears(pair{quiet: p.quiet, fires: p.beyond, alone: quiet})
			return other, "", err
		})
	}
	for _, tell := range stories {
		scenario, clears, err := tell(p)
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

// stage is where the scenarios of one boundary are played.
type stage struct {
	*deriver
	*scene
	ctx           context.Context
	knob          knob
	active, fires time.Duration // when the condition holds first, and when the alert fires; -1 for never
	calm          time.Duration // until when the quiet side is looked at
}

// run plays phases and returns what was seen up to their end.
func (s *stage) run(phases []phase) ([]Series, memory, []Instant, error) {
	series := s.series(s.knob, phases)
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

// fire holds the knob where the alert should fire, and notes when it is active and when it fires.
func (s *stage) fire(value float64, span time.Duration) error {
	_, _, seen, err := s.run([]phase{{value, s.samples(span)}})
	s.active, s.fires = when(seen, Instant.active), when(seen, Instant.firing)
	return err
}

// when is the first time that something is so, or -1.
func when(seen []Instant, is func(Instant) bool) time.Duration {
	if i := slices.IndexFunc(seen, is); i >= 0 {
		return seen[i].At
	}
	return -1
}

// drifts says whether the input comes closer to the boundary by itself.
func (s *stage) drifts() bool {
	return slices.ContainsFunc(s.inputs, func(in *input) bool { return in.kind == falling && !in.absent })
}

// quiet says whether the alert is inactive all the time while the knob is held at a value, and sets calm. Where the input
// drifts, that is until it becomes active at the other one. What a rate is while its window fills does not count.
func (s *stage) quiet(value float64) (bool, error) {
	s.calm = s.fires
	if s.drifts() {
		s.calm = max(s.active-s.interval, 0)
	}
	filled := time.Duration(0)
	for {
		_, _, seen, err := s.run([]phase{{value, s.samples(s.calm)}})
		stirs := slices.ContainsFunc(seen, func(i Instant) bool { return i.active() && i.At >= filled && i.At <= s.calm })
		if err != nil || !stirs || filled > 0 || !s.counts() || s.drifts() {
			return !stirs, err
		}
		filled = s.steady
		s.calm = filled + s.slot(s.alert.For)
	}
}

func (s *stage) at(phases []phase) []phase {
	return slices.DeleteFunc(phases, func(p phase) bool { return p.samples <= 0 })
}

// staysQuiet is the scenario on the quiet side.
func (s *stage) staysQuiet(p pair) (*Scenario, string, error) {
	series := s.series(s.knob, []phase{{p.quiet, s.samples(s.calm)}})
	name := fmt.Sprintf("%s is quiet with %s", s.alert.Name, s.describe(s.knob, p.quiet))
	return &Scenario{name, s.sampled, series, []Check{{At: s.calm}}}, "", nil
}

// patience is how long after the end of a condition an alert is given to clear.
func (s *stage) patience() time.Duration {
	longest, _ := window(s.expr)
	return s.slot(longest + s.alert.KeepFiringFor + lookback + 3*max(s.interval, s.sampled))
}

// back is the way to the quiet side: what drifts begins anew.
func (s *stage) back(p pair) float64 {
	if s.drifts() && s.knob.of.kind == falling {
		return p.quiet + s.patience().Seconds()
	}
	return p.quiet
}

// firesAndClears is the scenario of `for`, one evaluation short and just met, and the way back.
func (s *stage) firesAndClears(p pair) (*Scenario, string, error) {
	var (
		phases  []phase
		series  []Series
		m       memory
		seen    []Instant
		err     error
		cleared time.Duration
	)
	// After what came before, the quiet side may be a last bit further away than it was without.
	for tries := 0; tries < 3; tries++ {
		phases = []phase{{p.fires, s.samples(s.fires)}, {s.back(p), s.samples(s.patience())}}
		if series, m, seen, err = s.run(phases); err != nil {
			return nil, "", err
		}
		cleared = when(seen, func(i Instant) bool { return i.At > s.fires && !i.firing() })
		if cleared >= 0 || s.knob.dial != levels || p.alone != neither {
			break
		}
		p.quiet = tidy(p.quiet + math.Copysign(math.Abs(p.fires-p.quiet)/float64(1+tries), p.quiet-p.fires))
	}
	sc := &Scenario{Name: fmt.Sprintf("%s fires with %s", s.alert.Name, s.describe(s.knob, p.fires)), Interval: s.sampled}
	if s.alert.For > 0 {
		sc.Name += " for " + short(s.alert.For)
		sc.Checks = append(sc.Checks, Check{At: s.fires - s.interval, Why: "not yet"})
	}
	sent, err := s.sent(s.ctx, m, s.fires)
	if err != nil {
		return nil, "", err
	}
	sc.Checks = append(sc.Checks, Check{At: s.fires, Firing: withoutName(sent)})
	if cleared < 0 {
		sc.Series = s.series(s.knob, s.at([]phase{phases[0]}))
		return sc, fmt.Sprintf("not within %s of %s", short(s.patience()), s.describe(s.knob, p.quiet)), nil
	}
	if last := cleared - s.interval; last > s.fires {
		if sent, err = s.lastSent(m, seen, last); err != nil {
			return nil, "", err
		}
		sc.Checks = append(sc.Checks, Check{At: last, Firing: withoutName(sent), Why: "still"})
	}
	sc.Checks = append(sc.Checks, Check{At: cleared, Why: "resolved"})
	phases[1].samples = s.samples(cleared) - phases[0].samples
	if sc.Series = s.series(s.knob, s.at(phases)); len(sc.Series) != len(series) {
		return nil, "", errors.New("its series changed while it was observed")
	}
	return sc, fmt.Sprintf("%s: %s", position(s.deriver, s.knob, p.quiet), s.delay(cleared-s.fires)), nil
}

// lastSent is what the alert says at a time; while keep_firing_for keeps it firing, what it said last.
func (s *stage) lastSent(m memory, seen []Instant, at time.Duration) ([]Firing, error) {
	for ; at >= 0; at -= s.interval {
		sent, err := s.sent(s.ctx, m, at)
		if err != nil || len(sent) > 0 {
			return sent, err
		}
	}
	return nil, nil
}

// delay says how many evaluations something takes.
func (s *stage) delay(d time.Duration) string {
	if d <= s.interval {
		return "at once"
	}
	return "after " + short(d-s.interval)
}

// interrupted is the scenario of a gap that makes `for` begin again.
func (s *stage) interrupted(p pair) (*Scenario, string, error) {
	if s.alert.For < 2*s.interval || s.drifts() || s.knob.of.kind == steps || s.knob.of.kind == drops {
		return nil, "", nil
	}
	half := s.samples(s.active + s.alert.For/2)
	for gap := 1; time.Duration(gap)*s.sampled <= s.patience(); gap = max(gap+1, gap*5/4) {
		phases := []phase{{p.fires, half}, {p.quiet, gap}, {p.fires, s.samples(s.steady + s.alert.For + 2*s.interval)}}
		_, _, seen, err := s.run(phases)
		if err != nil {
			return nil, "", err
		}
		before := time.Duration(half-1) * s.sampled
		calm := when(seen, func(i Instant) bool { return i.At > before && !i.active() })
		if calm < 0 {
			continue
		}
		if first := when(seen, Instant.firing); first < calm {
			if first < 0 {
				return nil, "", fmt.Errorf("after a gap it never fires")
			}
			return nil, "", nil // `for` had run out before the gap was seen
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
		return &Scenario{fmt.Sprintf("%s begins again after a gap of %s", s.alert.Name, short(time.Duration(gap)*s.sampled)), s.sampled, series, checks}, "", nil
	}
	return nil, "", nil
}

// ends is the scenario of a target that stops reporting the series.
func (s *stage) ends(p pair) (*Scenario, string, error) {
	if s.knob.dial == presence || s.knob.dial == copies || s.knob.of.labels.Has("le") {
		return nil, "", nil
	}
	before := *s.knob.of
	defer func() { *s.knob.of = before }()
	s.knob.set(p.fires)
	gone := knob{s.knob.of, presence}
	phases := []phase{{1, s.samples(s.fires)}, {0, s.samples(s.patience())}}
	there := s.knob
	s.knob = gone
	defer func() { s.knob = there }()
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
		return nil, name + " gone: goes on firing", nil
	}
	sc.Name = fmt.Sprintf("%s is resolved when %s is no longer reported", s.alert.Name, name)
	sc.Checks = append(sc.Checks, Check{At: cleared})
	phases[1].samples = s.samples(cleared) - phases[0].samples
	sc.Series = s.series(gone, s.at(phases))
	return sc, fmt.Sprintf("%s gone: %s", name, s.delay(cleared-s.fires)), nil
}

// computed is the value that a condition computes at a position of the knob, where that is another. All its digits are
// written where it fires by the last one.
func (s *stage) computed(value float64, c condition, exact bool) string {
	b := comparison(c.expr)
	if b == nil || s.knob.dial == copies || s.drifts() || isDirect(b) && s.knob.of.kind == gauge {
		return ""
	}
	before := *s.knob.of
	defer func() { *s.knob.of = before }()
	s.knob.set(value)
	left, right, ok := s.measure(s.ctx, s.scene, b)
	switch {
	case !ok:
		return ""
	case isConstant(b.LHS):
		left, right = right, left
	}
	if short := significant(left, 6); short != right || left == right || !exact {
		return fmt.Sprintf(" (%s)", number(short))
	}
	return fmt.Sprintf(" (%s)", strconv.FormatFloat(left, 'f', -1, 64))
}
