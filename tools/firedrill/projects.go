package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/junit"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/prove"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/testbed"
)

// selection is what a run proves of a project: drills, or scenarios.
type selection struct {
	*project.Project
	drills    []project.Drill
	scenarios []project.Scenario
}

// choose selects the drills whose text matches the regular expression, and whose alert matches the label filter. Both are
// well formed.
func (s *selection) choose(focus, labels string) error {
	matches, err := regexp.Compile(focus)
	if err != nil {
		return err
	}
	filter, err := types.ParseLabelFilter(labels)
	if err != nil {
		return err
	}
	for _, d := range s.Drills {
		if matches.MatchString(s.File+" "+d.Name()) && filter([]string{d.Alert}) {
			s.drills = append(s.drills, d)
		}
	}
	return nil
}

// alerts are the names of the alerts of which something is proven.
func (s selection) alerts() []string {
	names := []string{}
	for _, d := range s.drills {
		names = append(names, d.Alert)
	}
	for _, one := range s.scenarios {
		names = append(names, one.Alert)
	}
	return names
}

func (s selection) noneMatches() error {
	var names []string
	for _, d := range s.Drills {
		names = append(names, fmt.Sprintf("%q", d.Name()))
	}
	return fmt.Errorf("--focus and --labels match no drill of %s: it has %s", s.File, strings.Join(names, ", "))
}

// proveProject proves what is selected of a project, and adds it to the record.
func (p proof) proveProject(ctx context.Context, s selection, images image.Set, record *record, stdout io.Writer) (err error) {
	swept, err := testbed.Sweep(ctx, filepath.Dir(s.File))
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("remove what an earlier run left: %w", err)
	}
	for _, name := range swept {
		fmt.Fprintln(stdout, "removed the testbed", name, "of a run that has ended")
	}
	evidence, err := testbed.MkdirTemp(testbed.TemporaryEvidence)
	if err != nil {
		return fmt.Errorf("make a folder for evidence: %w", err)
	}
	record.temporary = append(record.temporary, evidence)
	secrets, err := os.OpenFile(record.secrets.Name(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open the file for the secrets: %w", err)
	}
	defer secrets.Close()
	defer context.AfterFunc(ctx, func() { fmt.Fprintln(stdout, "interrupted: removing the testbeds") })()
	screen := redact.NewScreen(stdout)
	config := prove.Config{Project: s.Project, Images: images, Procs: p.procs, Keep: p.keep, Evidence: evidence, Secrets: screen.Notes(secrets), Progress: screen}
	var result prove.Result
	if len(s.scenarios) > 0 {
		result, err = prove.Scenarios(ctx, config, s.scenarios, p.exercise)
	} else {
		result, err = prove.Drills(ctx, config, s.drills)
	}
	if err != nil {
		fmt.Fprintf(stdout, "not all is removed: %v: firedrill clean removes the rest\n", err)
		record.failure = err
	}
	if !slices.ContainsFunc(result.Proofs, func(proof journal.Proof) bool { return proof.Verdict != journal.Unknown }) {
		result.Unmatched = nil // no drill has ended
	}
	for _, pattern := range result.Unmatched {
		fmt.Fprintf(stdout, "%s: secrets: no file of %s matched %q in any drill: fix the path, or remove it\n", s.File, s.Operator, pattern)
		if len(s.drills) == len(s.Drills) && ctx.Err() == nil {
			record.failure = fmt.Errorf("a pattern of secrets matched no file: %q", pattern)
		}
	}
	found := journal.Journal{Proofs: result.Proofs}
	for _, took := range result.Testbeds {
		found.Run.Testbeds = append(found.Run.Testbeds, journal.Seconds(took))
	}
	junit, err := junitOf(s.Project, result.Proofs)
	if err != nil {
		return err
	}
	record.add(found, junit, evidence)
	return nil
}

// junitOf is the JUnit report of a project's proofs.
func junitOf(p *project.Project, proofs []journal.Proof) ([]byte, error) {
	var document junit.Document
	sorted := slices.Clone(proofs)
	journal.Sort(sorted)
	for _, proof := range sorted {
		c := junit.Case{ClassName: proof.Alert, Name: proof.Spec, File: p.File, Time: junit.Seconds(proof.Ended.Sub(proof.Started))}
		for _, d := range p.Drills {
			if d.Name() == proof.Spec {
				c.Line = d.Line
			}
		}
		first, _, _ := strings.Cut(proof.Failure, "\n")
		problem := []junit.Problem{{Message: first, Text: proof.Failure}}
		switch proof.Verdict {
		case journal.False:
			c.Failures = problem
		case journal.Unknown:
			c.Errors = problem
		}
		document.Add(p.File, c)
	}
	var b bytes.Buffer
	if err := document.Write(&b); err != nil {
		return nil, fmt.Errorf("write the JUnit report: %w", err)
	}
	return b.Bytes(), nil
}
