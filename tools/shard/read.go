package shard

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/journal"
)

// maxSpec is longer than any spec: Ginkgo ends a run after an hour.
const maxSpec = 24 * time.Hour

// Read reads the durations of a run: Ginkgo's JSON report or a journal, as "firedrill prove" writes them. Of a journal,
// each proof is the report of a spec. An error names what is wrong and, if known, the line; name is used in messages only.
func Read(name string, r io.Reader) ([]types.Report, error) {
	content, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read the durations: %w", err)
	}
	var j struct{ Schema string }
	if json.Unmarshal(content, &j) == nil && j.Schema != "" {
		return readJournal(name, content)
	}
	var reports []types.Report
	if err := json.Unmarshal(content, &reports); err != nil {
		place, reason := name, err.Error()
		lineAt := func(offset int64) string {
			return fmt.Sprintf("%s:%d", name, 1+bytes.Count(content[:min(int(offset), len(content))], []byte("\n")))
		}
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			place = lineAt(syntax.Offset)
		}
		if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			place, reason = lineAt(mismatch.Offset), fmt.Sprintf("its %s is a %s", cmp.Or(mismatch.Field, "whole"), mismatch.Value)
		}
		return nil, fmt.Errorf("%s: not Ginkgo's JSON report of a run (%s): name the build/e2e.json or the report/journal.json of one", place, reason)
	}
	for _, suite := range reports {
		for _, spec := range suite.SpecReports {
			if passed(spec) && (spec.RunTime < 0 || spec.RunTime > maxSpec) {
				return nil, fmt.Errorf("%s: the spec %q has a RunTime of %s: it must be in nanoseconds, from 0 to a day", name, textOf(suite, spec), spec.RunTime)
			}
		}
	}
	return reports, nil
}

func readJournal(name string, content []byte) ([]types.Report, error) {
	j, err := journal.Read(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var reports []types.Report
	for _, proof := range j.Proofs {
		spec := types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: proof.Spec, State: types.SpecStateFailed, RunTime: proof.Ended.Sub(proof.Started)}
		if proof.Verdict == journal.True {
			spec.State = types.SpecStatePassed
		}
		if spec.RunTime > maxSpec {
			return nil, fmt.Errorf("%s: the proof %q took %s: it must be at most a day", name, proof.Spec, spec.RunTime)
		}
		reports = append(reports, types.Report{SuiteDescription: proof.Suite, SpecReports: types.SpecReports{spec}})
	}
	return reports, nil
}
