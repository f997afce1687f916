package mutate

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Score counts the verdicts on the mutants of one alert, or of all.
type Score struct {
	Alert                        string
	Killed, Survived, Equivalent int
}

// Percent is the percentage of killed mutants, without equivalent ones; 100 without mutants.
func (s Score) Percent() float64 {
	if s.Killed+s.Survived == 0 {
		return 100
	}
	return 100 * float64(s.Killed) / float64(s.Killed+s.Survived)
}

func (s *Score) add(v Verdict) {
	switch v {
	case Killed:
		s.Killed++
	case Survived:
		s.Survived++
	case Equivalent:
		s.Equivalent++
	}
}

// Scores counts verdicts per alert, in order of the outcomes, and in total.
func Scores(outcomes []Outcome) (alerts []Score, total Score) {
	total.Alert = "total"
	for _, o := range outcomes {
		if len(alerts) == 0 || alerts[len(alerts)-1].Alert != o.Original.Name {
			alerts = append(alerts, Score{Alert: o.Original.Name})
		}
		alerts[len(alerts)-1].add(o.Verdict)
		total.add(o.Verdict)
	}
	return alerts, total
}

// Write writes survivors with their changes, the likeliest mistake first, each with an input that distinguishes it and a
// test that would kill it; then equivalent mutants and the scores. content holds the rule files by path.
func Write(w io.Writer, outcomes []Outcome, content map[string]string) error {
	for _, o := range ranked(outcomes) {
		word := "survived"
		if o.Verdict == Equivalent {
			word = "equivalent"
		}
		line, column := o.Original.At(o.Field, o.Offset)
		fmt.Fprintf(w, "%s:%d:%d: %s: %s: %s\n", o.Original.File, line, column, word, o.Original.Name, o.What)
		if o.Verdict == Survived {
			fmt.Fprintf(w, "    %s\n%s", o.Likely(), o.Diff(content[o.Original.File]))
		}
		writeIndented(w, o.Why)
		if o.Test != "" {
			fmt.Fprintln(w, "  a test that fails on it, for the list of tests:")
			writeIndented(w, o.Test)
		}
		fmt.Fprintln(w)
	}
	alerts, total := Scores(outcomes)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ALERT\tKILLED\tSURVIVED\tEQUIVALENT\tSCORE")
	for _, s := range append(alerts, total) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f%%\n", s.Alert, s.Killed, s.Survived, s.Equivalent, s.Percent())
	}
	return t.Flush()
}

func writeIndented(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintf(w, "    %s\n", strings.TrimRight(line, "\n"))
	}
}
