package witness

import (
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
)

// name writes labels in the usual notation of a series.
func name(l labels.Labels) string {
	metric := l.Get(labels.MetricName)
	rest := labels.NewBuilder(l).Del(labels.MetricName).Labels()
	if !model.LegacyValidation.IsValidMetricName(metric) {
		if quoted := strconv.Quote(metric); rest.IsEmpty() {
			return "{" + quoted + "}"
		} else {
			return "{" + quoted + ", " + strings.TrimPrefix(rest.String(), "{")
		}
	}
	if rest.IsEmpty() {
		return metric
	}
	return metric + rest.String()
}

// Written writes a series as promtool's unit tests do, runs of equal steps in short.
func Written(l labels.Labels, samples []parser.SequenceValue) Series {
	return Series{name(l), sequence(samples)}
}

// values writes samples in the notation of promtool's unit tests. NaN stands for a missing sample; after one that is there
// the series is marked as stale, as Prometheus does when a target no longer exports it, but for one that is scraped less
// often.
func values(all []float64, sparse bool) string {
	samples := make([]parser.SequenceValue, len(all))
	for i, v := range all {
		switch missing := math.IsNaN(v); {
		case missing && i > 0 && !sparse && !math.IsNaN(all[i-1]):
			samples[i].Value = math.Float64frombits(value.StaleNaN)
		default:
			samples[i] = parser.SequenceValue{Value: v, Omitted: missing}
		}
	}
	return sequence(samples)
}

// sequence writes samples. Missing samples at the end need no notation.
func sequence(all []parser.SequenceValue) string {
	for len(all) > 0 && all[len(all)-1].Omitted {
		all = all[:len(all)-1]
	}
	plain := func(i int) bool {
		return i < len(all) && !all[i].Omitted && !math.IsNaN(all[i].Value) && !math.IsInf(all[i].Value, 0)
	}
	var words []string
	for i, n := 0, 0; i < len(all); i += n {
		first := all[i].Value
		n = 1
		switch {
		case all[i].Omitted:
			for all[i+n].Omitted {
				n++
			}
			if n == 1 {
				words = append(words, "_")
			} else {
				words = append(words, "_x"+strconv.Itoa(n))
			}
		case value.IsStaleNaN(first):
			words = append(words, "stale")
		case !plain(i):
			words = append(words, strings.TrimPrefix(strconv.FormatFloat(first, 'f', -1, 64), "+"))
		default:
			step := 0.0
			if plain(i + 1) {
				step = roundOff(all[i+1].Value - first)
			}
			for plain(i+n) && alike(all[i+n].Value, first+step*float64(n)) {
				n++
			}
			if n == 2 && step != 0 { // as two values it reads better
				n, step = 1, 0
			}
			words = append(words, expansion(first, step, n))
		}
	}
	return strings.Join(words, " ")
}

// alike reports whether two values differ by no more than rounding.
func alike(a, b float64) bool {
	return a == b || math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b))
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
