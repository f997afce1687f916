// Package report tells what a run of the suites proved, as a table.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

const (
	// EntryName is the name under which a spec adds its Entry to Ginkgo's report. The last one counts.
	EntryName = "firedrill"
	// WorldUpName is the name under which a suite adds how long its world took to be up, a time.Duration.
	WorldUpName = "world up"
)

// Entry is what a spec proved, in the words of the table.
type Entry struct {
	Alert  string
	Branch string        // the branch of the runbook, or what else was tried
	What   string        // what happened: "cleared"
	Leapt  time.Duration // how much time was leapt
	// Beyond is the time from the fault to the arrival of the resolution, less what the runbook's own commands took; 0
	// where nothing was resolved.
	Beyond time.Duration
}

// Summary is what a run of the suites came to.
type Summary struct {
	Passed, Failed int

	rows  []row
	took  time.Duration
	leapt time.Duration
	up    []time.Duration // of each world
}

// row is one line of the table.
type row struct {
	Entry
	took time.Duration
}

// Read reads the JSON report of a Ginkgo run. Specs that did not run are left out, as are setups and
// teardowns that went well.
func Read(r io.Reader) (Summary, error) {
	var suites []types.Report
	if err := json.NewDecoder(r).Decode(&suites); err != nil {
		return Summary{}, fmt.Errorf("reading Ginkgo's JSON report: %w", err)
	}
	var s Summary
	for _, suite := range suites {
		s.took += suite.RunTime
		failed := s.Failed
		for _, spec := range suite.SpecReports {
			if err := s.add(spec); err != nil {
				return Summary{}, err
			}
		}
		// A suite can fail with no spec to blame, as when it was interrupted.
		if !suite.SuiteSucceeded && s.Failed == failed {
			s.Failed++
			s.rows = append(s.rows, row{Entry: Entry{Alert: suite.SuiteDescription, What: "FAILED: " + brief(strings.Join(suite.SpecialSuiteFailureReasons, ", "), 64)}})
		}
	}
	slices.SortStableFunc(s.rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.Alert, b.Alert), cmp.Compare(a.Branch, b.Branch))
	})
	return s, nil
}

// add adds the line of one spec, if it has one.
func (s *Summary) add(spec types.SpecReport) error {
	failed := spec.State.Is(types.SpecStateFailureStates)
	for _, entry := range spec.ReportEntries {
		if entry.Name == WorldUpName {
			var up time.Duration
			if err := json.Unmarshal([]byte(entry.Value.AsJSON), &up); err != nil {
				return fmt.Errorf("reading the entry %q: %w", WorldUpName, err)
			}
			s.up = append(s.up, up)
		}
	}
	if !failed && (spec.LeafNodeType != types.NodeTypeIt || !spec.State.Is(types.SpecStatePassed)) {
		return nil
	}
	line := row{Entry: describe(spec), took: spec.RunTime}
	for _, entry := range spec.ReportEntries {
		if entry.Name != EntryName {
			continue
		}
		if err := json.Unmarshal([]byte(entry.Value.AsJSON), &line.Entry); err != nil {
			return fmt.Errorf("reading the entry %q of the spec %q: %w", EntryName, spec.FullText(), err)
		}
	}
	if failed {
		s.Failed++
		line.What = "FAILED: " + brief(spec.Failure.Message, 64)
	} else {
		s.Passed++
		line.What = cmp.Or(line.What, "passed")
	}
	s.leapt += line.Leapt
	s.rows = append(s.rows, line)
	return nil
}

// describe makes an entry of a spec's own text: an outermost Describe is named after its alert.
func describe(spec types.SpecReport) Entry {
	texts := slices.DeleteFunc(append(slices.Clone(spec.ContainerHierarchyTexts), spec.LeafNodeText), func(text string) bool { return text == "" })
	if len(texts) == 0 {
		return Entry{Alert: spec.LeafNodeType.String()}
	}
	return Entry{Alert: texts[0], Branch: strings.Join(texts[1:], " ")}
}

// Write writes the table, sorted by alert, and the totals.
func (s Summary) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ALERT\tBRANCH, OR WHAT WAS TRIED\tWHAT HAPPENED\tTOOK\tLEAPT")
	for _, r := range s.rows {
		leapt := "-"
		if r.Leapt > 0 {
			leapt = short(r.Leapt)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", r.Alert, brief(r.Branch, 72), brief(r.What, 72), r.took.Round(100*time.Millisecond), leapt)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, figure := range s.figures() {
		fmt.Fprintln(w, figure)
	}
	_, err := fmt.Fprintf(w, "%d proven, %d failed, in %s, %s leapt\n", s.Passed, s.Failed, short(s.took.Round(time.Second)), short(s.leapt))
	return err
}

// figures says how fast it was: the worlds, and of all that was resolved the slowest.
func (s Summary) figures() []string {
	var figures []string
	tenths := func(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }
	switch len(s.up) {
	case 0:
	case 1:
		figures = append(figures, "world up in "+tenths(s.up[0]))
	default:
		figures = append(figures, fmt.Sprintf("%d worlds up, side by side, in %s to %s", len(s.up), tenths(slices.Min(s.up)), tenths(slices.Max(s.up))))
	}
	if len(s.rows) > 0 {
		if slowest := slices.MaxFunc(s.rows, func(a, b row) int { return cmp.Compare(a.Beyond, b.Beyond) }); slowest.Beyond > 0 {
			figures = append(figures, fmt.Sprintf("from fault to resolution in at most %s beyond what the runbook's own commands took (%s, %s)",
				tenths(slowest.Beyond), slowest.Alert, slowest.Branch))
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
