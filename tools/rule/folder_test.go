package rule

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/stemedb/firedrill/tools/promql"
)

func TestReadDir(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	for _, dir := range []string{"rules/below/deeper", "rules/.git"} {
		g.Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	}
	write(t, "rules", "a.rules", "groups:\n- name: g\n  labels: {team: x}\n  rules:\n  - record: job:up:sum\n    expr: |\n      sum by (job)\n        (up)\n    labels: {job: y}\n")
	write(t, "rules/below", "b.rules.yml", group+"    expr: up\n  - alert: A\n    expr: up == 0\n")
	write(t, "rules/below/deeper", "c.yaml", header+"  - {name: g, rules: [{alert: C, expr: up}]}\n")
	write(t, "rules/.git", "d.yml", "groups: [\n")
	write(t, "rules", ".e.yml", "groups: [\n")
	write(t, "rules", "a_test.yml", "rule_files: [a.yml]\n")
	write(t, "rules", "README.md", "# Rules\n")

	write(t, "rules", "deployment.yaml", "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: Service\n")
	write(t, "rules", "list.yaml", "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod}\n")
	write(t, "rules", "grafana.yaml", "apiVersion: 1\ngroups: []\n")
	write(t, "rules", "none.yaml", "null\n")
	write(t, "rules", "nogroups.yaml", "groups: []\n")
	write(t, "rules", "prometheus.yml", "global: {}\nscrape_configs: []\n")
	write(t, "rules", "tests.yml", "rule_files: [a.yml]\ntests: [{promql_expr_test: [{expr: up}]}]\n")
	write(t, "rules", "values.yaml", "{{- if .Values.name }}\nname: x\n{{- end }}\n")

	set, err := ReadDir("rules")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.Skipped).To(Equal([]Skipped{
		{File: "rules/deployment.yaml", Why: "a manifest of kind Deployment"},
		{File: "rules/grafana.yaml", Why: "a file of Grafana's, or of another program that has an apiVersion"},
		{File: "rules/list.yaml", Why: "a manifest of kind List"},
		{File: "rules/nogroups.yaml", Why: "empty: it has no group"},
		{File: "rules/none.yaml", Why: "empty: its YAML holds nothing"},
		{File: "rules/prometheus.yml", Why: "something else: none of its keys is a rule's"},
		{File: "rules/tests.yml", Why: "a promtool test"},
		{File: "rules/values.yaml", Why: "not YAML, and none of its keys is a rule's"},
	}))
	var names []string
	for _, a := range set.Alerts {
		names = append(names, a.Name+" "+a.File)
	}
	g.Expect(names).To(Equal([]string{"A rules/below/b.rules.yml", "A rules/below/b.rules.yml", "C rules/below/deeper/c.yaml"}))

	g.Expect(set.Recordings).To(HaveLen(1))
	r := set.Recordings[0]
	g.Expect(r.Name).To(Equal("job:up:sum"))
	g.Expect([]int{r.Line, r.ExprLine}).To(Equal([]int{5, 7}))
	g.Expect(r.Labels).To(Equal(map[string]string{"team": "x", "job": "y"}))
	line, column := r.At("expr", len("sum by (job)\n  ("))
	g.Expect([2]int{line, column}).To(Equal([2]int{8, 10}))
	line, column = r.At("labels.none", 0)
	g.Expect([2]int{line, column}).To(Equal([2]int{5, 13}))
	line, column = Recording{Line: 7}.At("expr", 3)
	g.Expect([2]int{line, column}).To(Equal([2]int{7, 1}))
}

