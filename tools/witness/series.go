package witness

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// kind is how the samples of a series follow from its level: PromQL functions differ in the change that they measure.
type kind int

const (
	gauge     kind = iota // stays at its level
	counter               // rises by its level with each sample
	timestamp             // is always its level away from the current time
	linear                // begins at its level and falls by one a second
	changing              // rises by one with each sample until it reaches its level, then stays there
	resetting             // falls from its level by one with each sample, then stays at 0
)

// input is a series that an expression selects, possibly in several copies.
type input struct {
	labels  labels.Labels
	kind    kind
	level   float64
	absent  bool
	copies  int
	copied  string  // the label that differs between copies
	started float64 // a counter's first value
	total   float64 // in a histogram's first bucket: observations in all buckets per sample
}

// phase gives a parameter one value for a number of samples.
type phase struct {
	value   float64
	samples int
}

// attribute is what a parameter varies of its series.
type attribute int

const (
	seriesValue attribute = iota
	copies                // how many series there are
	presence              // 1 for there, 0 for missing
)

// parameter is the one attribute of one series that is varied to find a boundary.
type parameter struct {
	of        *input
	attribute attribute
}

// dataset holds all series that an expression selects.
type dataset struct {
	inputs []*input
	every  time.Duration       // the sample interval
	by     map[string][]*input // the inputs by the key of the selector that selects them
}

// set gives the parameter a value in all samples.
func (k parameter) set(value float64) {
	switch k.attribute {
	case seriesValue:
		k.of.level = value
	case copies:
		k.of.copies = int(value)
	case presence:
		k.of.absent = value == 0
	}
}

// series writes all inputs in promtool's notation, the parameter going through its phases.
func (data dataset) series(k parameter, phases []phase) []Series {
	total := 0
	for _, p := range phases {
		total += p.samples
	}
	var all []Series
	for _, in := range data.inputs {
		own := []phase{{in.level, total}}
		switch {
		case in == k.of && k.attribute == presence:
			if text := in.presenceValues(phases, data.every); text != "" {
				all = append(all, Series{Series: name(in.labels), Values: text})
			}
			continue
		case in.absent:
			continue
		case in == k.of && k.attribute == seriesValue:
			own = phases
		}
		n := max(in.copies, 1)
		if in == k.of && k.attribute == copies {
			n = 0
			for _, p := range phases {
				n = max(n, int(p.value))
			}
		}
		for i := range n {
			l, values := in.labels, in.values(own, data.every)
			if in.copied != "" {
				l = labels.NewBuilder(l).Set(in.copied, in.copied+"-"+strconv.Itoa(i+1)).Labels()
			}
			if in == k.of && k.attribute == copies {
				there := make([]phase, len(phases))
				for j, p := range phases {
					there[j] = phase{0, p.samples}
					if float64(i) < p.value {
						there[j].value = 1
					}
				}
				if values = in.presenceValues(there, data.every); values == "" {
					continue
				}
			}
			all = append(all, Series{Series: name(l), Values: values})
		}
	}
	return all
}

// name writes labels in the usual notation of a series.
func name(l labels.Labels) string {
	metric := l.Get(labels.MetricName)
	rest := labels.NewBuilder(l).Del(labels.MetricName).Labels()
	if rest.IsEmpty() {
		return metric
	}
	return metric + rest.String()
}

// values is the notation of the samples of a series whose level changes with the phases.
func (in *input) values(phases []phase, sampled time.Duration) string {
	var (
		words   []string
		now     float64 // the last value
		started bool
		done    int // samples so far
	)
	tick := sampled.Seconds()
	for _, p := range phases {
		if p.samples == 0 {
			continue
		}
		n := p.samples
		switch in.kind {
		case gauge:
			words = append(words, expansion(p.value, 0, n))
		case counter:
			first := in.started
			if started {
				first = now + p.value
			}
			words = append(words, expansion(first, p.value, n))
			now = roundOff(first + p.value*float64(n-1))
		case timestamp:
			words = append(words, expansion(p.value+float64(done)*tick, tick, n))
		case linear:
			words = append(words, expansion(p.value, -tick, n))
		case changing, resetting:
			count, way := int(p.value), 1.0
			if in.kind == resetting {
				way = -1
			}
			if started { // all changes are in the first phase
				words = append(words, expansion(now, 0, n))
				break
			}
			if in.kind == resetting {
				now = float64(count)
			}
			count = min(count, n-1)
			words = append(words, expansion(now, 0, 1))
			if count > 0 {
				words[len(words)-1] = expansion(now, way, count+1)
			}
			now += way * float64(count)
			if rest := n - count - 1; rest > 0 {
				words = append(words, expansion(now, 0, rest))
			}
		}
		started = true
		done += n
	}
	return strings.Join(words, " ")
}

// presenceValues is the notation of a series that exists in some phases only. A stale marker follows its last sample, as
// Prometheus writes it when a target no longer exports a series.
func (in *input) presenceValues(phases []phase, sampled time.Duration) string {
	var words []string
	before, ever := false, false
	done := 0
	for _, p := range phases {
		switch {
		case p.samples == 0:
			continue
		case p.value != 0:
			level := []phase{{in.level, p.samples}}
			if in.kind == timestamp {
				level[0].value += float64(done) * sampled.Seconds()
			}
			words = append(words, in.values(level, sampled))
			before, ever = true, true
		case before:
			words = append(words, "stale")
			if p.samples > 1 {
				words = append(words, "_x"+strconv.Itoa(p.samples-1))
			}
			before = false
		default:
			words = append(words, "_x"+strconv.Itoa(p.samples))
		}
		done += p.samples
	}
	if !ever {
		return ""
	}
	// Missing samples at the end need no notation.
	if last := words[len(words)-1]; strings.HasPrefix(last, "_") {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

// expansion writes n samples in promtool's expanding notation.
func expansion(first, step float64, n int) string {
	switch {
	case n == 1:
		return number(first)
	case step == 0:
		return number(first) + "x" + strconv.Itoa(n-1)
	case step < 0:
		return number(first) + "-" + number(-step) + "x" + strconv.Itoa(n-1)
	}
	return number(first) + "+" + number(step) + "x" + strconv.Itoa(n-1)
}

// number writes a value without an exponent.
func number(v float64) string {
	if v = roundOff(v); v == 0 {
		return "0"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// roundOff removes the rounding errors of sums of decimal fractions.
func roundOff(v float64) float64 {
	if math.Abs(v) >= 1e6 {
		return v
	}
	return math.Round(v*1e9) / 1e9
}
