package journal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2/types"
)

// The names under which a spec or a suite adds what it knows to Ginkgo's report. Of several under one name, the last
// counts.
const (
	EntryName     = "firedrill"       // an Entry
	ProofName     = "firedrill proof" // a Proof; what Ginkgo knows of it as well can be left out
	TestbedUpName = "testbed up"      // how long a suite's testbed took to start, a time.Duration
	// EvidenceName is for the folder in which a spec kept evidence of its failure.
	EvidenceName = "evidence"
)

// Entry is a Proof in few words.
type Entry struct {
	Alert  string
	Branch string        // the branch of the runbook, or what else was tried
	What   string        // what happened: "fired, runbook followed, resolved"
	Leapt  time.Duration // how much time was leapt
	// Beyond is the time from the fault to the arrival of the resolution, less what the runbook's own commands took; 0
	// where nothing was resolved.
	Beyond time.Duration
}

// FromGinkgo makes a journal of Ginkgo's JSON report: each spec that ran is a proof, as is each setup or teardown that
// failed, and a suite that did not run to its end. A chosen spec that did not run, or not to its end, is unknown;
// one that the command line left out is none. What Ginkgo does not know is for the caller to add.
func FromGinkgo(r io.Reader) (Journal, error) {
	var suites []types.Report
	if err := json.NewDecoder(r).Decode(&suites); err != nil {
		return Journal{}, fmt.Errorf("reading Ginkgo's JSON report: %w", err)
	}
	j := Journal{Schema: Schema, Kind: KindProof, Run: Run{Command: []string{}}, Versions: []Component{}, Images: []Image{}, Inputs: []Input{}, Proofs: []Proof{}}
	for _, suite := range suites {
		if err := j.addSuite(suite); err != nil {
			return Journal{}, err
		}
	}
	Sort(j.Proofs)
	for _, p := range j.Proofs {
		if p.Drill != nil {
			j.Kind = KindDrill
		}
	}
	return j, nil
}

