package main

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/ginkgo/v2/types"

	"github.com/stemedb/firedrill/tools/check"
)

// firedrill runs a command line.
func firedrill(t *testing.T, ctx context.Context, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

// reportOf writes Ginkgo's report of one spec per state.
func reportOf(t *testing.T, states ...types.SpecState) string {
	t.Helper()
	suite := types.Report{SuiteSucceeded: true}
	for _, state := range states {
		suite.SpecReports = append(suite.SpecReports, types.SpecReport{LeafNodeType: types.NodeTypeIt, LeafNodeText: "spec", State: state})
	}
	content, err := json.Marshal([]types.Report{suite})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "e2e.json")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTable(t *testing.T) {
	passed, failed := types.SpecStatePassed, types.SpecStateFailed
	for _, test := range []struct {
		name   string
		states []types.SpecState
		status int
		ends   string // stdout
		says   string // stderr
	}{
		{"all is proven", []types.SpecState{passed, passed}, exitProven, "\n2 passed, 0 failed\n", ""},
		{"a proof failed", []types.SpecState{passed, failed}, exitFound, "\n1 passed, 1 failed\n", ""},
		{"nothing ran", []types.SpecState{types.SpecStateSkipped}, exitBadInput, "", "no spec ran"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := firedrill(t, t.Context(), "table", reportOf(t, test.states...))
			if status != test.status || !strings.HasSuffix(stdout, test.ends) || !strings.Contains(stderr, test.says) {
				t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
			}
		})
	}
}

// A rule and its runbook that agree, and a route for the alert.
var sound = map[string]string{
	"rules/tls.yml": `groups:
  - name: tls
    rules:
      - alert: CertificateExpiringSoon
        expr: tls_cert_expiry_seconds < 604800
        for: 1h
        labels: {severity: critical, team: infrastructure}
        annotations:
          summary: The certificate expires within 7 days
          description: It has {{ $value }} seconds left.
          runbook_url: https://example.com/runbooks/CertificateExpiringSoon.md
`,
}

func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheckFindsAndRefuses(t *testing.T) {
	t.Chdir(lay(t, sound))
	if err := os.Mkdir("runbooks", 0o755); err != nil {
		t.Fatal(err)
	}
	// An alert without its runbook is a finding.
	status, stdout, stderr := firedrill(t, t.Context(), "check", "--alertmanager=")
	if status != exitFound || !strings.Contains(stdout, "rules/tls.yml:4") || stderr != "" {
		t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
	// A rule file that is none is exitBadInput.
	if err := os.WriteFile("rules/tls.yml", []byte("groups: [\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = firedrill(t, t.Context(), "check", "--alertmanager=")
	if status != exitBadInput || stdout != "" || !strings.HasPrefix(stderr, "firedrill: ") || !strings.Contains(stderr, "rules/tls.yml") {
		t.Errorf("status %d, stdout\n%s\nstderr %s", status, stdout, stderr)
	}
}

// set is a rule and a runbook, of one step, that agree.
func set(t *testing.T, step string) map[string]string {
	t.Helper()
	files := map[string]string{
		"runbooks/CertificateExpiringSoon.md": "# T\n\n- **Severity:** critical\n- **Alert:** CertificateExpiringSoon\n- **Trigger:** it expires within 7 days\n" +
			"- **Duration:** 1h\n\ntls_cert_expiry_seconds\n\n## Resolution\n\n### If\n\n```bash\n" + step + "\n```\n",
	}
	maps.Copy(files, sound)
	return files
}

func TestCheckFormats(t *testing.T) {
	t.Chdir(lay(t, set(t, "unit=x; echo $untit")))
	for format, want := range map[string]string{
		"text":   "\ncheck: 1 alerts, 0 errors, 1 warnings; left out: --alertmanager, --programs, --specs, --metrics\n",
		"github": "::warning file=runbooks/CertificateExpiringSoon.md,line=15,col=14,endColumn=20,title=runbook/misspelling::",
		"json":   `"warnings": 1`,
		"sarif":  `"id": "alert/annotations"`,
		"junit":  `<testcase classname="rules/tls.yml" name="CertificateExpiringSoon" file="rules/tls.yml">`,
	} {
		status, stdout, stderr := firedrill(t, t.Context(), "check", "--format="+format)
		if status != exitProven || !strings.Contains(stdout, want) || stderr != "" || strings.Contains(stdout, "\x1b") {
			t.Errorf("%s: status %d, stdout\n%s\nstderr %s", format, status, stdout, stderr)
		}
		status, stdout, _ = firedrill(t, t.Context(), "check", "--strict", "--format="+format)
		if status != exitFound || strings.Contains(stdout, "::warning") || strings.Contains(stdout, `"level": "warning",`) || strings.Contains(stdout, "Warning:") {
			t.Errorf("%s: strict, status %d, stdout\n%s", format, status, stdout)
		}
		// Bad input is told apart from findings, in every format.
		status, stdout, stderr = firedrill(t, t.Context(), "check", "--programs=none.txt", "--format="+format)
		if status != exitBadInput || stdout != "" || !strings.Contains(stderr, "none.txt") {
			t.Errorf("%s: status %d, stdout\n%s\nstderr %s", format, status, stdout, stderr)
		}
	}
}

func TestCheckLeavesOut(t *testing.T) {
	t.Chdir(lay(t, sound))
	for _, test := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"check"}, exitProven, "left out: --runbooks, --alertmanager, --programs, --specs, --metrics\n"},
		{[]string{"check", "--runbooks="}, exitProven, "left out: --runbooks, "},
		{[]string{"check", "--runbooks=runbooks"}, exitBadInput, "runbooks"},
		{[]string{"check", "--specs=e2e"}, exitBadInput, "e2e"},
	} {
		status, stdout, stderr := firedrill(t, t.Context(), test.args...)
		if status != test.status || !strings.Contains(stdout+stderr, test.says) {
			t.Errorf("%q: status %d, stdout %s, stderr %s", test.args, status, stdout, stderr)
		}
	}
}

