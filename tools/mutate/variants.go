package mutate

import (
	"iter"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/stemedb/firedrill/tools/promql"
	"github.com/stemedb/firedrill/tools/witness"
)

// samples is a series with its values.
type samples struct {
	labels labels.Labels
	values []parser.SequenceValue
}

// read reads the series of a scenario; false where one of them cannot be read or is a native histogram.
func read(s witness.Scenario) ([]samples, bool) {
	var all []samples
	for _, in := range s.Series {
		l, values, err := promqlParser.ParseSeriesDesc(in.Series + " " + in.Values)
		if err != nil || slices.ContainsFunc(values, func(v parser.SequenceValue) bool { return v.Histogram != nil }) {
			return nil, false
		}
		all = append(all, samples{l, values})
	}
	return all, true
}

// withSeries is a scenario with other series.
func withSeries(s witness.Scenario, all []samples) witness.Scenario {
	s.Series = nil
	for _, one := range all {
		s.Series = append(s.Series, witness.Written(one.labels, one.values))
	}
	return s
}

// mapped is a series with each value changed; what is missing stays so.
func (s samples) mapped(f func(i int, v float64) float64) samples {
	s.values = slices.Clone(s.values)
	for i, v := range s.values {
		if !v.Omitted && !value.IsStaleNaN(v.Value) {
			s.values[i].Value = f(i, v.Value)
		}
	}
	return s
}

func (s samples) scaled(by float64) samples {
	return s.mapped(func(_ int, v float64) float64 { return v * by })
}

func (s samples) renamed(label, text string) samples {
	s.labels = labels.NewBuilder(s.labels).Set(label, text).Labels()
	return s
}

func (s samples) metric() string { return s.labels.Get(labels.MetricName) }

// rises reports whether a series only ever rises, as a counter does.
func (s samples) rises() bool {
	first, last, some := 0.0, 0.0, false
	for _, v := range s.values {
		switch {
		case v.Omitted || value.IsStaleNaN(v.Value):
			continue
		case !some:
			first = v.Value
		case v.Value < last:
			return false
		}
		last, some = v.Value, true
	}
	return last > first
}

// variantsOf are similar scenarios, the plainest first: with one series changed, missing, or a copy of it that differs in a
// label; with two and three series in place of one, whose values are spread; and with values that change over time.
func variantsOf(s witness.Scenario, decides decisive) iter.Seq[witness.Scenario] {
	return func(yield func(witness.Scenario) bool) {
		all, ok := read(s)
		if !ok || len(all) == 0 {
			return
		}
		v := &variants{Scenario: s, all: all, decisive: decides, yield: yield}
		for _, each := range []func() bool{v.relabeled, v.missing, v.scaled, v.spread, v.pulses, v.steps} {
			if !each() {
				return
			}
		}
	}
}

// decisive is what decides in the expressions that are to be distinguished.
type decisive struct {
	windows []time.Duration     // ranges and offsets
	texts   map[string][]string // values by label: those for which one matcher holds
}

// variants makes the variants of a scenario. Its methods return false when no more are wanted.
type variants struct {
	witness.Scenario
	all []samples
	decisive
	yield func(witness.Scenario) bool
}

// change offers the scenario with each series replaced.
func (v *variants) change(f func(samples) []samples) bool {
	var changed []samples
	for _, one := range v.all {
		changed = append(changed, f(one)...)
	}
	next := withSeries(v.Scenario, changed)
	return slices.Equal(next.Series, v.Series) || v.yield(next)
}

// metrics are the names of the series, each once.
func (v *variants) metrics() []string {
	var names []string
	for _, one := range v.all {
		if !slices.Contains(names, one.metric()) {
			names = append(names, one.metric())
		}
	}
	return names
}

