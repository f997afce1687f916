package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stemedb/firedrill/tools/journal"
)

// The parts of an in-toto statement (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) with the
// predicate test-result (https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md), not signed.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     testResult `json:"predicate"`
	}
	resource struct {
		Name   string            `json:"name"`
		Digest map[string]string `json:"digest"`
	}
	testResult struct {
		Result        string     `json:"result"`
		Configuration []resource `json:"configuration"`
		PassedTests   []string   `json:"passedTests"`
		WarnedTests   []string   `json:"warnedTests"`
		FailedTests   []string   `json:"failedTests"`
		// Journal is an extension field, whose name is a URI. A signature of the statement covers the journal as well.
		Journal resource `json:"https://github.com/stemedb/firedrill/journal/v1"`
	}
)

// statementOf makes a statement about the rules and runbooks of a journal: PASSED only where each proof is true, and
// WARNED where a drill whose proof is true did not meet, or did not measure, an objective that was set. A proof that is
// unknown neither passed nor failed, so that no list names it; that all tests were run is for a verifier to demand
// of the lists. The text is the journal's, as it is written.
func statementOf(j journal.Journal, text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	s := statement{
		Type: "https://in-toto.io/Statement/v1", PredicateType: "https://in-toto.io/attestation/test-result/v0.1", Subject: []resource{},
		Predicate: testResult{Result: "PASSED", Configuration: []resource{}, PassedTests: []string{}, WarnedTests: []string{}, FailedTests: []string{},
			Journal: resource{Name: JournalFile, Digest: map[string]string{"sha256": hex.EncodeToString(sum[:])}}},
	}
	for _, input := range j.Inputs {
		s.Subject = append(s.Subject, resource{Name: input.Path, Digest: map[string]string{"sha256": input.SHA256}})
	}
	if j.Run.Commit != "" && !j.Run.Dirty { // else it is not what was run
		s.Predicate.Configuration = append(s.Predicate.Configuration, resource{Name: "firedrill", Digest: map[string]string{"gitCommit": j.Run.Commit}})
	}
	for _, image := range j.Images {
		if sum, ok := sha256Of(image.Digest); ok {
			s.Predicate.Configuration = append(s.Predicate.Configuration, resource{Name: image.Reference, Digest: map[string]string{"sha256": sum}})
		}
	}
	for _, p := range j.Proofs {
		full := p.Suite + ": " + p.Spec
		switch {
		case p.Verdict == journal.True && missed(p):
			s.Predicate.WarnedTests = append(s.Predicate.WarnedTests, full)
		case p.Verdict == journal.True:
			s.Predicate.PassedTests = append(s.Predicate.PassedTests, full)
		case p.Verdict == journal.False:
			s.Predicate.FailedTests = append(s.Predicate.FailedTests, full)
		}
	}
	switch passed, warned := len(s.Predicate.PassedTests), len(s.Predicate.WarnedTests); {
	case passed+warned < len(j.Proofs) || len(j.Proofs) == 0:
		s.Predicate.Result = "FAILED"
	case warned > 0:
		s.Predicate.Result = "WARNED"
	}
	written, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("making the in-toto statement: %w", err)
	}
	return append(written, '\n'), nil
}

// missed says whether a drill did not meet all its objectives.
func missed(p journal.Proof) bool {
	return p.Drill != nil && slices.ContainsFunc(objectives(*p.Drill), func(o objective) bool { return o.Demanded != none && o.Verdict != journal.True })
}

// sha256Of is the hexadecimal digits of a digest as images have it.
func sha256Of(digest string) (string, bool) {
	const prefix = "sha256:"
	if len(digest) != len(prefix)+64 || digest[:len(prefix)] != prefix {
		return "", false
	}
	return digest[len(prefix):], true
}
