package skeleton

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/rule"
)

var folders = Folders{"rules", "runbooks", "e2e"}

// root is the repository's, from this package.
const root = "../.."

// tree returns the content of every file beneath the working directory, by its path, and "" for each folder.
func tree(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			found[path] = ""
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// project makes a small project the working directory, as a Go module: the example of package check, with links to
// dashboards, a promtool test and a suite.
func project(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../check/testdata/good")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(content))
	}
	t.Chdir(dir)
	rules, err := os.ReadFile("rules/shop.yml")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, "rules/shop.yml", strings.ReplaceAll(string(rules), "          runbook_url", "          dashboard_url: https://grafana.example.com/d/shop\n          runbook_url"))
	writeFile(t, "rules/shop_test.yml", "rule_files: [shop.yml]\nevaluation_interval: 1m\ntests:\n  - name: no series\n    alert_rule_test:\n      - {eval_time: 0m, alertname: BackupTooOld}\n")
	writeFile(t, "e2e/shop/suite_test.go", "package shop\n\nimport (\n\t\"testing\"\n\n\t\"github.com/onsi/ginkgo/v2\"\n)\n\nfunc TestShop(t *testing.T) { ginkgo.RunSpecs(t, \"shop\") }\n")
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// finish runs a program and returns what it printed, and whether its exit status was 0.
func finish(dir, program string, args ...string) (output string, succeeded bool) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// findings is what check says about the working directory, in lines of file:line check.
func findings(t *testing.T) []string {
	t.Helper()
	found, _, err := check.Run(t.Context(), check.Inputs{Rules: "rules", Runbooks: "runbooks"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, fmt.Sprintf("%s:%d %s", f.File, f.Line, f.Check))
	}
	return lines
}

func TestASkeletonFailsUntilItIsFilledIn(t *testing.T) {
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file         string
		written      []string
		suite        string
		unfinished   []string
		rules, tests string
	}{
		"in new files": {
			written: []string{"rules/disk_full.yml", "rules/disk_full_test.yml", "runbooks/DiskFull.md",
				"e2e/disk_full/suite_test.go", "e2e/disk_full/diskfull_test.go"},
			suite: "./e2e/disk_full",
			unfinished: []string{
				"rules/disk_full.yml:5 alert/unfinished", "rules/disk_full.yml:9 alert/unfinished",
				"rules/disk_full.yml:11 alert/unfinished", "rules/disk_full.yml:12 alert/unfinished",
				"rules/disk_full.yml:14 alert/unfinished", // the dashboard
			},
			rules: "rules/disk_full.yml", tests: "rules/disk_full_test.yml",
		},
		"among others": {
			file:    "shop.yml",
			written: []string{"rules/shop.yml", "rules/shop_test.yml", "runbooks/DiskFull.md", "e2e/shop/diskfull_test.go"},
			suite:   "./e2e/shop",
			unfinished: []string{
				"rules/shop.yml:33 alert/unfinished", "rules/shop.yml:37 alert/unfinished",
				"rules/shop.yml:39 alert/unfinished", "rules/shop.yml:40 alert/unfinished",
			},
			rules: "rules/shop.yml", tests: "rules/shop_test.yml",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			project(t)
			before := tree(t)
			g.Expect(findings(t)).To(BeEmpty())
			g.Expect(Alert("DiskFull", c.file, folders)).To(Equal(c.written))

			for path, content := range tree(t) {
				g.Expect(content).To(HavePrefix(before[path]), "%s keeps its content", path)
			}
			g.Expect(findings(t)).To(ContainElements(c.unfinished))
			g.Expect(findings(t)).To(ContainElements("runbooks/DiskFull.md:5 runbook/unfinished", "runbooks/DiskFull.md:29 runbook/unfinished"))
			g.Expect(findings(t)).To(HaveEach(Or(ContainSubstring("/unfinished"), HaveSuffix(" runbook/index"))))

			wd, err := os.Getwd()
			g.Expect(err).NotTo(HaveOccurred())
			output, passed := finish(repository, "env", "CGO_ENABLED=0", // compiled as it is for make test, and so only once
				"go", "run", "-trimpath", "-buildvcs=false", "-tags=remove_all_sd,netgo", "github.com/prometheus/prometheus/cmd/promtool",
				"test", "rules", filepath.Join(wd, c.tests))
			g.Expect(passed).To(BeFalse())
			g.Expect(output).To(ContainSubstring("DiskFull at its threshold"))
			g.Expect(output).To(ContainSubstring("got:[]"))

			output, passed = finish(".", "go", "vet", c.suite)
			g.Expect(passed).To(BeTrue(), output)
			output, passed = finish(".", "gofmt", "-l", "e2e")
			g.Expect(passed).To(BeTrue(), output)
			g.Expect(output).To(BeEmpty())

			// The same name is refused a second time, and nothing is written.
			before = tree(t)
			_, err = Alert("DiskFull", "other.yml", folders)
			g.Expect(err).To(MatchError(MatchRegexp(`rules/\w+\.yml:\d+: an alert DiskFull exists already`)))
			g.Expect(tree(t)).To(Equal(before))
		})
	}
}