// labels are the names of the labels by which series can be told apart.
func (v *variants) labels() []string {
	found := map[string]bool{}
	for _, one := range v.all {
		one.labels.Range(func(l labels.Label) {
			if l.Name != labels.MetricName && l.Name != "le" && l.Name != "quantile" {
				found[l.Name] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// relabeled changes one label, of all series or of those of one metric, or adds copies for which it is changed. Another
// value is one that a matcher names, none, or one that no matcher names.
func (v *variants) relabeled() bool {
	names := slices.Sorted(maps.Keys(v.texts))
	for _, label := range v.labels() {
		if !slices.Contains(names, label) {
			names = append(names, label)
		}
	}
	for _, label := range names {
		for _, text := range append(slices.Clone(v.texts[label]), "*") {
			if text == "" && (label == "job" || label == "instance") { // which scraped series have
				continue
			}
			for _, metric := range append([]string{""}, v.metrics()...) {
				for _, keep := range []bool{true, false} {
					if !v.change(func(s samples) []samples {
						to := text
						if text == "*" {
							to = another(s.labels.Get(label), 2)
						}
						if text == "*" && !s.labels.Has(label) || metric != "" && s.metric() != metric || s.labels.Get(label) == to {
							return []samples{s}
						}
						if keep {
							return []samples{s, s.renamed(label, to)}
						}
						return []samples{s.renamed(label, to)}
					}) {
						return false
					}
				}
			}
		}
	}
	return true
}

// numbered matches names that end with a number, maybe before a port, such as pod-1 and host-1:9100.
var numbered = regexp.MustCompile(`^(.*-)\d+((?::\d+)?)$`)

// another is a value like another one, with a number.
func another(text string, n int) string {
	number := strconv.Itoa(n)
	switch parts := numbered.FindStringSubmatch(text); {
	case text == "":
		return number
	case parts == nil || parts[1]+number+parts[2] == text:
		return text + "-" + number
	default:
		return parts[1] + number + parts[2]
	}
}

// missing leaves out each series, and each metric.
func (v *variants) missing() bool {
	for _, metric := range v.metrics() {
		if !v.change(func(s samples) []samples {
			if s.metric() == metric {
				return nil
			}
			return []samples{s}
		}) {
			return false
		}
	}
	for i := range v.all {
		if len(v.all) > len(v.metrics()) && !v.yield(withSeries(v.Scenario, slices.Delete(slices.Clone(v.all), i, i+1))) {
			return false
		}
	}
	return true
}

// scaled makes the values of one metric larger or smaller.
func (v *variants) scaled() bool {
	for _, by := range []float64{0, 0.5, 2, 0.1, 10, 0.9, 1.1, 0.01, 100, 1000, 0.001} {
		for _, metric := range v.metrics() {
			if !v.change(func(s samples) []samples {
				if s.metric() == metric {
					return []samples{s.scaled(by)}
				}
				return []samples{s}
			}) {
				return false
			}
		}
	}
	return true
}

// spreads are the values of two and of three series, against the one that they replace: on both sides of it, of which the
// sum and the average, the largest and the smallest are on different sides.
var spreads = [][]float64{{1, 1}, {1, 0}, {0.6, 0.6}, {2, 0}, {1.5, 0.5}, {1, 0.5}, {1, 2}, {1, 1, 1}, {1, 0, 0}, {0.4, 0.4, 0.4}, {3, 0.1, 0.1}, {1, 1, 0.1}}

// spread puts several series in place of one, that differ in a label: one that they have, or another.
func (v *variants) spread() bool {
	own := v.labels()
	names := slices.Clone(own)
	for _, extra := range []string{"instance", "pod"} {
		if !slices.Contains(own, extra) {
			names = append(names, extra)
		}
	}
	for _, factors := range spreads {
		for _, label := range names {
			isNew := !slices.Contains(own, label)
			for _, metric := range v.metrics() {
				for _, alone := range []bool{false, true} { // or the others, too, so that series still match
					if alone && len(v.metrics()) == 1 {
						continue
					}
					if !v.change(func(s samples) []samples {
						if alone && s.metric() != metric || !isNew && !s.labels.Has(label) {
							return []samples{s}
						}
						var copies []samples
						for i, by := range factors {
							text := s.labels.Get(label)
							if isNew || i > 0 {
								text = another(text, i+1)
							}
							one := s.renamed(label, text)
							if s.metric() == metric {
								one = one.scaled(by)
							}
							copies = append(copies, one)
						}
						return copies
					}) {
						return false
					}
				}
			}
		}
	}
	return true
}

// pulses makes a value come and go, more slowly than the shorter of two windows sees.
func (v *variants) pulses() bool {
	for _, window := range v.windows {
		period := int(window * 3 / 2 / v.Interval)
		if period < 2 || period > 10_000 {
			continue
		}
		for _, metric := range v.metrics() {
			for _, wide := range []int{1, period / 2} {
				if !v.change(func(s samples) []samples {
					if s.metric() != metric {
						return []samples{s}
					}
					if !s.rises() {
						return []samples{s.mapped(func(i int, v float64) float64 {
							if i%period < wide {
								return v
							}
							return 0
						})}
					}
					held := 0.0
					return []samples{s.mapped(func(i int, v float64) float64 {
						if i%period < wide {
							held = v
						}
						return held
					})}
				}) {
					return false
				}
			}
		}
	}
	return true
}

// steps makes the values of a metric rise, fall or end at a moment, which only a longer or a later window sees.
func (v *variants) steps() bool {
	length := 0
	for _, one := range v.all {
		length = max(length, len(one.values))
	}
	moments := map[int]bool{length / 4: true, length / 2: true, length * 3 / 4: true}
	for _, window := range v.windows {
		n := int(window / v.Interval)
		moments[n], moments[length-n], moments[length-n*3/4] = true, true, true
	}
	for _, at := range slices.Sorted(maps.Keys(moments)) {
		if at <= 0 || at >= length {
			continue
		}
		for _, metric := range v.metrics() {
			for _, by := range []float64{math.NaN(), 0, 0.5, 2} {
				if !v.change(func(s samples) []samples {
					switch {
					case s.metric() != metric || at >= len(s.values):
						return []samples{s}
					case math.IsNaN(by):
						s.values = append(slices.Clone(s.values[:at]), parser.SequenceValue{Value: math.Float64frombits(value.StaleNaN)})
						return []samples{s}
					case s.rises():
						base := s.values[at].Value
						return []samples{s.mapped(func(i int, v float64) float64 {
							if i > at {
								return base + (v-base)*by
							}
							return v
						})}
					}
					return []samples{s.mapped(func(i int, v float64) float64 {
						if i >= at {
							return v * by
						}
						return v
					})}
				}) {
					return false
				}
			}
		}
	}
	return true
}

// lasting are scenarios in which everything stays as in the middle of this one, for longer or shorter than each duration:
// the values go on up to it, and end.
func lasting(s witness.Scenario, durations []time.Duration) iter.Seq[witness.Scenario] {
	return func(yield func(witness.Scenario) bool) {
		all, ok := read(s)
		if !ok {
			return
		}
		for _, d := range durations {
			n := int(d / s.Interval)
			if n < 1 || n > 10_000 {
				continue
			}
			var changed []samples
			for _, one := range all {
				if len(one.values) > n {
					one.values = one.values[:n]
				}
				changed = append(changed, one)
			}
			next := withSeries(s, changed)
			next.Checks = append(slices.Clone(s.Checks), witness.Check{At: d + 10*time.Minute})
			if !yield(next) {
				return
			}
		}
	}
}

var (
	// yesNo are metrics that say yes or no: up, and what exporters name as that.
	yesNo = regexp.MustCompile(`^up$|_(up|info|success|condition|phase|enabled|healthy)$`)
	// countable are metrics of what cannot be less than nothing.
	countable = regexp.MustCompile(`(^|_)(bytes|size|avail|available|free|used|total|count|sum|bucket|ratio|percent|replicas|number|capacity|limit|limits|requests|nodes|pods|errors|created|timestamp|connections|sessions|queue|length|duration)(_|$)`)
)

// isPlausible reports whether exporters could produce the series: no size and no counter is negative, up is 0 or 1, a
// histogram's buckets hold one another.
func isPlausible(s witness.Scenario) bool {
	all, ok := read(s)
	if !ok {
		return false
	}
	known := promql.Know(nil, nil)
	type bucket struct {
		upTo   float64
		values []parser.SequenceValue
	}
	histograms := map[string][]bucket{}
	for _, one := range all {
		name := one.metric()
		usual, never, either := known.Metric(name, promql.Usual).Values, countable.MatchString(name), yesNo.MatchString(name)
		for _, v := range one.values {
			switch {
			case v.Omitted || value.IsStaleNaN(v.Value):
			case !usual.Has(v.Value), never && v.Value < 0, either && v.Value != 0 && v.Value != 1:
				return false
			}
		}
		if le := one.labels.Get(labels.BucketLabel); le != "" {
			upTo, err := strconv.ParseFloat(le, 64)
			if err != nil {
				return false
			}
			key := labels.NewBuilder(one.labels).Del(labels.BucketLabel).Labels().String()
			histograms[key] = append(histograms[key], bucket{upTo, one.values})
		}
	}
	for _, buckets := range histograms {
		slices.SortFunc(buckets, func(a, b bucket) int { return int(math.Copysign(1, a.upTo-b.upTo)) })
		for i := 1; i < len(buckets); i++ {
			for j := range min(len(buckets[i-1].values), len(buckets[i].values)) {
				if buckets[i-1].values[j].Value > buckets[i].values[j].Value {
					return false
				}
			}
		}
	}
	return true
}

// isSigned reports whether a value is negative.
func isSigned(s witness.Scenario) bool {
	all, _ := read(s)
	return slices.ContainsFunc(all, func(one samples) bool {
		return slices.ContainsFunc(one.values, func(v parser.SequenceValue) bool { return v.Value < 0 })
	})
}
