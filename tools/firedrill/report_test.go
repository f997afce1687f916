package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/report"
)

// run is a run that began a minute ago, of which Ginkgo left a JUnit report, in the working directory.
func begun(t *testing.T, junit string) *record {
	t.Helper()
	lay := func(name, content string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	lay(filepath.Join(outputDir, junitReport), junit)
	lay(filepath.Join(outputDir, jsonReport), "[]"+junit)
	lay("build/evidence/spec/log.txt", "a log with hunter22 in it")
	secrets, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return &record{secrets: secrets, journal: journal.Journal{
		Schema: journal.Schema, Kind: journal.KindProof,
		Run: journal.Run{Started: time.Now().UTC().Add(-time.Minute), Command: []string{"firedrill"}, Firedrill: version(), Go: "go", Commit: "c"}, Versions: []journal.Component{}, Images: []journal.Image{}, Inputs: []journal.Input{},
	}}
}

// found is Ginkgo's report of specs that ended so.
func found(t *testing.T, states ...types.SpecState) journal.Journal {
	t.Helper()
	j, err := readGinkgo(reportOf(t, states...))
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// ended writes the report of a run of suites.
func ended(r *record, found journal.Journal, failure error) (journal.Journal, error) {
	if err := r.addSuites(found, failure); err != nil {
		return journal.Journal{}, err
	}
	return r.end()
}

func TestRunWritesAReport(t *testing.T) {
	t.Chdir(t.TempDir())
	r := begun(t, "<testsuites>hunter22</testsuites>")
	suites, err := os.OpenFile(r.secrets.Name(), os.O_APPEND|os.O_WRONLY, 0) // as the suites open it
	if err != nil {
		t.Fatal(err)
	}
	if err := redact.Note(suites, "hunter22"); err != nil {
		t.Fatal(err)
	}
	ginkgo := found(t, types.SpecStatePassed, types.SpecStateFailed)
	ginkgo.Proofs[1].Evidence, ginkgo.Proofs[1].Failure = "evidence/spec", "it says hunter22"
	j, err := ended(r, ginkgo, errors.New("exit status 1"))
	if err != nil {
		t.Fatal(err)
	}
	if len(j.Proofs) != 2 || j.Run.Commit != "c" || j.Run.Ended.Sub(j.Run.Started) < time.Minute || j.Proofs[1].Failure != "it says [redacted]" {
		t.Errorf("%+v", j)
	}
	for _, name := range []string{
		filepath.Join(reportDir, report.PageFile), filepath.Join(reportDir, report.JournalFile), filepath.Join(reportDir, report.JUnitFile),
		filepath.Join(reportDir, "evidence/spec/log.txt"), filepath.Join(outputDir, jsonReport), filepath.Join(outputDir, junitReport),
		filepath.Join(outputDir, "evidence/spec/log.txt"),
	} {
		text, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(text), "hunter22") || !strings.Contains(string(text), redact.Notice) {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	if status, stdout, _ := firedrill(t, t.Context(), "report", "verify"); status != exitProven || stdout != "report is unchanged\n" {
		t.Errorf("status %d, %s", status, stdout)
	}
	name := r.secrets.Name()
	r.close()
	if _, err := os.Stat(name); err == nil {
		t.Error("the secrets are left")
	}
}

func TestIncompleteRunIsNotProven(t *testing.T) {
	t.Chdir(t.TempDir())
	j, err := ended(begun(t, "<testsuites/>"), found(t, types.SpecStatePassed), errors.New("signal: killed"))
	if err != nil {
		t.Fatal(err)
	}
	if last := j.Proofs[len(j.Proofs)-1]; last.Verdict != journal.Unknown || !strings.Contains(last.Failure, "signal: killed") {
		t.Errorf("%+v", last)
	}
	if err := printTable(io.Discard, report.Summarize(j)); !errors.Is(err, errFound) {
		t.Error(err)
	}
}

func TestReportVerify(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := ended(begun(t, "<testsuites/>"), found(t, types.SpecStatePassed), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("report/more.txt", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := firedrill(t, t.Context(), "report", "verify", "report"); status != exitFound || stdout != "more.txt is not in SHA256SUMS\n" || stderr != "" {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := firedrill(t, t.Context(), "report", "verify", "build"); status != exitBadInput || stdout != "" || !strings.Contains(stderr, "build is not a report") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
}

func TestReportOpen(t *testing.T) {
	t.Chdir(t.TempDir())
	if status, _, stderr := firedrill(t, t.Context(), "report", "open"); status != exitBadInput || !strings.Contains(stderr, "no report in report") {
		t.Errorf("status %d, %s", status, stderr)
	}
	if _, err := ended(begun(t, "<testsuites/>"), found(t, types.SpecStatePassed), nil); err != nil {
		t.Fatal(err)
	}
	page, err := filepath.Abs("report/index.html")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	programs := t.TempDir()
	t.Setenv("PATH", programs+":"+os.Getenv("PATH"))
	script := "#!/bin/sh\necho \"$1\" >" + filepath.Join(programs, "opened") + "\n"
	for _, name := range []string{"xdg-open", "open"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if status, stdout, _ := firedrill(t, t.Context(), "report", "open"); status != exitProven || !strings.Contains(stdout, page) {
		t.Errorf("status %d, %s", status, stdout)
	}
	t.Setenv("DISPLAY", ":0")
	if status, stdout, _ := firedrill(t, t.Context(), "report", "open", "report"); status != exitProven || stdout != page+"\n" {
		t.Errorf("status %d, %s", status, stdout)
	}
	if opened, err := os.ReadFile(filepath.Join(programs, "opened")); err != nil || string(opened) != page+"\n" {
		t.Errorf("%q was opened, %v", opened, err)
	}
}

func TestReportMerge(t *testing.T) {
	t.Chdir(t.TempDir())
	for suite, state := range map[string]types.SpecState{"one": types.SpecStatePassed, "two": types.SpecStateFailed} {
		j := found(t, state)
		j.Proofs[0].Suite = suite
		if _, err := ended(begun(t, "<testsuites/>"), j, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(reportDir, suite); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr := firedrill(t, t.Context(), "report", "merge", "one", "two", "--into=both")
	if status != exitFound || !strings.Contains(stdout, "both/index.html\n") || !strings.Contains(stdout, "1 passed, 1 failed\n") {
		t.Errorf("status %d, %s%s", status, stdout, stderr)
	}
	if status, stdout, _ := firedrill(t, t.Context(), "report", "verify", "both"); status != exitProven {
		t.Error(stdout)
	}
	for says, args := range map[string]string{
		`required flag(s) "into" not set`:   "report merge one two",
		"both have the proof":               "report merge one one --into=other",
		"none is not a report":              "report merge one none --into=other",
		"build is not empty, and not a rep": "report merge one --into=build",
	} {
		if status, _, stderr := firedrill(t, t.Context(), strings.Fields(args)...); status != exitBadInput || !strings.Contains(stderr, says) {
			t.Errorf("%s: status %d, %s", args, status, stderr)
		}
	}
}

func TestThePreviousRun(t *testing.T) {
	t.Chdir(t.TempDir())
	var out strings.Builder
	if j, err := previousJournal(reportDir, &out); j != nil || err != nil {
		t.Errorf("%v, %v", j, err)
	}
	if _, err := ended(begun(t, "<testsuites/>"), found(t, types.SpecStatePassed), nil); err != nil {
		t.Fatal(err)
	}
	if j, err := previousJournal(reportDir, &out); err != nil || j == nil || len(j.Proofs) != 1 {
		t.Errorf("%v, %v", j, err)
	}
	t.Setenv(previousVariable, "none")
	if _, err := previousJournal(reportDir, &out); err == nil || !strings.Contains(err.Error(), "FIREDRILL_PREVIOUS: there is no journal none") {
		t.Error(err)
	}
	t.Setenv(previousVariable, "report")
	if j, err := previousJournal("elsewhere", &out); err != nil || j == nil {
		t.Errorf("%v, %v", j, err)
	}
	t.Setenv(previousVariable, "")
	if err := os.WriteFile("report/journal.json", []byte(`{"schema": "firedrill/journal/v0"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if j, err := previousJournal(reportDir, &out); err != nil || j != nil || !strings.Contains(out.String(), "no run to compare with: report/journal.json: the journal's schema") {
		t.Errorf("%v, %v, %s", j, err, &out)
	}
}
