package ruletest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	prometheusvalue "github.com/prometheus/prometheus/model/value"

	"github.com/stemedb/firedrill/tools/evaluate"
)

// warnings finds weak tests of a file. With Strict, it reruns tests in other ways, to see whether the verdict depends on
// chance.
func (s *Suite) warnings(ctx context.Context, f *file, results []TestResult) []Warning {
	if f.err != nil {
		return nil
	}
	var all []Warning
	warn := func(line int, format string, args ...any) {
		all = append(all, Warning{f.path, line, fmt.Sprintf(format, args...)})
	}
	for _, pattern := range f.missing {
		warn(0, "no rule file matches %q: its rules are not tested", pattern)
	}
	if f.empty {
		warn(0, "there is no test in the file: write tests: with at least one")
	}
	for i, t := range f.tests {
		if t.err != nil || f.loaded == nil {
			continue
		}
		if t.hidden > 0 {
			warn(t.line, "the last %d input series are passed over, as promtool reads them only up to the first empty line: write values: without one", t.hidden)
		}
		if s.options.Strict {
			for _, ended := range t.ended(s.options.Lookback) {
				warn(ended.line, "%s", ended.text)
			}
			t.vacuous(warn)
			s.rerun(ctx, t, results[i].Failed(), warn)
		}
	}
	return all
}

// rerun runs a test with undefined group orders reversed, and with the groups' own intervals.
func (s *Suite) rerun(ctx context.Context, t *test, failed bool, warn func(line int, format string, args ...any)) {
	now := "passes"
	if failed {
		now = "fails"
	}
	if open := t.openPairs(); len(open) > 0 {
		if s.runTest(ctx, t, &ordered{rules: t.file.loaded.opposite}, nil).Failed() != failed {
			pair := open[0]
			warn(t.line, "%s %s only by chance: its verdict depends on whether group %q is evaluated before group %q, which reads it: name both in group_eval_order",
				t.Name, now, pair[0].Name, pair[1].Name)
		}
	}
	own := s.withOwnIntervals(t)
	if own != nil && own.err == nil && s.runTest(ctx, own, t.file.loaded, nil).Failed() != failed {
		warn(t.line, "%s %s only because the tests evaluate each group every %s: with the groups' own intervals the verdict is the opposite",
			t.Name, now, model.Duration(t.interval))
	}
}

// live returns the rules that can have a value or an error in the test.
func (t *test) live() []*evaluate.Rule { return t.file.loaded.rules.Live(t.data.Metrics()).All() }

// openPairs returns the groups whose order the file does not define and that both matter to the test.
func (t *test) openPairs() [][2]*evaluate.Group {
	var pairs [][2]*evaluate.Group
	live := t.live()
	has := func(g *evaluate.Group) bool {
		return slices.ContainsFunc(live, func(r *evaluate.Rule) bool { return r.Group == g })
	}
	for _, pair := range t.file.loaded.open {
		if has(pair[0]) && has(pair[1]) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// withOwnIntervals returns the test with rule groups at their own intervals, or nil if these are all the same.
func (s *Suite) withOwnIntervals(t *test) *test {
	shortest, differ := t.interval, false
	for _, r := range t.live() {
		if r.Group.Interval > 0 {
			shortest, differ = gcd(shortest, r.Group.Interval), differ || r.Group.Interval != t.interval
		}
	}
	if !differ {
		return nil
	}
	own := s.prepare(t.file, t.testGroup, t.index, shortest)
	own.ownIntervals = t.interval
	return own
}

func gcd(a, b time.Duration) time.Duration {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

type ending struct {
	line int
	text string
}

// ended returns the input series that end without a stale marker before the last time that is asserted on: queries
// return them for as long as they look back, and then no more.
func (t *test) ended(lookback time.Duration) []ending {
	asserted := map[int64]int{} // lines, by time
	for _, a := range t.AlertTests {
		at := t.at(t.slotOf(a)).UnixMilli()
		if _, ok := asserted[at]; !ok {
			asserted[at] = a.line
		}
	}
	for _, e := range t.ExprTests {
		at := t.start().Add(time.Duration(e.EvalTime)).UnixMilli()
		if _, ok := asserted[at]; !ok {
			asserted[at] = e.line
		}
	}
	var all []ending
	for _, s := range t.series {
		last, stale := int64(math.MinInt64), s.truncated
		if n := len(s.Floats); n > 0 {
			last, stale = s.Floats[n-1].T, stale || prometheusvalue.IsStaleNaN(s.Floats[n-1].F)
		}
		if n := len(s.Histograms); n > 0 && s.Histograms[n-1].T > last {
			last, stale = s.Histograms[n-1].T, s.truncated || prometheusvalue.IsStaleNaN(s.Histograms[n-1].H.Sum)
		}
		if stale || last == math.MinInt64 {
			continue
		}
		gap := time.Duration(t.Interval).Milliseconds()
		for _, at := range slices.Sorted(maps.Keys(asserted)) {
			// It has not ended before its next sample is due.
			if since := at - last; since >= gap && since < lookback.Milliseconds() {
				all = append(all, ending{asserted[at], fmt.Sprintf(
					"%s ended %s before this, but queries still return it, since they look back %s: give it more values, or end it with stale",
					s.Metric, model.Duration(time.Duration(since)*time.Millisecond), model.Duration(lookback))})
				break
			}
		}
	}
	return all
}
