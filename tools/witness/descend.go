package witness

import (
	"math"
	"slices"
	"time"
)

// variable is one number of the input that the search changes.
type variable struct {
	of        *series
	kind      trait
	low, high float64
	whole     bool
}

// trait is which number of a series it is.
type trait int

const (
	atLevel trait = iota
	atSlope
	atEarly
	atSwing
	atPeriod
	atGap
	atStart // no series's: when the condition begins to hold
)

func (v variable) place() *float64 {
	switch v.kind {
	case atLevel:
		return &v.of.level
	case atSlope:
		return &v.of.slope
	case atEarly:
		return &v.of.early
	case atSwing:
		return &v.of.swing
	}
	return nil
}

func (p *plan) get(v variable) float64 {
	switch v.kind {
	case atPeriod:
		return float64(v.of.period)
	case atGap:
		return float64(v.of.gap)
	case atStart:
		return float64(p.start.Add(p.begin).Unix())
	}
	return *v.place()
}

func (p *plan) put(v variable, to float64) {
	switch v.kind {
	case atPeriod:
		v.of.period = int(to)
	case atGap:
		v.of.gap = int(to)
	case atStart:
		p.start = time.Unix(int64(to), 0).UTC().Add(-p.begin)
	default:
		*v.place() = to
	}
}

