package ruletest

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// maxSamples limits the input samples of one test.
const maxSamples = 20_000_000

// notation parses the series notation with promtool's options.
var notation = parser.NewParser(promqltest.TestParserOpts)

// readSeries reads the input series of a test up to its end. Of a series written twice, the last counts. As promtool
// does, it reads each series' text line by line up to the first empty line: a line end in a value starts another series,
// and an empty line hides the series after it, whose number is returned.
func readSeries(t *testGroup, last time.Time) (all []*series, hidden int, err error) {
	gap := time.Duration(t.Interval)
	// Samples after the last evaluation are not visible: one of them is enough.
	visible := uint64(last.Sub(t.start())/gap) + 2
	byHash := map[uint64]*series{} // of the labels as written
	var startTimes []string        // the lines of start times since the last series
	check := func(more ...string) error { return t.checkStartTimes(append(startTimes, more...)) }
	total := uint64(0)
	for i, s := range t.InputSeries {
		text := "  " + s.Series + " " + s.Values
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				return all, len(t.InputSeries) - i - 1, check()
			}
			if hasStartTimes(line) {
				if err := limited(line); err != nil {
					return nil, 0, seriesError(s, err)
				}
				startTimes = append(startTimes, line)
				continue
			}
			if len(startTimes) == 0 { // otherwise the values are counted
				line = shortened(line, visible)
			}
			ls, values, err := parseLine(line)
			if err == nil {
				err = check(line)
			}
			if err == nil && ls.IsEmpty() {
				err = errors.New("a series without a name and labels: name its metric")
			}
			if name, dup := ls.HasDuplicateLabelNames(); err == nil && dup {
				err = fmt.Errorf("the label %q is written twice", name)
			}
			if total += min(uint64(len(values)), visible); err == nil && total > maxSamples {
				err = fmt.Errorf("the test's series come to more than %d samples: write fewer, or a shorter eval_time", maxSamples)
			}
			if err != nil {
				return nil, 0, seriesError(s, err)
			}
			startTimes = nil
			s := byHash[ls.Hash()]
			if s == nil {
				s = &series{}
				byHash[ls.Hash()] = s
				all = append(all, s)
			}
			*s = samplesOf(values, t.start(), gap, last)
			s.Metric = ls.WithoutEmpty()
		}
	}
	return all, 0, check()
}

// parseLine parses a line of the notation, and refuses one with too many samples.
func parseLine(line string) (labels.Labels, []parser.SequenceValue, error) {
	if err := limited(line); err != nil {
		return labels.EmptyLabels(), nil, err
	}
	return notation.ParseSeriesDesc(line)
}

// limited returns an error if the repetitions in a line come to too many samples.
func limited(line string) error {
	sum := uint64(0)
	for _, text := range repetition.FindAllString(line[valuesAt(line):], -1) {
		if n, err := strconv.ParseUint(strings.TrimSpace(text[1:]), 10, 64); err == nil {
			sum += min(n, maxSamples+1)
		}
	}
	if sum > maxSamples {
		return fmt.Errorf("more than %d samples: write fewer, or a shorter eval_time", maxSamples)
	}
	return nil
}

func seriesError(s seriesText, err error) error {
	return &lineError{line: s.line, err: fmt.Errorf("input_series %q: %w", abbreviated(s.Series+" "+s.Values), err)}
}

// series is an input series up to the last evaluation.
type series struct {
	promql.Series
	truncated bool // there are later values
}

// first returns the time of the first sample in milliseconds, or the highest time.
func (s *series) first() int64 {
	first := int64(math.MaxInt64)
	if len(s.Floats) > 0 {
		first = s.Floats[0].T
	}
	if len(s.Histograms) > 0 {
		first = min(first, s.Histograms[0].T)
	}
	return first
}

// samplesOf returns a series with the samples up to the last evaluation.
func samplesOf(values []parser.SequenceValue, start time.Time, gap time.Duration, last time.Time) (s series) {
	s.Floats = make([]promql.FPoint, 0, len(values))
	until := millisecondsTill(last)
	for at := start; len(values) > 0; at, values = at.Add(gap), values[1:] {
		t := at.UnixNano() / int64(time.Millisecond)
		switch v := values[0]; {
		case t > until:
			s.truncated = true
			return s
		case v.Omitted:
		case v.Histogram != nil:
			s.Histograms = append(s.Histograms, promql.HPoint{T: t, H: v.Histogram})
		default:
			s.Floats = append(s.Floats, promql.FPoint{T: t, F: v.Value})
		}
	}
	return s
}

// millisecondsTill is the time up to which promtool fills its storage before it evaluates at t.
func millisecondsTill(t time.Time) int64 {
	return int64(t.Sub(time.Unix(0, 0).UTC()) / time.Millisecond)
}

var repetition = regexp.MustCompile(`x[0-9]+(?:\s|$)`)

// shortened lowers repetitions whose end no evaluation sees, so that 1x1000000000 is cheap. Everything else is
// unchanged.
func shortened(line string, visible uint64) string {
	at := valuesAt(line)
	sum := uint64(0)
	return line[:at] + repetition.ReplaceAllStringFunc(line[at:], func(text string) string {
		digits := strings.TrimRight(text[1:], " \t\r\v\f")
		n, err := strconv.ParseUint(digits, 10, 64)
		if err != nil || n <= 1 {
			return text
		}
		room := uint64(1)
		if sum < visible {
			room = max(visible-sum, 1)
		}
		n = min(n, room)
		sum += n
		return "x" + strconv.FormatUint(n, 10) + text[1+len(digits):]
	})
}

// valuesAt returns the index in a line at which the values begin.
func valuesAt(line string) int {
	var quote byte
	depth := 0
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			depth--
		case (c == ' ' || c == '\t') && depth == 0:
			return i
		}
	}
	return len(line)
}

// hasStartTimes reports whether a line gives start timestamps, like `requests_total{job="api"}@st -1m -2mx3`. They have no
// effect, since promtool's test storage does not keep them, but they must fit the series on the next line.
func hasStartTimes(line string) bool {
	metric, _, ok := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
	return ok && strings.HasSuffix(metric, "@st")
}

// checkStartTimes returns what promtool says of start times and the series after them.
func (t *testGroup) checkStartTimes(lines []string) error {
	if len(lines) == 0 || !hasStartTimes(lines[0]) {
		return nil
	}
	loaded, err := promqltest.NewLazyLoader("load "+t.Interval.String()+"\n  "+strings.Join(lines, "\n  "), promqltest.LazyLoaderOpts{StartTime: t.start()})
	if err != nil {
		what := strings.TrimPrefix(err.Error(), "unknown position: parse error: ")
		return fmt.Errorf("%s: on the line before a series, give each of its values a start time as in -1m, -1mx3 or _", what)
	}
	return loaded.Close()
}
