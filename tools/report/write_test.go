package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stemedb/firedrill/tools/journal"
)

// example reads a journal of package journal's tests.
func example(t testing.TB, name string) journal.Journal {
	t.Helper()
	j, err := ReadJournal(filepath.Join("..", "journal", "testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestScratch(t *testing.T) {
	j := example(t, "proof")
	prev := example(t, "proof")
	prev.Proofs[1].Verdict, prev.Proofs[1].Failure = journal.True, ""
	prev.Proofs[4].Verdict = journal.False
	prev.Run.Started = prev.Run.Started.AddDate(0, 0, -1)
	prev.Proofs[0].Ended = prev.Proofs[0].Ended.Add(5e9)
	for dir, s := range map[string]Source{"proof": {Journal: j, Previous: &prev, JUnit: []byte("<testsuites/>")}, "drill": {Journal: example(t, "drill"), JUnit: []byte("<testsuites/>")}} {
		if _, err := Write(filepath.Join(os.Getenv("OUT"), dir), s); err != nil {
			t.Fatal(err)
		}
	}
}