// variables lists what can be changed.
func (p *plan) variables() []variable {
	inf := math.Inf(1)
	var all []variable
	for _, s := range p.series {
		if s.missing {
			continue
		}

		levels := slices.ContainsFunc(s.uses, func(u use) bool {
			return !slices.Contains([]string{"rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "timestamp"}, u.function)
		})
		two := p.differs(s)
		switch {
		case s.resets:
			all = append(all, variable{s, atPeriod, 0, 1e6, true})
		case s.counter && s.labels.Has("le") && slices.ContainsFunc(s.uses, func(u use) bool { return u.upper }):
		case s.counter && s.labels.Has("le"):
			all = append(all, variable{s, atSlope, 0, bucketTotal, false})
		case s.counter:
			all = append(all, variable{s, atSlope, 0, inf, false})
			if two {
				all = append(all, variable{s, atEarly, -1e9, inf, false})
			}
			if levels {
				all = append(all, variable{s, atLevel, 0, inf, false})
			}
		case s.moment:
			all = append(all, variable{s, atLevel, -inf, inf, false}, variable{s, atSlope, 0, inf, false})
		default:
			if s.usedBy("delta", "idelta", "deriv", "predict_linear", "double_exponential_smoothing") {
				all = append(all, variable{s, atSlope, -inf, inf, false})
			}
			if two {
				all = append(all, variable{s, atEarly, -inf, inf, s.whole})
			}
			if levels && s.low < s.high {
				all = append(all, variable{s, atLevel, s.low, s.high, s.whole})
			}
			if s.usedBy("timestamp") {
				all = append(all, variable{s, atGap, 0, 1e6, true})
			}
			if s.usedBy("changes") {
				all = append(all, variable{s, atPeriod, 0, 1e6, true})
			}
			if s.period > 0 {
				all = append(all, variable{s, atSwing, 0, inf, false})
			}
		}
	}
	if p.calendar {
		all = append(all, variable{nil, atStart, 0, inf, true})
	}
	return all
}

// differs reports whether a series is looked at over different times, so that it can be one thing before the condition
// begins to hold and another since.
func (p *plan) differs(s *series) bool {
	for _, u := range s.uses[1:] {
		if u.window != s.uses[0].window || u.offset != s.uses[0].offset {
			return true
		}
	}
	return false
}

// steps are the numbers that are tried first, small ones before large ones.
var steps = []float64{0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e12, 1e15}

// maxVaried limits the series whose numbers are changed.
const maxVaried = 100

// descend changes one variable after the other until all tests hold.
func (p *plan) descend() bool {
	best := p.distance()
	if best == 0 || len(p.series) > maxVaried {
		return best == 0
	}
	all := p.variables()
	for range 8 {
		before := best
		for _, v := range all {
			if best == 0 || p.work > maxWork {
				return best == 0
			}
			old := p.get(v)
			to, distance := p.along(v, best)
			if distance < best {
				p.put(v, to)
				best = distance
			} else {
				p.put(v, old)
			}
		}
		if best == 0 {
			return true
		}
		if best >= before {
			return false
		}
	}
	return false
}

// along tries values of one variable and returns the best.
func (p *plan) along(v variable, best float64) (float64, float64) {
	found := p.get(v)
	old := found
	seen := map[float64]bool{found: true}
	// try reports whether nothing can be better.
	try := func(to float64) bool {
		if v.whole {
			to = math.Round(to)
		}
		if to = min(max(roundOff(to), v.low), v.high); seen[to] || math.IsNaN(to) || math.IsInf(to, 0) {
			return false
		}
		seen[to] = true
		p.put(v, to)
		if d := p.distance(); d < best {
			best, found = d, to
		}
		return best == 0
	}
	if v.kind == atStart {
		for _, t := range moments {
			if try(float64(t)) {
				return found, best
			}
		}
		return found, best
	}
	if v.kind == atGap {
		for to := 2; to < p.ticks(lookback); to++ {
			if try(float64(to)) {
				return found, best
			}
		}
		return found, best
	}
	if v.kind == atPeriod {
		for _, to := range []float64{0, 60, 30, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1} {
			if try(to) {
				return found, best
			}
		}
		return found, best
	}
	// Where a test turns, and beyond: a step, then a tenth, then twice as far.
	for _, t := range p.tests {
		for _, at := range p.moments {
			p.put(v, old)
			if p.missBy(t, at) == 0 {
				continue
			}
			root, ok := p.root(v, t, at)
			if !ok {
				continue
			}
			step := stepAt(root)
			near := math.Round(root/step) * step
			for _, to := range []float64{near, near + step, near - step, near + 2*step, near - 2*step, root * 1.1, root * 0.9, root * 2, root / 2, root * 10, 0} {
				if try(to) {
					return found, best
				}
			}
		}
	}
	for _, to := range steps {
		if try(to) || v.low < 0 && try(-to) {
			return found, best
		}
	}
	return found, best
}

// stepAt is the distance between neighbouring numbers that a person would write: 1, or the second digit.
func stepAt(root float64) float64 {
	size := math.Abs(root)
	switch {
	case size == 0 || root == math.Trunc(root) && size < 1e6:
		return 1
	case size >= 10:
		return math.Max(1, math.Pow10(int(math.Floor(math.Log10(size)))-2))
	}
	return math.Pow10(int(math.Floor(math.Log10(size))) - 1)
}

// root finds by the secant method where both sides of a test are equal.
func (p *plan) root(v variable, t *test, at time.Duration) (float64, bool) {
	gap := func(x float64) (float64, float64, bool) {
		p.put(v, x)
		l, ok := p.value(t.left, at)
		if !ok {
			return 0, 0, false
		}
		r, ok := p.value(t.right, at)
		return l - r, max(math.Abs(l), math.Abs(r)), ok && !math.IsNaN(l-r) && !math.IsInf(l-r, 0)
	}
	x0 := p.get(v)
	f0, _, ok := gap(x0)
	if !ok {
		return 0, false
	}
	x1 := x0 + max(1, math.Abs(x0)/10)
	if x1 > v.high {
		x1 = x0 - max(1, math.Abs(x0)/10)
	}
	for range 20 {
		f1, size, ok := gap(x1)
		switch {
		case !ok || f1 == f0:
			return 0, false
		case math.Abs(f1) <= 1e-9*size || f1 == 0:
			return roundOff(significant(x1, 10)), true
		}
		x0, f0, x1 = x1, f1, x1-f1*(x1-x0)/(f1-f0)
		if math.IsNaN(x1) || math.IsInf(x1, 0) {
			return 0, false
		}
	}
	return 0, false
}

// moments are the times at which the search lets a condition begin to hold where it asks for the time of day, the day of
// the week or the date, in seconds since 1970: each hour of a week, and the first and last days of months.
var moments = func() (all []int64) {
	monday := time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)
	for hour := range 7 * 24 {
		all = append(all, monday.Add(time.Duration((hour+12)%(7*24))*time.Hour).Unix())
	}
	for month := range 12 {
		for _, day := range []int{1, 2, 15, 28, 29, 30, 31} {
			all = append(all, time.Date(2026, time.January+time.Month(month), day, 12, 0, 0, 0, time.UTC).Unix())
		}
	}
	return all
}()
