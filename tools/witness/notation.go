package witness

import (
	"math"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
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

// values writes samples in the notation of promtool's unit tests. NaN stands for a missing sample; after one that is there
// the series is marked as stale, as Prometheus does when a target no longer exports it, but for one that is scraped less
// often.
func values(all []float64, sparse bool) string {
	there := false
	for _, v := range all {
		there = there || !math.IsNaN(v)
	}
	if !there {
		return ""
	}
	for len(all) > 1 && math.IsNaN(all[len(all)-1]) && math.IsNaN(all[len(all)-2]) {
		all = all[:len(all)-1] // missing samples at the end need no notation, but for the first
	}
	var words []string
	for i := 0; i < len(all); {
		n := 1
		if math.IsNaN(all[i]) {
			for i+n < len(all) && math.IsNaN(all[i+n]) {
				n++
			}
			if i > 0 && !sparse {
				words = append(words, "stale")
				n--
				i++
			}
			if n == 1 {
				words = append(words, "_")
			} else if n > 1 {
				words = append(words, "_x"+strconv.Itoa(n))
			}
			i += n
			continue
		}
		step := 0.0
		if i+1 < len(all) && !math.IsNaN(all[i+1]) {
			step = roundOff(all[i+1] - all[i])
			for i+n < len(all) && alike(all[i+n], all[i]+step*float64(n)) {
				n++
			}
		}
		if n == 2 && step != 0 { // as two values it reads better
			n, step = 1, 0
		}
		words = append(words, expansion(all[i], step, n))
		i += n
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
