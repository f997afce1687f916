package check

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

func TestSpecs(t *testing.T) {
	const text = "# T\n\n- **Severity:** s\n- **Alert:** A\n- **Trigger:** x\n- **Duration:** 0s\n\n## Resolution\n\n### One\n\n```bash\ntrue\n```\n\n### Two\n\n```bash\ntrue\n```\n"
	r, err := runbook.Parse("A.md", []byte(text), runbook.Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	runbooks := books{of: map[string]*runbook.Runbook{"A": r}}
	alerts := []rule.Alert{{Name: "A"}, {Name: "B"}}
	for name, tc := range map[string]struct {
		source string
		one    bool // whether it names the branch One of A
	}{
		"a case of a table":             {`var x = []c{{"A", "One"}, {"B", "Two"}}`, true},
		"a case of another alert":       {`var x = []c{{"B", "One"}, {"A", "Three"}}`, false},
		"a map of cases":                {`var x = map[string]c{"A": {branch: "One"}}`, true},
		"a map of lists":                {`var x = map[string][]string{"A": {"Two", "One"}}`, true},
		"a Describe":                    {`var _ = Describe("A", func() { It("works", func() { b.Branch("One") }) })`, true},
		"a Describe of another alert":   {`var _ = Describe("B", func() { It("works", func() { b.Branch("One") }) }); var _ = Describe("A", func() {})`, false},
		"a call":                        {"func f() { follow(\"A\", `One`) }", true},
		"names apart":                   {`func f() { follow("A"); follow("One") }`, false},
		"a drill":                       {`var x = Drill{Alert: "A", Branch: "One", Also: []string{"B"}}`, true},
		"a drill of another alert":      {`var x = Drill{Alert: "B", Branch: "One", Also: []string{"A"}}`, false},
		"a constant":                    {`const alert = "A"; var x = c{alert, "One"}`, true},
		"a part of a name":              {`var x = c{"A", "One or another"}`, false},
		"a comment":                     {`// "A", "One"`, false},
		"a branch that is not named":    {`var x = c{"A"}`, false},
		"the nearest of several alerts": {`var _ = Describe("B", func() { f("A", "One") })`, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			g.Expect(os.MkdirAll(filepath.Join(dir, "tls"), 0o755)).To(Succeed())
			g.Expect(os.WriteFile(filepath.Join(dir, "tls", "x_test.go"), []byte("package tls\n"+tc.source+"\n"), 0o644)).To(Succeed())
			s, err := loadSpecs(dir, nil, alerts, runbooks)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.named[[2]string{"A", "One"}]).To(Equal(tc.one))
		})
	}
}

// Drills in a file are in the place of specs. A procedure has none.
func TestDrills(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	in := all
	in.Specs, in.Drills = "firedrill.yml", [][2]string{{"CertificateExpiringSoon", "If Using Let's Encrypt"}, {"Other", "If the timer was stopped"}}
	stopped := backup + `:12:5 runbook/spec: no drill in firedrill.yml follows the branch "If the timer was stopped" of BackupTooOld: ` +
		`add one, as in {alert: BackupTooOld, branch: "If the timer was stopped", fault: {kill: web}}`
	g.Expect(runOn(t, in)).To(Equal([]string{stopped}))
	in.Drills = [][2]string{}
	g.Expect(runOn(t, in)).To(HaveExactElements(Equal(stopped), ContainSubstring(`the branch "If Using Let's Encrypt" of CertificateExpiringSoon: add one`)))
	in.Drills = append(in.Drills, [2]string{"CertificateExpiringSoon", "If Using Let's Encrypt"}, [2]string{"BackupTooOld", "If the timer was stopped"})
	g.Expect(runOn(t, in)).To(BeEmpty())
}

// The rules that have been read are the ones that are checked.
func TestRulesThatWereRead(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	set, err := rule.ReadFiles(".", []string{rules})
	g.Expect(err).NotTo(HaveOccurred())
	in := all
	in.Rules, in.Set = "rules/*.yml", &set
	g.Expect(runOn(t, in)).To(BeEmpty())
	g.Expect(os.WriteFile("runbooks/Gone.md", []byte("# Gone\n"), 0o644)).To(Succeed())
	g.Expect(runOn(t, in)).To(ContainElement(ContainSubstring("no rule in rules/*.yml raises an alert Gone")))
}

func TestUnusableSpecs(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	_, err := loadSpecs("nowhere", nil, nil, books{})
	g.Expect(err).To(MatchError("reading the specs: lstat nowhere: no such file or directory"))
	g.Expect(os.WriteFile("x.go", []byte("package x\nfunc {\n"), 0o644)).To(Succeed())
	_, err = loadSpecs(".", nil, nil, books{})
	g.Expect(err).To(MatchError("x.go:2:6: expected 'IDENT', found '{': fix it so that it compiles"))
	g.Expect(os.Rename("x.go", "x.txt")).To(Succeed())
	s, err := loadSpecs(".", nil, nil, books{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s.named).To(BeEmpty())
}

func TestUnusablePrograms(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	g.Expect(os.WriteFile("empty.txt", []byte("# none\n\n"), 0o644)).To(Succeed())
	g.Expect(os.WriteFile("paths.txt", []byte("ls\n/bin/ls\n"), 0o644)).To(Succeed())
	for file, want := range map[string]string{
		"none.txt":  "reading the host's programs: open none.txt: no such file or directory",
		".":         ".: not a regular file: name a file with the host's programs, one a line",
		"empty.txt": "empty.txt: names no program: write the host's programs, one a line",
		"paths.txt": `paths.txt:2: not the name of a program ("/bin/ls"): write one name a line, without its folder`,
	} {
		_, err := loadPrograms(file)
		g.Expect(err).To(MatchError(want))
	}
}