// All rules of a folder are in the files for Prometheus, and Prometheus loads each of them.
func TestFiles(t *testing.T) {
	const recording = "groups:\n- name: g\n  rules:\n  - {record: r, expr: up}\n"
	one := header + "  - name: g\n    partial_response_strategy: warn\n    rules:\n    - alert: A\n      expr: |\n        up\n          > 3\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  [][3]string // path, name and rules
	}{
		"recordings only":       {map[string]string{"a.yml": "# alone\n" + recording}, [][3]string{{"a.yml", "a.yml", "r"}}},
		".yaml":                 {map[string]string{"a.yaml": recording}, [][3]string{{"a.yaml", "a.yaml.yml", "r"}}},
		".rules beside .yml":    {map[string]string{"a.rules": recording, "a.rules.yml": recording}, [][3]string{{"a.rules", "a.rules-2.yml", "r"}, {"a.rules.yml", "a.rules.yml", "r"}}},
		"one name, two folders": {map[string]string{"x/a.yml": recording, "y/a.yml": recording}, [][3]string{{"x/a.yml", "x/a.yml", "r"}, {"y/a.yml", "y/a.yml", "r"}}},
		"names like patterns":   {map[string]string{"[a].yml": recording, "_a_.yml": recording}, [][3]string{{"[a].yml", "_a_-2.yml", "r"}, {"_a_.yml", "_a_.yml", "r"}}},
		"a manifest of two documents": {map[string]string{"m.yml": one + "---\napiVersion: v1\nkind: Pod\n---\n" + strings.ReplaceAll(one, "alert: A", "alert: B")},
			[][3]string{{"m.yml", "m.yml", "A"}, {"m.yml", "m-2.yml", "B"}}},
		"a group without rules": {map[string]string{"a.yml": recording, "b.yml": "groups:\n- name: g\n"}, [][3]string{{"a.yml", "a.yml", "r"}}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			for name, content := range tc.files {
				g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)).To(Succeed())
				write(t, dir, name, content)
			}
			set, err := ReadDir(dir)
			g.Expect(err).NotTo(HaveOccurred())
			var got [][3]string
			for _, f := range set.Files {
				rel, err := filepath.Rel(dir, f.Path)
				g.Expect(err).NotTo(HaveOccurred())
				groups, errs := rulefmt.Parse(f.Content, false, model.UTF8Validation, promql.Parser, slog.New(slog.DiscardHandler))
				g.Expect(errs).To(BeEmpty())
				rules := ""
				for _, group := range groups.Groups {
					for _, r := range group.Rules {
						rules += r.Record + r.Alert
					}
				}
				got = append(got, [3]string{rel, f.Name, rules})
				if !strings.HasPrefix(tc.files[rel], "apiVersion") {
					g.Expect(string(f.Content)).To(Equal(tc.files[rel]))
				}
			}
			g.Expect(got).To(Equal(tc.want))
		})
	}
}

func TestIsFile(t *testing.T) {
	for name, want := range map[string][2]bool{
		"a.yml": {true, false}, "x/a.yaml": {true, false}, "a.rules": {true, false}, "a.b.yml": {true, false}, "tests.yml": {true, false},
		"a_test.yml": {false, true}, "x/a_test.yaml": {false, true}, ".a_test.yml": {false, false},
		"a.md": {false, false}, "yml": {false, false}, ".a.yml": {false, false}, ".git/a.yml": {false, false}, "x/.y/a.yml": {false, false},
	} {
		if got := [2]bool{IsFile(name), IsTest(name)}; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What may be a rule file gone wrong is never passed over.
func TestReadDirRefuses(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"an empty file":          {"", "rules: holds no rule file (\"rules/a.yml is empty, and Prometheus loads nothing of it\"): put at least one *.yml or *.yaml there that is not a *_test.yml"},
		"a misspelt groups":      {"group:\n- name: g\n  rules:\n  - {alert: A, expr: up}\n", `rules/a.yml:1: unknown field ("group"): a rule file has groups and nothing beside it`},
		"bad YAML with rules":    {"groups: [\n", `rules/a.yml:1: not valid YAML from here on: did not find expected node content ("groups: ["): fix the indentation, or quote the value`},
		"a chart with rules":     {"groups:\n{{ .Values.x }}\n", `rules/a.yml:2: a Helm template, not YAML ("{{ .Values.x }}"): render the chart first, as with helm template, or quote the value`},
		"nothing but other YAML": {"a: b\n", `rules: holds no rule file ("rules/a.yml is something else: none of its keys is a rule's"): put at least one *.yml or *.yaml there that is not a *_test.yml`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			g.Expect(os.Mkdir("rules", 0o755)).To(Succeed())
			write(t, "rules", "a.yml", tc.content)
			_, err := ReadDir("rules")
			g.Expect(err).To(MatchError(tc.want))
		})
	}
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.Mkdir("rules", 0o755)).To(Succeed())
	write(t, ".", "file.yml", group+"    expr: up\n")
	_, err := ReadDir("file.yml")
	g.Expect(err).To(MatchError(ContainSubstring("file.yml: cannot be read as a folder of rules: not a directory")))
	// As Kubernetes mounts a ConfigMap, and as a folder that is a link.
	g.Expect(os.Mkdir("rules/..data", 0o755)).To(Succeed())
	write(t, "rules/..data", "a.yml", group+"    expr: up\n")
	g.Expect(os.Symlink(filepath.Join("..data", "a.yml"), "rules/a.yml")).To(Succeed())
	g.Expect(os.Symlink("rules", "link")).To(Succeed())
	set, err := ReadDir("link")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.Alerts).To(HaveLen(1))
}

// Files outside the folder get names inside it.
func TestReadFilesNamesOthers(t *testing.T) {
	dir := t.TempDir()
	content := []byte("groups: [{name: g, rules: [{record: a, expr: b}]}]\n")
	var files []string
	for _, name := range []string{"project/a.yml", "rules/a.yml"} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, content, 0o600)); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	set, err := ReadFiles(filepath.Join(dir, "project"), files)
	if err != nil {
		t.Fatal(err)
	}
	if set.Files[0].Name != "a.yml" || set.Files[1].Name != "_/rules/a.yml" {
		t.Errorf("names %q and %q", set.Files[0].Name, set.Files[1].Name)
	}
}