// Sort puts proofs in the order in which they are shown: by alert and branch, and what is not about an alert, whose name
// is in parentheses, last.
func Sort(proofs []Proof) {
	other := func(p Proof) int {
		if strings.HasPrefix(p.Alert, "(") {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(proofs, func(a, b Proof) int {
		return cmp.Or(other(a)-other(b), cmp.Compare(a.Alert, b.Alert), cmp.Compare(a.Branch, b.Branch))
	})
}

func (j *Journal) addSuite(suite types.Report) error {
	if began := suite.StartTime.UTC(); j.Run.Started.IsZero() || began.Before(j.Run.Started) {
		j.Run.Started = began
	}
	if ended := suite.EndTime.UTC(); ended.After(j.Run.Ended) {
		j.Run.Ended = ended
	}
	chosen, err := choice(suite)
	if err != nil {
		return err
	}
	blamed := false
	for _, spec := range suite.SpecReports {
		var up time.Duration
		for _, entry := range spec.ReportEntries {
			if entry.Name == TestbedUpName {
				if err := json.Unmarshal([]byte(entry.Value.AsJSON), &up); err != nil {
					return fmt.Errorf("reading the entry %q: %w", TestbedUpName, err)
				}
				j.Run.Testbeds = append(j.Run.Testbeds, Seconds(up))
			}
		}
		verdict := judge(spec)
		if spec.LeafNodeType != types.NodeTypeIt && verdict == True || !chosen(spec) {
			continue
		}
		blamed = blamed || verdict != True
		p, err := proof(suite.SuiteDescription, spec, verdict)
		if err != nil {
			return err
		}
		p.Started = p.Started.Add(up) // the testbed is not for this spec alone
		j.Proofs = append(j.Proofs, p)
	}
	// A suite can fail with no spec to blame, as when it was interrupted, or could not be compiled.
	if !suite.SuiteSucceeded && !blamed {
		j.Proofs = append(j.Proofs, Proof{
			Suite: suite.SuiteDescription, Alert: cmp.Or(suite.SuiteDescription, suite.SuitePath), Verdict: Unknown, Started: suite.StartTime.UTC(), Ended: suite.EndTime.UTC(),
			Failure: cmp.Or(strings.Join(suite.SpecialSuiteFailureReasons, ", "), "the suite did not run to its end"),
		})
	}
	return nil
}

// judge is the verdict of a spec. What was interrupted or left out has shown nothing.
func judge(spec types.SpecReport) Verdict {
	switch {
	case spec.State.Is(types.SpecStatePassed):
		return True
	case spec.State.Is(types.SpecStateFailed | types.SpecStatePanicked | types.SpecStateTimedout):
		return False
	}
	return Unknown
}

// choice tells whether a spec ran, or should have. Ginkgo reports those that the command line left out as skipped, as it
// does those that did not run because the suite was interrupted.
func choice(suite types.Report) (func(types.SpecReport) bool, error) {
	filter, err := types.ParseLabelFilter(suite.SuiteConfig.LabelFilter)
	if err != nil {
		return nil, fmt.Errorf("reading Ginkgo's JSON report: its label filter %q: %w", suite.SuiteConfig.LabelFilter, err)
	}
	focus, err := regexp.Compile(strings.Join(suite.SuiteConfig.FocusStrings, "|"))
	if err != nil {
		return nil, fmt.Errorf("reading Ginkgo's JSON report: its focus: %w", err)
	}
	return func(spec types.SpecReport) bool {
		switch {
		case !spec.State.Is(types.SpecStateSkipped | types.SpecStatePending), spec.Failure.Message != "": // by itself
			return true
		case spec.State.Is(types.SpecStateSkipped) && suite.SuiteSucceeded:
			return false
		}
		return filter(spec.Labels()) && focus.MatchString(suite.SuiteDescription+" "+spec.FullText())
	}, nil
}

// proof is what a spec, Ginkgo and the two together know.
func proof(suite string, spec types.SpecReport, verdict Verdict) (Proof, error) {
	p := describe(spec)
	for _, entry := range spec.ReportEntries {
		var err error
		switch entry.Name {
		case EntryName:
			var e Entry
			err = json.Unmarshal([]byte(entry.Value.AsJSON), &e)
			p.Alert, p.Branch, p.What, p.Leapt, p.Beyond = e.Alert, e.Branch, e.What, Seconds(e.Leapt), Seconds(e.Beyond)
		case ProofName:
			err = json.Unmarshal([]byte(entry.Value.AsJSON), &p)
		case EvidenceName:
			var folder string
			err = json.Unmarshal([]byte(entry.Value.AsJSON), &folder)
			p.Evidence = "evidence/" + folder[strings.LastIndex(folder, "/")+1:]
		}
		if err != nil {
			return Proof{}, fmt.Errorf("reading the entry %q of the spec %q: %w", entry.Name, spec.FullText(), err)
		}
	}
	p.Suite, p.Spec, p.Verdict = suite, spec.FullText(), verdict
	p.Started, p.Ended = spec.StartTime.UTC(), spec.EndTime.UTC()
	if !p.Ended.After(p.Started) { // it did not end
		p.Ended = p.Started.Add(spec.RunTime)
	}
	switch {
	case verdict == False:
		p.Failure = spec.Failure.Message
	case verdict == Unknown && spec.Failure.Message != "":
		p.Failure = spec.State.String() + ": " + spec.Failure.Message
	case verdict == Unknown:
		p.Failure = "it did not run: " + spec.State.String()
	}
	if err := p.check(); err != nil {
		return Proof{}, fmt.Errorf("reading the entry %q of the spec %q: proof%w", ProofName, spec.FullText(), err)
	}
	return p, nil
}

// describe makes a proof of a spec's own text: an outermost Describe is named after its alert.
func describe(spec types.SpecReport) Proof {
	texts := slices.DeleteFunc(append(slices.Clone(spec.ContainerHierarchyTexts), spec.LeafNodeText), func(text string) bool { return text == "" })
	if len(texts) == 0 {
		return Proof{Alert: spec.LeafNodeType.String()}
	}
	return Proof{Alert: texts[0], Branch: strings.Join(texts[1:], " ")}
}
