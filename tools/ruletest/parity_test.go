package ruletest

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/engine/enginetest"
)

// verdicts are those on a test file: on the file as a whole, and on each of its test groups.
type verdicts struct {
	passed bool
	tests  []string
}

// promtoolVerdicts asks promtool about test files.
func promtoolVerdicts(t testing.TB, files []string) map[string]verdicts {
	t.Helper()
	report := filepath.Join(t.TempDir(), "junit.xml")
	cmd := exec.Command(enginetest.Build(t, "promtool"), append([]string{"test", "rules", "--junit=" + report}, files...)...)
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("promtool: %v\n%s", err, out)
	}
	content, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var junit struct {
		Suites []struct {
			Name   string `xml:"name,attr"`
			Errors int    `xml:"errors,attr"`
			Cases  []struct {
				Name     string   `xml:"name,attr"`
				Failures []string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(content, &junit); err != nil {
		t.Fatal(err)
	}
	all := map[string]verdicts{}
	for _, suite := range junit.Suites {
		v := verdicts{passed: suite.Errors == 0}
		for _, c := range suite.Cases {
			if suite.Errors == 0 { // else the case is not one of the file's
				v.tests = append(v.tests, verdict(c.Name, len(c.Failures) > 0))
			}
			v.passed = v.passed && len(c.Failures) == 0
		}
		all[suite.Name] = v
	}
	return all
}

func verdict(name string, failed bool) string {
	if failed {
		return "FAIL " + name
	}
	return "pass " + name
}

// verdicts are ours.
func (f FileResult) verdicts() verdicts {
	v := verdicts{passed: f.Err == nil}
	for _, t := range f.Tests {
		v.tests = append(v.tests, verdict(t.Name, t.Failed()))
		v.passed = v.passed && !t.Failed()
	}
	return v
}

func testFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*_test.yml")
	if err != nil || len(files) < 15 {
		t.Fatalf("test files %q: %v", files, err)
	}
	return append(files, "../../rules/tls_test.yml")
}

func TestSameVerdictsAsPromtool(t *testing.T) {
	files := testFiles(t)
	theirs := promtoolVerdicts(t, files)
	result, err := Load(files, Options{}).Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	passed, failed := 0, 0
	for _, f := range result.Files {
		want, got := theirs[f.Path], f.verdicts()
		if want.passed != got.passed || !slices.Equal(want.tests, got.tests) {
			t.Errorf("%s\npromtool: passed %v\n\t%s\nours: passed %v (%v)\n\t%s", f.Path,
				want.passed, strings.Join(want.tests, "\n\t"), got.passed, result.Err(), strings.Join(got.tests, "\n\t"))
		}
		for _, one := range f.Tests {
			if one.Failed() {
				failed++
			} else {
				passed++
			}
		}
	}
	if passed < 20 || failed < 40 {
		t.Errorf("%d tests passed and %d failed: too few to compare", passed, failed)
	}
}

// The evaluation by time does what a server does. That by rule must say the same, wherever it has anything to say.
func TestByRuleEqualsByTime(t *testing.T) {
	byRule := 0
	for _, f := range Load(testFiles(t), Options{}).files {
		for _, test := range f.tests {
			if test.err != nil || f.ruleErr != nil {
				continue
			}
			rules := f.loaded.rules
			in := test.input(rules)
			fast, slow := &run{test: test, rules: rules}, &run{test: test, rules: rules}
			var err error
			if fast.result, err = rules.RunByRule(t.Context(), in); err != nil {
				continue
			}
			if slow.result, err = rules.RunByTime(t.Context(), in); err != nil {
				t.Errorf("%s: %s: the evaluation by rule says nothing of %v", f.path, test.Name, err)
				continue
			}
			defer slow.result.Close()
			byRule++
			if got, want := fast.findings(t.Context()), slow.findings(t.Context()); got != want {
				t.Errorf("%s: %s: by rule\n%s\nby time\n%s", f.path, test.Name, got, want)
			}
			if got, want := fast.recordings(t), slow.recordings(t); got != want {
				t.Errorf("%s: %s: by rule\n%s\nby time\n%s", f.path, test.Name, got, want)
			}
		}
	}
	if byRule < 8 {
		t.Errorf("only %d tests were evaluated by rule", byRule)
	}
}

func (r *run) findings(ctx context.Context) string {
	var all []string
	for _, f := range r.assertions(ctx) {
		all = append(all, f.String())
	}
	return strings.Join(all, "\n")
}

// recordings are the series that the recording rules have written, and the rest if anybody selects it.
func (r *run) recordings(t *testing.T) string {
	const all = `{__name__=~".+"}`
	var texts []string
	for slot := range r.slots {
		vector, err := r.result.Values(t.Context(), all, r.at(slot))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range vector {
			if name := s.Metric.Get("__name__"); r.result.WriteAlerts || name != "ALERTS" && name != "ALERTS_FOR_STATE" {
				texts = append(texts, fmt.Sprintf("%s %d:%x", s.Metric, s.T, s.F))
			}
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, "\n")
}

func TestVersionIsThatOfGoMod(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/prometheus/prometheus").Output()
	if err != nil {
		t.Fatal(err)
	}
	if pinned := strings.TrimSpace(string(out)); pinned != Version {
		t.Errorf("go.mod names %s, and the verdicts are said to be those of %s", pinned, Version)
	}
}
