package boundary

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// kind is how a series moves while its level stays the same: each function of PromQL looks at another movement.
type kind int

const (
	gauge   kind = iota // stays at its level
	counter             // rises by its level from sample to sample
	clock               // is its level away from the time, and goes with it
	falling             // begins at its level and falls by one a second
	steps               // rises by one from sample to sample, as many times as its level says, and stays there
	drops               // the same downwards
)

// input is a series that an expression selects, and may come in several copies.
type input struct {
	labels labels.Labels
	kind   kind
	level  float64
	absent bool
	copies int
	copied string  // the label that tells copies apart
	begun  float64 // where a counter begins
	total  float64 // of a histogram's first bucket: how many observations there are in all from sample to sample
}

// phase is a part of a knob's life: it has one value for a number of samples.
type phase struct {
	value   float64
	samples int
}

// what a knob turns.
type dial int

const (
	levels   dial = iota
	copies        // how many series there are
	presence      // 1 for there, 0 for missing
)

// knob is the one thing in a world that is turned to cross a boundary.
type knob struct {
	of   *input
	dial dial
}

// world is all that an expression selects, sampled at an interval.
type world struct {
	inputs  []*input
	sampled time.Duration
}

// set turns a knob for good.
func (k knob) set(value float64) {
	switch k.dial {
	case levels:
		k.of.level = value
	case copies:
		k.of.copies = int(value)
	case presence:
		k.of.absent = value == 0
	}
}

// series writes the world down while its knob goes through phases. All else stays as it is.
func (w world) series(k knob, phases []phase) []Series {
	total := 0
	for _, p := range phases {
		total += p.samples
	}
	var all []Series
	for _, in := range w.inputs {
		own := []phase{{in.level, total}}
		switch {
		case in == k.of && k.dial == presence:
			if text := in.comeAndGo(phases, w.sampled); text != "" {
				all = append(all, Series{Series: name(in.labels), Values: text})
			}
			continue
		case in.absent:
			continue
		case in == k.of && k.dial == levels:
			own = phases
		}
		n := max(in.copies, 1)
		if in == k.of && k.dial == copies {
			n = 0
			for _, p := range phases {
				n = max(n, int(p.value))
			}
		}
		for i := range n {
			l, values := in.labels, in.values(own, w.sampled)
			if in.copied != "" {
				l = labels.NewBuilder(l).Set(in.copied, in.copied+"-"+strconv.Itoa(i+1)).Labels()
			}
			if in == k.of && k.dial == copies {
				there := make([]phase, len(phases))
				for j, p := range phases {
					there[j] = phase{0, p.samples}
					if float64(i) < p.value {
						there[j].value = 1
					}
				}
				if values = in.comeAndGo(there, w.sampled); values == "" {
					continue
				}
			}
			all = append(all, Series{Series: name(l), Values: values})
		}
	}
	return all
}

// name writes labels as people write a series.
func name(l labels.Labels) string {
	metric := l.Get(labels.MetricName)
	rest := labels.NewBuilder(l).Del(labels.MetricName).Labels()
	if rest.IsEmpty() {
		return metric
	}
	return metric + rest.String()
}

// values is the notation of a series that goes through levels.
func (in *input) values(phases []phase, sampled time.Duration) string {
	var (
		words []string
		now   float64 // the last value
		begun bool
		done  int // samples so far
	)
	tick := sampled.Seconds()
	for _, p := range phases {
		if p.samples == 0 {
			continue
		}
		n := p.samples
		switch in.kind {
		case gauge:
			words = append(words, stretch(p.value, 0, n))
		case counter:
			first := in.begun
			if begun {
				first = now + p.value
			}
			words = append(words, stretch(first, p.value, n))
			now = tidy(first + p.value*float64(n-1))
		case clock:
			words = append(words, stretch(p.value+float64(done)*tick, tick, n))
		case falling:
			words = append(words, stretch(p.value, -tick, n))
		case steps, drops:
			count, way := int(p.value), 1.0
			if in.kind == drops {
				way = -1
			}
			if begun { // what has happened has happened
				words = append(words, stretch(now, 0, n))
				break
			}
			if in.kind == drops {
				now = float64(count)
			}
			count = min(count, n-1)
			words = append(words, stretch(now, 0, 1))
			if count > 0 {
				words[len(words)-1] = stretch(now, way, count+1)
			}
			now += way * float64(count)
			if rest := n - count - 1; rest > 0 {
				words = append(words, stretch(now, 0, rest))
			}
		}
		begun = true
		done += n
	}
	return strings.Join(words, " ")
}

// comeAndGo is the notation of a series that is there in some phases. Where a target stops reporting one, Prometheus
// writes a stale marker.
func (in *input) comeAndGo(phases []phase, sampled time.Duration) string {
	var words []string
	before, ever := false, false
	done := 0
	for _, p := range phases {
		switch {
		case p.samples == 0:
			continue
		case p.value != 0:
			level := []phase{{in.level, p.samples}}
			if in.kind == clock {
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
	// Nothing need be said of the end, once the series is gone.
	if last := words[len(words)-1]; strings.HasPrefix(last, "_") {
		words = words[:len(words)-1]
	}
	return strings.Join(words, " ")
}

// stretch writes n samples that begin at a value and go by a step.
func stretch(first, step float64, n int) string {
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

// number writes a value as a person would, without an exponent.
func number(v float64) string {
	if v = tidy(v); v == 0 {
		return "0"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// tidy takes away what sums of decimal fractions leave behind.
func tidy(v float64) float64 {
	if math.Abs(v) >= 1e6 {
		return v
	}
	return math.Round(v*1e9) / 1e9
}