// Of our own rules more is known than of others.
func TestCheckDefaults(t *testing.T) {
	files := maps.Clone(sound)
	files["fixtures/inventory/a.prom"], files["fixtures/inventory/b.prom"] = "a 1\n", "b 1\n"
	files["fixtures/grafana/d.json"] = `{"uid": "d", "panels": [{"title": "P", "targets": [{"expr": "a + b"}, {"expr": "c"}]}]}`
	t.Chdir(lay(t, files))
	for args, want := range map[string]string{
		"check": `the panel "P" asks for c, which`,
		"check --metrics=fixtures/inventory/a.prom":               `the panel "P" asks for b, which`,
		"check --metrics=fixtures/inventory/a.prom --dashboards=": "asks for tls_cert_expiry_seconds, which",
		"check --rules=rules":                                     "0 errors",
	} {
		_, stdout, stderr := firedrill(t, t.Context(), strings.Fields(args)...)
		if !strings.Contains(stdout, want) || strings.Contains(stdout, "asks for a,") || args == "check" && strings.Contains(stdout, "asks for b,") || strings.Contains(args, "boards=") && strings.Contains(stdout, "panel") {
			t.Errorf("%s: stdout %s, stderr %s", args, stdout, stderr)
		}
	}
}

func TestCheckList(t *testing.T) {
	status, stdout, _ := firedrill(t, t.Context(), "check", "--list")
	if status != exitProven || strings.Count(stdout, "\n") != len(check.Checks) {
		t.Errorf("status %d, stdout\n%s", status, stdout)
	}
	for _, one := range check.Checks {
		if !strings.Contains(stdout, one.Name+" ") || !strings.Contains(stdout, one.Help+"\n") {
			t.Errorf("%s is not listed", one.Name)
		}
	}
}

func TestProveStopsAtAFindingBeforeDocker(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere")
	t.Chdir(lay(t, sound))
	for _, dir := range []string{"runbooks", "e2e"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	status, _, stderr := firedrill(t, t.Context(), "prove", "--alertmanager=")
	if status != exitFound || stderr != "" {
		t.Errorf("status %d, stderr %s", status, stderr)
	}
}

func TestUnusableCommandLines(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///nowhere")
	t.Chdir(lay(t, map[string]string{"e2e/tls/tls_test.go": ""}))
	for _, test := range []struct {
		says string
		args []string
	}{
		{"there is no Docker Engine at unix:///nowhere", []string{"images"}},
		{"there is no Docker Engine at unix:///nowhere", []string{"clean"}},
		{`unknown command "rehearse"`, []string{"rehearse"}},
		{"read scenarios: ", []string{"drill"}},
		{"unknown flag", []string{"check", "--rule=x"}},
		{"no such file", []string{"table", "none.json"}},
		{`"(" is not a regular expression`, []string{"prove", "--focus=("}},
		{"--procs 0: at least 1", []string{"prove", "--procs=0"}},
		{`--labels "A ||" is not a label filter of Ginkgo`, []string{"prove", "--labels=A ||"}},
		{`required flag(s) "since" not set`, []string{"affected"}},
		{`no git working tree`, []string{"affected", "--since=HEAD"}},
		{`no git working tree`, []string{"check", "--changed-since="}},
		{`the folder "e2e/tsl" does not exist`, []string{"prove", "e2e/tsl"}},
		{`the folder of runbooks "runbooks" does not exist`, []string{"prove"}},
		{"rules", []string{"check"}},
		{`--format "xml": choose one of text, json, github, sarif, junit`, []string{"check", "--format=xml"}},
	} {
		status, stdout, stderr := firedrill(t, t.Context(), test.args...)
		if status != exitBadInput || stdout != "" || !strings.HasPrefix(stderr, "firedrill: ") || !strings.Contains(stderr, test.says) {
			t.Errorf("%q: status %d, stdout %q, stderr %q", test.args, status, stdout, stderr)
		}
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	status, _, stderr := firedrill(t, ctx, "images")
	if status != exitBadInput || stderr != "firedrill: interrupted\n" {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

func TestGinkgoArgs(t *testing.T) {
	args := strings.Join(proof{focus: "Let's Encrypt", labels: "!none", procs: 3, suites: []string{"./e2e/tls"}}.ginkgoArgs(false), " ")
	for _, want := range []string{
		"run ", "--procs=3", "--randomize-all", "--keep-going", "--timeout=1h0m0s",
		"--output-dir=build", "--json-report=e2e.json", "--junit-report=e2e.xml", "--no-color", "--focus=Let's Encrypt --label-filter=!none ./e2e/tls",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("%s lacks %s", args, want)
		}
	}
}

func TestSuiteEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	p := proof{inputs: inputs{Inputs: check.Inputs{Rules: "rules", Runbooks: "/srv/runbooks", Alertmanager: "am.yml"}}, keep: true}
	got, err := p.variables()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"FIREDRILL_RULES=" + filepath.Join(dir, "rules"), "FIREDRILL_RUNBOOKS=/srv/runbooks", "FIREDRILL_ALERTMANAGER=" + filepath.Join(dir, "am.yml"), "FIREDRILL_KEEP=1"}
	if !slices.Equal(got, want) {
		t.Errorf("variables %q, want %q", got, want)
	}
}