// A spec that is not filled in fails in a suite that runs.
func TestTheSpecFails(t *testing.T) {
	g := NewWithT(t)
	project(t)
	_, err := Alert("NodeWindows", "", folders)
	g.Expect(err).NotTo(HaveOccurred())
	output, passed := finish(".", "go", "test", "./e2e/node_windows")
	g.Expect(passed).To(BeFalse())
	g.Expect(output).To(ContainSubstring("TODO: inject a real fault, wait until NodeWindows fires, follow runbooks/NodeWindows.md, wait until it is resolved"))
	g.Expect(output).To(ContainSubstring("Ran 1 of 1 Specs"))
}

func TestInAnEmptyFolder(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	_, err := Alert("TLSCertExpired2Soon", "", folders)
	g.Expect(err).NotTo(HaveOccurred())
	alerts, err := rule.LoadDir("rules")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alerts).To(HaveLen(1))
	g.Expect(alerts[0].File).To(Equal("rules/tls_cert_expired2_soon.yml"))
	g.Expect(alerts[0].Annotations["runbook_url"]).To(Equal("https://example.com/TODO/runbooks/TLSCertExpired2Soon.md"))
	g.Expect(findings(t)).To(ContainElement("rules/tls_cert_expired2_soon.yml:12 alert/unfinished"), "the address")
	rules, err := os.ReadFile("rules/tls_cert_expired2_soon.yml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(rules)).NotTo(ContainSubstring("team"), "no other alert has such a label")

	// The next one has a similar address, and finds the suite.
	_, err = Alert("Other", "tls_cert_expired2_soon.yml", folders)
	g.Expect(err).NotTo(HaveOccurred())
	alerts, err = rule.LoadDir("rules")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alerts).To(HaveLen(2))
	g.Expect(alerts[1].Group).To(Equal(alerts[0].Group))
	g.Expect(alerts[1].Annotations["runbook_url"]).To(Equal("https://example.com/TODO/runbooks/Other.md"))
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"BackupTooOld": "Backup Too Old", "TLSCertExpired": "TLS Cert Expired", "APIDown": "API Down", "AaBBb": "Aa B Bb",
		"DiskIOHigh": "Disk IO High", "P99Slow": "P99 Slow", "Ab": "Ab", "ABCDeFGHi": "ABC De FG Hi",
	} {
		NewWithT(t).Expect(words(name, " ")).To(Equal(want))
	}
}

