package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// twoAlerts is a rule file in which both alerts lack a runbook and a severity.
const twoAlerts = `groups:
  - name: tls
    rules:
      - alert: Soon
        expr: tls_seconds < 7
      - expr: tls_seconds <= 0
        alert: Expired
`

// commitFiles makes the files a commit of a new repository, which becomes the working directory.
func commitFiles(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(lay(t, files))
	for _, variable := range os.Environ() { // a hook that runs the tests says there which repository it is about
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "GIT_") {
			t.Setenv(name, value) // to be set again afterwards
			os.Unsetenv(name)
		}
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	for _, args := range [][]string{{"init", "--quiet"}, {"add", "--all"},
		{"-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--message=first"}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

func replace(t *testing.T, file, old, new string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(content), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAffected(t *testing.T) {
	g := NewWithT(t)
	commitFiles(t, map[string]string{"rules/tls.yml": twoAlerts, "runbooks/README.md": "", "README.md": ""})
	for _, step := range []struct {
		file, old, new  string
		filter, because string
	}{
		{"README.md", "", "# Read me\n", "none\n", "affected: no alert is touched\n"},
		{"rules/tls.yml", "<= 0", "< 0", "Expired\n", "affected: Expired: its rule has changed\n"},
		{"rules/tls.yml", "< 7", "< 8", "Expired || Soon\n", "affected: Expired: its rule has changed\naffected: Soon: its rule has changed\n"},
	} {
		replace(t, step.file, step.old, step.new)
		status, stdout, stderr := firedrill(t, t.Context(), "affected", "--since=HEAD")
		g.Expect(status).To(Equal(exitProven))
		g.Expect(stdout).To(Equal(step.filter))
		g.Expect(stderr).To(Equal(step.because))
	}
	g.Expect(os.WriteFile("Makefile", nil, 0o644)).To(Succeed())
	status, stdout, stderr := firedrill(t, t.Context(), "affected", "--since=HEAD")
	g.Expect(status).To(Equal(exitProven))
	g.Expect(stdout).To(Equal("!none\n"))
	g.Expect(stderr).To(HavePrefix("affected: every alert: \"Makefile\" is part of the harness\n"))

	status, stdout, stderr = firedrill(t, t.Context(), "affected", "--since=nowhere")
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stdout).To(BeEmpty())
	g.Expect(stderr).To(HavePrefix(`firedrill: "nowhere" is no revision of the git repository `))
}

func TestCheckOfAChange(t *testing.T) {
	g := NewWithT(t)
	commitFiles(t, map[string]string{"rules/tls.yml": twoAlerts, "runbooks/README.md": ""})
	status, stdout, _ := firedrill(t, t.Context(), "check", "--alertmanager=", "--changed-since=HEAD")
	g.Expect(status).To(Equal(exitProven), stdout)

	replace(t, "rules/tls.yml", "<= 0", "< 0")
	status, stdout, _ = firedrill(t, t.Context(), "check", "--alertmanager=", "--changed-since=HEAD")
	g.Expect(status).To(Equal(exitFound))
	g.Expect(stdout).To(ContainSubstring("Expired has no runbook"))
	g.Expect(stdout).NotTo(ContainSubstring("Soon"))

	status, stdout, _ = firedrill(t, t.Context(), "check", "--alertmanager=")
	g.Expect(status).To(Equal(exitFound))
	g.Expect(stdout).To(ContainSubstring("Soon has no runbook"))
}
