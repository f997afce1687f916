package journal

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What is executed, and nothing beside it.
func TestInputs(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "rules/a.yml", "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up == 0\n  - alert: B\n    expr: up == 1\n")
	writeFile(t, "rules/r.yml", "groups:\n- name: g\n  rules:\n  - record: a:b\n    expr: sum(up)\n")
	writeFile(t, "rules/a_test.yml", "tests: []\n")
	writeFile(t, "runbooks/A.md", "hello\n")
	writeFile(t, "runbooks/FINDINGS.md", "found\n")
	elsewhere := t.TempDir()
	writeFile(t, filepath.Join(elsewhere, "B.md"), "hello\n")
	inside, err := filepath.Abs("rules")
	if err != nil {
		t.Fatal(err)
	}
	const hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
	for _, test := range []struct{ rules, runbooks, want string }{
		{"rules", "runbooks", "rules/a.yml rules/r.yml runbooks/A.md"},
		{inside, elsewhere, filepath.ToSlash(elsewhere) + "/B.md rules/a.yml rules/r.yml"},
	} {
		set, err := rule.ReadDir(test.rules)
		if err != nil {
			t.Fatal(err)
		}
		found, err := Inputs(set, test.runbooks, runbook.Grammar{})
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, input := range found {
			paths = append(paths, input.Path)
			if strings.HasSuffix(input.Path, ".md") && input.SHA256 != hello {
				t.Errorf("the hash of %s is %s", input.Path, input.SHA256)
			}
		}
		if got := strings.Join(paths, " "); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	if _, err := Inputs(rule.Set{}, "runbooks", runbook.Grammar{}, "none"); err == nil {
		t.Error("a file that does not exist was read")
	}
}

func TestVersions(t *testing.T) {
	t.Chdir(t.TempDir())
	writeFile(t, "go.mod", "module m\ntool (\n\tgithub.com/prometheus/prometheus/cmd/prometheus\n\tgithub.com/prometheus/prometheus/cmd/promtool\n\texample.com/lint/v2/cmd/lint\n)\n"+
		"require (\n\texample.com/li v1.0.0\n\texample.com/lint/v2 v2.10.1\n\tgithub.com/prometheus/prometheus v0.316.0\n)\n")
	found, err := toolsIn("go.mod")
	if want := []Component{{"lint", "2.10.1"}, {"prometheus", "3.16.0"}}; err != nil || !slices.Equal(found, want) {
		t.Errorf("%v, %v, want %v", found, err, want)
	}
	found, err = Versions(t.Context()) // of Firedrill's go.mod, and not of m's
	if err != nil || !slices.ContainsFunc(found, func(c Component) bool { return c.Name == "alertmanager" }) {
		t.Errorf("%v, %v, want Alertmanager's among them", found, err)
	}
	info := &debug.BuildInfo{Deps: []*debug.Module{
		{Path: "example.com/lint", Version: "v1.0.0"}, {Path: "github.com/prometheus/alertmanager", Version: "v0.34.2"}, {Path: prometheusModule, Version: "v0.316.0"},
	}}
	if found, want := builtWith(info, true), []Component{{"alertmanager", "0.34.2"}, {"prometheus", "3.16.0"}}; !slices.Equal(found, want) {
		t.Errorf("%v, want %v", found, want)
	}
	for module, want := range map[string]string{"v0.316.0": "3.16.0", "v0.305.1": "3.5.1", "v0.400.0": "0.400.0", "v0.55.0": "0.55.0"} {
		if got := release("github.com/prometheus/prometheus", module); got != want {
			t.Errorf("%s is release %s, want %s", module, got, want)
		}
	}
	if got := release("github.com/prometheus/alertmanager", "v0.34.2"); got != "0.34.2" {
		t.Error(got)
	}
}

func TestCommit(t *testing.T) {
	t.Chdir(t.TempDir())
	if name, dirty := Commit(t.Context()); name != "" || dirty {
		t.Errorf("no repository is at %q, dirty: %v", name, dirty)
	}
	git := func(args ...string) string {
		t.Helper()
		out, err := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e@example.com"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "--quiet")
	git("commit", "--quiet", "--allow-empty", "--message", "m")
	head := git("rev-parse", "HEAD")
	if name, dirty := Commit(t.Context()); name != head || dirty {
		t.Errorf("%s, dirty: %v", name, dirty)
	}
	writeFile(t, "new", "")
	if name, dirty := Commit(t.Context()); name != head || !dirty {
		t.Errorf("%s, dirty: %v", name, dirty)
	}
}
