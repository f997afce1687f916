package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parts are the units of a duration.
var parts = []struct {
	unit time.Duration
	name string
}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}

// span is a duration for people, in at most two units: 7d 3h, 1h, 4m 31s, 8.2s, 250ms.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "−" + span(max(-d, -(d+1))) // the least duration has no negative
	case d == 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 9950*time.Millisecond:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + "s"
	}
	for i, part := range parts {
		if d < part.unit {
			continue
		}
		next := parts[min(i+1, len(parts)-1)]
		if rounded := d.Round(next.unit); rounded != d { // 59.6s can become a minute
			return span(rounded)
		}
		if d%part.unit == 0 {
			return fmt.Sprintf("%d%s", d/part.unit, part.name)
		}
		return fmt.Sprintf("%d%s %d%s", d/part.unit, part.name, d%part.unit/next.unit, next.name)
	}
	return ""
}

// value is a value of a signal in its unit.
func value(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "no number"
	case math.IsInf(v, 0):
		return strings.Replace(strconv.FormatFloat(v, 'f', -1, 64), "Inf", "∞", 1)
	case unit == "seconds" && math.Abs(v) < 9e9:
		if v != 0 && math.Abs(v) < 1e-3 {
			return decimal(v*1e6) + "µs"
		}
		return span(time.Duration(v * float64(time.Second)))
	case unit == "bytes":
		prefixes := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
		i := 0
		for ; math.Abs(v) >= 1024 && i < len(prefixes)-1; i++ {
			v /= 1024
		}
		return decimal(v) + " " + prefixes[i]
	case unit == "ratio" && math.Abs(v) < 1e12:
		return decimal(v*100) + " %"
	}
	return decimal(v)
}

// decimal is a number with four significant digits, without an exponent where that is short.
func decimal(v float64) string {
	if size := math.Abs(v); size != 0 && (size < 1e-4 || size >= 1e7) {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	digits := 3 - int(math.Floor(math.Log10(math.Max(math.Abs(v), 1e-4))))
	text := strconv.FormatFloat(v, 'f', max(0, digits), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return strings.Replace(text, "-", "−", 1)
}

// words are the comparisons with a threshold in words.
var words = map[string]string{"<": "below", "<=": "at or below", ">": "above", ">=": "at or above", "==": "at", "!=": "at anything but"}

// labelled is a series by its labels, as PromQL writes them.
func labelled(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, name+"="+strconv.Quote(labels[name]))
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// distinguishing are, for each of several sets of labels, those in which they differ.
func distinguishing(sets []map[string]string) []map[string]string {
	found := make([]map[string]string, len(sets))
	for i, set := range sets {
		found[i] = map[string]string{}
		for name, value := range set {
			for _, other := range sets {
				if other[name] != value {
					found[i][name] = value
				}
			}
		}
	}
	return found
}

// clock is a time of day, UTC.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// moment is a time, UTC.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// plural is a number of things.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}
