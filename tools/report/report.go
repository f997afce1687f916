// Package report shows what a run of the suites proved: as a table on the terminal, and as a folder with a page for
// people, a journal for programs, and the checksums and statement that an auditor needs.
package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stemedb/firedrill/tools/journal"
)

// Summary is the result of a run of the suites.
type Summary struct {
	Passed, Failed, Unknown int

	rows  []row
	took  time.Duration
	leapt time.Duration
	up    []journal.Seconds // of each testbed
}

// row is one line of the table.
type row struct {
	alert, branch, what string
	took, leapt, beyond time.Duration
}

// Summarize makes the summary of a journal.
func Summarize(j journal.Journal) Summary {
	s := Summary{took: j.Run.Ended.Sub(j.Run.Started), up: j.Run.Testbeds}
	for _, p := range j.Proofs {
		line := row{p.Alert, p.Branch, cmp.Or(p.What, "passed"), took(p), p.Leapt.Duration(), p.Beyond.Duration()}
		switch p.Verdict {
		case journal.True:
			s.Passed++
		case journal.False:
			s.Failed++
			line.what = "FAILED: " + brief(p.Failure, 64)
		default:
			s.Unknown++
			line.what = "UNKNOWN: " + brief(p.Failure, 63)
		}
		s.leapt += line.leapt
		s.rows = append(s.rows, line)
	}
	return s
}

// took is how long a proof took, without leaps.
func took(p journal.Proof) time.Duration { return p.Ended.Sub(p.Started) }

// Write writes the table, in the order of the journal, and the totals.
func (s Summary) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ALERT\tBRANCH, OR WHAT WAS TRIED\tWHAT HAPPENED\tTOOK\tLEAPT")
	for _, r := range s.rows {
		leapt := "-"
		if r.leapt > 0 {
			leapt = short(r.leapt)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", r.alert, brief(r.branch, 72), brief(r.what, 72), r.took.Round(100*time.Millisecond), leapt)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, figure := range s.figures() {
		fmt.Fprintln(w, figure)
	}
	unknown := ""
	if s.Unknown > 0 {
		unknown = fmt.Sprintf("%d unknown, ", s.Unknown)
	}
	_, err := fmt.Fprintf(w, "%d proven, %d failed, %sin %s, %s leapt\n", s.Passed, s.Failed, unknown, short(s.took.Round(time.Second)), short(s.leapt))
	return err
}

// figures are how long the testbeds took to start, and the slowest resolution.
func (s Summary) figures() []string {
	var figures []string
	tenths := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	switch len(s.up) {
	case 0:
	case 1:
		figures = append(figures, "testbed up in "+tenths(s.up[0].Duration()))
	default:
		figures = append(figures, fmt.Sprintf("%d testbeds up, side by side, in %s to %s", len(s.up), tenths(slices.Min(s.up).Duration()), tenths(slices.Max(s.up).Duration())))
	}
	if len(s.rows) > 0 {
		if slowest := slices.MaxFunc(s.rows, func(a, b row) int { return cmp.Compare(a.beyond, b.beyond) }); slowest.beyond > 0 {
			figures = append(figures, fmt.Sprintf("from fault to resolution in at most %s beyond what the runbook's own commands took (%s, %s)",
				tenths(slowest.beyond), slowest.alert, slowest.branch))
		}
	}
	return figures
}

// short is a duration without the parts that are zero at its end: 31h, not 31h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// brief is a text as one line of at most so many characters.
func brief(text string, limit int) string {
	runes := []rune(strings.Join(strings.Fields(text), " "))
	if len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return string(runes)
}
