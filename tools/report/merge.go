package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/stemedb/firedrill/tools/journal"
)

// Merge joins the reports of a run that was divided into shards into one, which it writes into dir. The shards must have
// proven the same versions of rules and runbooks, from the same commit and with the same versions of programs, and each
// something else. Each is verified first.
func Merge(shards []string, dir string, previous *journal.Journal) (journal.Journal, error) {
	s := Source{Previous: previous}
	for i, shard := range shards {
		wrong, err := Verify(shard)
		if err != nil {
			return journal.Journal{}, err
		}
		if len(wrong) > 0 {
			return journal.Journal{}, fmt.Errorf("%s was changed after it was written: %s", shard, wrong[0])
		}
		j, err := ReadJournal(shard)
		if err != nil {
			return journal.Journal{}, err
		}
		if i == 0 {
			s.Journal = j
		} else if err := join(&s.Journal, j); err != nil {
			return journal.Journal{}, fmt.Errorf("%s and %s cannot be merged: %w", shards[0], shard, err)
		}
		document, err := os.ReadFile(filepath.Join(shard, JUnitFile))
		if err != nil {
			return journal.Journal{}, fmt.Errorf("merging reports: %w", err)
		}
		s.JUnit = append(s.JUnit, document)
		s.Evidence = append(s.Evidence, filepath.Join(shard, "evidence"))
	}
	journal.Sort(s.Journal.Proofs)
	return Write(dir, s)
}

// join adds the proofs of a shard to those of another.
func join(into *journal.Journal, j journal.Journal) error {
	switch {
	case into.Run.Commit != j.Run.Commit:
		return fmt.Errorf("one is of commit %q, the other of %q", into.Run.Commit, j.Run.Commit)
	case into.Run.Firedrill != j.Run.Firedrill:
		return fmt.Errorf("one was made by firedrill %s, the other by %s", into.Run.Firedrill, j.Run.Firedrill)
	}
	for _, input := range j.Inputs { // each has those of what it proved
		i := slices.IndexFunc(into.Inputs, func(other journal.Input) bool { return other.Path == input.Path })
		switch {
		case i < 0:
			into.Inputs = append(into.Inputs, input)
		case into.Inputs[i] != input:
			return fmt.Errorf("they are about different rules or runbooks: %s is not the same in both", input.Path)
		}
	}
	if err := same(into.Versions, j.Versions, func(c journal.Component) string { return c.Name }); err != nil {
		return fmt.Errorf("their versions differ: %w", err)
	}
	have := map[key]bool{}
	for _, p := range into.Proofs {
		have[keyOf(p)] = true
	}
	for _, p := range j.Proofs {
		if have[keyOf(p)] {
			return fmt.Errorf("both have the proof %q of %s (%s): run each spec in one shard only", p.Spec, p.Alert, p.Suite)
		}
	}
	if j.Kind == journal.KindDrill {
		into.Kind = journal.KindDrill
	}
	if j.Run.Started.Before(into.Run.Started) {
		into.Run.Started = j.Run.Started
	}
	if j.Run.Ended.After(into.Run.Ended) {
		into.Run.Ended = j.Run.Ended
	}
	into.Run.Dirty = into.Run.Dirty || j.Run.Dirty
	into.Run.Testbeds = append(into.Run.Testbeds, j.Run.Testbeds...)
	for _, image := range j.Images { // those that each built for itself can differ in their digests
		if !slices.Contains(into.Images, image) {
			into.Images = append(into.Images, image)
		}
	}
	into.Proofs = append(into.Proofs, j.Proofs...)
	return nil
}

// same demands that two lists hold the same, in any order.
func same[T comparable](a, b []T, name func(T) string) error {
	for _, lists := range [][2][]T{{a, b}, {b, a}} {
		for _, item := range lists[0] {
			if !slices.Contains(lists[1], item) {
				return fmt.Errorf("%s is not the same in both", name(item))
			}
		}
	}
	return nil
}

// junitDocument is a JUnit report whose suites are kept as they are.
type junitDocument struct {
	XMLName    xml.Name   `xml:"testsuites"`
	Attributes []xml.Attr `xml:",any,attr"`
	Suites     string     `xml:",innerxml"`
}

// joinJUnit joins JUnit reports: their suites, and the sums of what each counts.
func joinJUnit(documents [][]byte) ([]byte, error) {
	if len(documents) == 1 {
		return documents[0], nil
	}
	var suites bytes.Buffer
	sums := map[string]float64{}
	var names []string
	for i, document := range documents {
		var d junitDocument
		if err := xml.Unmarshal(document, &d); err != nil {
			return nil, fmt.Errorf("joining JUnit reports: number %d: %w", i+1, err)
		}
		for _, a := range d.Attributes {
			if count, err := strconv.ParseFloat(a.Value, 64); err == nil {
				if _, ok := sums[a.Name.Local]; !ok {
					names = append(names, a.Name.Local)
				}
				sums[a.Name.Local] += count
			}
		}
		suites.WriteString(d.Suites)
	}
	var joined bytes.Buffer
	joined.WriteString(xml.Header + "<testsuites")
	for _, name := range names {
		fmt.Fprintf(&joined, " %s=%q", name, strconv.FormatFloat(sums[name], 'f', -1, 64))
	}
	fmt.Fprintf(&joined, ">%s</testsuites>\n", suites.Bytes())
	return joined.Bytes(), nil
}
