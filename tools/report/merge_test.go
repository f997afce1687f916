package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/journal"
)

// shards are two reports of the example's proofs.
func shards(t *testing.T, change func(second *journal.Journal)) []string {
	t.Helper()
	first, second := example(t, "proof"), example(t, "proof")
	evidence := t.TempDir()
	writeFile(t, "log", evidence, filepath.Base(first.Proofs[1].Evidence), "log.txt")
	first.Proofs, second.Proofs = first.Proofs[2:], second.Proofs[:2]
	second.Run.Started = second.Run.Started.Add(-1e9)
	second.Run.Dirty = false
	change(&second)
	return []string{writtenTo(t, Source{Journal: first, JUnit: [][]byte{[]byte(junit)}}), writtenTo(t, Source{Journal: second, JUnit: [][]byte{[]byte(junit)}, Evidence: []string{evidence}})}
}

func TestMerge(t *testing.T) {
	whole := example(t, "proof")
	into := filepath.Join(t.TempDir(), "all", "report")
	j, err := Merge(shards(t, func(*journal.Journal) {}), into, nil)
	if err != nil {
		t.Fatal(err)
	}
	if wrong, err := Verify(into); err != nil || len(wrong) > 0 {
		t.Errorf("%q, %v", wrong, err)
	}
	var got, want []string
	for i, p := range j.Proofs {
		got, want = append(got, name(p)), append(want, name(whole.Proofs[i]))
	}
	if !slices.Equal(got, want) || !j.Run.Started.Equal(whole.Run.Started.Add(-1e9)) || !j.Run.Dirty || len(j.Run.Testbeds) != 4 || len(j.Images) != 2 {
		t.Errorf("proofs %q, run %+v, images %v", got, j.Run, j.Images)
	}
	files := content(t, into)
	if files[whole.Proofs[1].Evidence+"/log.txt"] != "log" {
		t.Errorf("the evidence is not in %q", names(files))
	}
	var document struct {
		Tests, Failures int    `xml:",attr"`
		Time            string `xml:"time,attr"`
		Suites          []struct {
			Cases []struct {
				Name string `xml:"name,attr"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(strings.NewReplacer("tests=", "Tests=", "failures=", "Failures=").Replace(files[JUnitFile])), &document); err != nil {
		t.Fatal(err)
	}
	if document.Tests != 4 || document.Failures != 2 || document.Time != "3" || len(document.Suites) != 2 || document.Suites[1].Cases[0].Name != "a < b" {
		t.Errorf("%+v of\n%s", document, files[JUnitFile])
	}
}

func TestMergeRefuses(t *testing.T) {
	for says, change := range map[string]func(*journal.Journal){
		`both have the proof "CertificateExpiringSoon is`:                              func(j *journal.Journal) { j.Proofs = example(t, "proof").Proofs[1:3] },
		`different rules or runbooks: rules/tls.yml is not the`:                        func(j *journal.Journal) { j.Inputs[1].SHA256 = strings.Repeat("0", 64) },
		`their versions differ: alertmanager is not the same in both`:                  func(j *journal.Journal) { j.Versions[1].Version = "0.33" },
		`one is of commit "7c1d9a40be2f6d1e0a5b8c3f4e2d1a0b9c8d7e6f", the other of ""`: func(j *journal.Journal) { j.Run.Commit = "" },
		`one was made by firedrill v0.4.1, the other by v0.5`:                          func(j *journal.Journal) { j.Run.Firedrill = "v0.5" },
	} {
		into := filepath.Join(t.TempDir(), "report")
		if _, err := Merge(shards(t, change), into, nil); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
		if _, err := os.Stat(into); err == nil {
			t.Errorf("%s: a report was written", says)
		}
	}
	both := shards(t, func(*journal.Journal) {})
	writeFile(t, "{}", both[1], JournalFile)
	if _, err := Merge(both, filepath.Join(t.TempDir(), "report"), nil); err == nil || !strings.Contains(err.Error(), "was changed after it was written: journal.json was changed") {
		t.Error(err)
	}
	if _, err := Merge([]string{t.TempDir()}, filepath.Join(t.TempDir(), "report"), nil); err == nil || !strings.Contains(err.Error(), "is not a report") {
		t.Error(err)
	}
}

func TestStatement(t *testing.T) {
	clean := func(j *journal.Journal) { j.Run.Dirty, j.Proofs = false, []journal.Proof{j.Proofs[0], j.Proofs[2]} }
	for _, test := range []struct {
		example                string
		change                 func(*journal.Journal)
		result                 string
		passed, warned, failed int
		configuration          int
	}{
		{"proof", func(*journal.Journal) {}, "FAILED", 3, 0, 1, 2},
		{"proof", clean, "PASSED", 2, 0, 0, 3},
		{"proof", func(j *journal.Journal) { j.Proofs = j.Proofs[3:] }, "FAILED", 1, 0, 0, 2},
		{"proof", func(j *journal.Journal) { j.Proofs = nil }, "FAILED", 0, 0, 0, 2},
		{"drill", func(*journal.Journal) {}, "WARNED", 1, 1, 0, 3},
		{"drill", func(j *journal.Journal) { j.Images[0].Digest = "none" }, "WARNED", 1, 1, 0, 2},
	} {
		j := example(t, test.example)
		test.change(&j)
		text, err := statementOf(j, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Type          string `json:"_type"`
			PredicateType string
			Subject       []struct {
				Name   string
				Digest struct{ SHA256 string }
			}
			Predicate struct {
				Result                                string
				Configuration                         []struct{ Digest map[string]string }
				PassedTests, WarnedTests, FailedTests []string
				Journal                               struct{ Digest map[string]string } `json:"https://github.com/stemedb/firedrill/journal/v1"`
			}
		}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://in-toto.io/attestation/test-result/v0.1" {
			t.Errorf("it is a %s about a %s", s.Type, s.PredicateType)
		}
		if len(s.Subject) != len(j.Inputs) || s.Subject[1].Name != j.Inputs[1].Path || s.Subject[1].Digest.SHA256 != j.Inputs[1].SHA256 {
			t.Errorf("it is about %v", s.Subject)
		}
		p := s.Predicate
		if p.Result != test.result || len(p.PassedTests) != test.passed || len(p.WarnedTests) != test.warned || len(p.FailedTests) != test.failed || len(p.Configuration) != test.configuration {
			t.Errorf("%+v, want %+v", p, test)
		}
		if p.Journal.Digest["sha256"] != "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
			t.Errorf("the journal is %v", p.Journal)
		}
		if bytes.Contains(text, []byte("null")) {
			t.Errorf("a list is null:\n%s", text)
		}
	}
}