// On an error, nothing is written.
func TestRefuses(t *testing.T) {
	const group = "groups:\n- name: g\n  rules:\n"
	for name, c := range map[string]struct {
		alert, file string
		there       map[string]string
		says        string
	}{
		"lower case":               {alert: "diskFull", says: `"diskFull" is not a name for an alert`},
		"upper case alone":         {alert: "README", says: `"README" is not a name for an alert`},
		"a path":                   {alert: "../DiskFull", says: `"../DiskFull" is not a name for an alert`},
		"words":                    {alert: "Disk Full", says: `"Disk Full" is not a name for an alert`},
		"no name":                  {alert: "", says: `"" is not a name for an alert`},
		"a file in another folder": {alert: "DiskFull", file: "../tls.yml", says: `"../tls.yml" is not a name for a rule file`},
		"a file of another kind":   {alert: "DiskFull", file: "tls.json", says: `"tls.json" is not a name for a rule file`},
		"the name of a test":       {alert: "DiskTest", says: `"disk_test.yml" is the name of a promtool test`},
		"a Go keyword":             {alert: "DiskFull", file: "range.yml", says: `"range" is not a name for a Go package`},
		"the same name, nearly":    {alert: "DiskFull", there: map[string]string{"rules/a.yml": group + "  - {alert: DiskFULL, expr: up}\n"}, says: "rules/a.yml:4: an alert DiskFULL exists already"},
		"rules that are none":      {alert: "DiskFull", there: map[string]string{"rules/a.yml": "groups: ["}, says: "rules/a.yml:1: not valid YAML"},
		"the rule file is there": {alert: "DiskFull", there: map[string]string{"rules/disk_full.yml": group + "  - {alert: A, expr: up}\n"},
			says: "rules/disk_full.yml exists already: to add the alert to it, write --file disk_full.yml"},
		"the runbook is there": {alert: "DiskFull", there: map[string]string{"runbooks/DiskFull.md": "mine"}, says: "runbooks/DiskFull.md exists already"},
		"the spec is there": {alert: "DiskFull", there: map[string]string{"e2e/disk_full/diskfull_test.go": "package mine\n\nimport _ \"github.com/onsi/ginkgo/v2\"\n"},
			says: "e2e/disk_full/diskfull_test.go exists already"},
		"a package that is not a suite": {alert: "DiskFull", file: "client.yml", there: map[string]string{"e2e/client/client_test.go": "package client\n"}, says: "e2e/client has Go files, but no Ginkgo suite"},
		"a suite that is not Go":        {alert: "DiskFull", file: "tls.yml", there: map[string]string{"e2e/tls/suite_test.go": "pack tls"}, says: "looking for a suite: e2e/tls/suite_test.go:1:1: "},
		"a list on one line":            {alert: "DiskFull", file: "a.yml", there: map[string]string{"rules/a.yml": "groups: [{name: g, rules: [{alert: A, expr: up}]}]\n"}, says: "rules/a.yml: does not end in a list of rules"},
		"something behind the list": {alert: "DiskFull", file: "a.yml", there: map[string]string{"rules/a.yml": group + "  - {alert: A, expr: up}\n  limit: 3\n"},
			says: "rules/a.yml: does not end in a list of rules"},
		"a second document": {alert: "DiskFull", file: "a.yml", there: map[string]string{"rules/a.yml": group + "  - {alert: A, expr: up}\n---\n"},
			says: "rules/a.yml: does not end in a list of rules"},
		"a test that cannot be added to": {alert: "DiskFull", file: "a.yml", there: map[string]string{
			"rules/a.yml": group + "  - {alert: A, expr: up}\n", "rules/a_test.yml": "rule_files: [a.yml]\ntests: []\n"},
			says: "rules/a_test.yml: does not end in a list of tests"},
		"a file for a folder": {alert: "DiskFull", there: map[string]string{"e2e": ""}, says: "e2e"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			t.Chdir(t.TempDir())
			for path, content := range c.there {
				writeFile(t, path, content)
			}
			before := tree(t)
			_, err := Alert(c.alert, c.file, folders)
			g.Expect(err).To(MatchError(ContainSubstring(c.says)))
			g.Expect(tree(t)).To(Equal(before))
		})
	}
}

func TestAFileThatIsEditedMeanwhileIsLeftAlone(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.WriteFile("a.yml", []byte("edited"), 0o640)).To(Succeed())
	before := tree(t)
	err := apply([]change{{path: "new/folder/b.md", new: []byte("b")}, {path: "a.yml", old: []byte("read"), new: []byte("added")}})
	g.Expect(err).To(MatchError("adding to a.yml: it was edited meanwhile"))
	g.Expect(tree(t)).To(Equal(before))

	err = apply([]change{{path: "a.yml", old: []byte("edited"), new: []byte("added")}, {path: "a.yml", new: []byte("x")}})
	g.Expect(err).To(MatchError(ContainSubstring("exists already")))
	g.Expect(tree(t)).To(Equal(before))
	info, err := os.Stat("a.yml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(info.Mode().Perm()).To(Equal(fs.FileMode(0o640)))
}

func FuzzAddToAList(f *testing.F) {
	f.Add([]byte("groups:\n- name: g\n  rules:\n  - {alert: A, expr: up}\n"))
	f.Add([]byte("groups:\n  -\n    name: g\n    rules:\n      - alert: A\n        expr: |+\n          up\n\n"))
	f.Add([]byte("groups:\r\n- rules:\r\n  - &a\r\n    x: *a"))
	f.Add([]byte("groups: &g\n- rules: *g\n"))
	f.Add([]byte("- groups"))
	path := filepath.Join(f.TempDir(), "rules.yml")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		l := list{path: path, item: []byte("      - alert: B\n        expr: up\n"), in: []string{"groups", "rules"}}
		changes, err := l.add()
		if err == nil && !strings.HasPrefix(string(changes[0].new), string(content)) {
			t.Errorf("%q became %q", content, changes[0].new)
		}
	})
}
