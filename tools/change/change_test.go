package change

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestMain(m *testing.M) {
	// A hook that runs the tests says in its environment which repository it is about.
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "GIT_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	os.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	var err error
	if templatesDir, err = os.MkdirTemp("", "change"); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(templatesDir)
	os.Exit(status)
}

const (
	tlsRules = "rules/tls.yml"
	tlsTests = "rules/tls_test.yml"
)

// projectFiles has two alerts that share a recording rule, which uses another, and one that stands alone.
var projectFiles = map[string]string{
	tlsRules: `# What pages us.
groups:
  - name: tls
    rules:
      - record: tls:seconds
        expr: min by (domain) (tls_expiry_seconds)
      - record: tls:days
        expr: tls:seconds / 86400
      - alert: Soon
        expr: tls:days < 7 # a week
        for: 1h
        labels: {severity: critical}
        annotations: {summary: soon}
      - alert: Expired
        expr: tls:seconds <= 0
`,
	"rules/backup.yml": `groups:
  - name: backup
    rules:
      - alert: BackupTooOld
        expr: time() - backup_timestamp_seconds > 26 * 3600
`,
	tlsTests: `rule_files: [tls.yml]
evaluation_interval: 1m
tests:
  - name: soon
    alert_rule_test:
      - {eval_time: 1h, alertname: Soon}
  - name: expired
    alert_rule_test:
      - {eval_time: 1h, alertname: Expired}
  - name: the days
    promql_expr_test:
      - {eval_time: 1h, expr: tls:days}
`,
	"runbooks/Soon.md":         "# Soon\n",
	"runbooks/Expired.md":      "# Expired\n",
	"runbooks/BackupTooOld.md": "# Backup too old\n",
	"runbooks/README.md":       "# Runbooks\n",
	"README.md":                "# Project\n",
	"tools/tool.go":            "package tool\n",
	"tools/testdata/input.md":  "input\n",
	"go.mod":                   "module project\n",
	".gitignore":               "/build/\n",
}

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// edit replaces what a file holds once.
func edit(t *testing.T, name, old, new string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), old) != 1 {
		t.Fatalf("%q stands %d times in %s", old, strings.Count(string(content), old), name)
	}
	write(t, name, strings.Replace(string(content), old, new, 1))
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// templates are repositories made so far, by the folder of the project: to copy one costs less than to make it.
var (
	templatesDir string
	templates    = map[string]string{}
)

// commit commits the project under a folder of a new repository, which becomes the working directory.
func commit(t *testing.T, folder string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if made := templates[folder]; made != "" {
		if err := os.CopyFS(".", os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
		return
	}
	git(t, "init", "--quiet", "--initial-branch=main")
	for name, content := range projectFiles {
		write(t, filepath.Join(folder, name), content)
	}
	git(t, "add", "--all")
	git(t, "commit", "--quiet", "--message=first")
	made := filepath.Join(templatesDir, fmt.Sprint(len(templates)))
	if err := os.CopyFS(made, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	templates[folder] = made
}

func since(t *testing.T, rev string) *Set {
	t.Helper()
	set, err := Since(t.Context(), rev, Inputs{Rules: "rules", Runbooks: "runbooks"})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// edited, written and removed are changes of one file.
func edited(name, old, new string) func(*testing.T) {
	return func(t *testing.T) { edit(t, name, old, new) }
}
func written(name, content string) func(*testing.T) {
	return func(t *testing.T) { write(t, name, content) }
}
func removed(name string) func(*testing.T) { return func(t *testing.T) { remove(t, name) } }

// changes are edits of the project, and the label filter for the specs that they call for.
var changes = map[string]struct {
	edit func(t *testing.T)
	want string
}{
	"nothing":     {func(*testing.T) {}, None},
	"a threshold": {edited(tlsRules, "< 7", "< 8"), "Soon"},
	"a severity":  {edited(tlsRules, "critical", "warning"), "Soon"},
	"a summary":   {edited(tlsRules, "summary: soon", "summary: very soon"), "Soon"},
	"comments and layout": {func(t *testing.T) {
		edit(t, tlsRules, "# What pages us.", "# What pages us, and what does not.")
		edit(t, tlsRules, "tls:days < 7 # a week", ">-\n          ( tls:days   <7\n          )")
		edit(t, tlsRules, "labels: {severity: critical}", "labels:\n          severity: \"critical\"")
	}, "Soon"}, // the parentheses are more than layout
	"comments and layout alone": {func(t *testing.T) {
		edit(t, tlsRules, "# What pages us.", "# What pages us, and what does not.")
		edit(t, tlsRules, "tls:days < 7 # a week", ">-\n          tls:days\n            <7")
		edit(t, tlsRules, "labels: {severity: critical}", "labels:\n          severity: \"critical\"")
		edit(t, tlsRules, "for: 1h", "for: 60m")
	}, None},
	"another order and another file": {func(t *testing.T) {
		expired := "      - alert: Expired\n        expr: tls:seconds <= 0\n"
		edit(t, tlsRules, expired, "")
		write(t, "rules/a.yml", "groups:\n  - name: another\n    rules:\n"+expired)
	}, None},
	"an alert before what it reads": {func(t *testing.T) {
		days := "      - record: tls:days\n        expr: tls:seconds / 86400\n"
		edit(t, tlsRules, days, "")
		edit(t, tlsRules, "        annotations: {summary: soon}\n", "        annotations: {summary: soon}\n"+days)
	}, "Soon"},
	"a recording rule before what it reads": {func(t *testing.T) {
		seconds := "      - record: tls:seconds\n        expr: min by (domain) (tls_expiry_seconds)\n"
		edit(t, tlsRules, seconds, "")
		edit(t, tlsRules, "expr: tls:seconds / 86400\n", "expr: tls:seconds / 86400\n"+seconds)
	}, "Soon"},
	"an order that does not matter": {func(t *testing.T) {
		expired := "      - alert: Expired\n        expr: tls:seconds <= 0\n"
		edit(t, tlsRules, expired, "")
		edit(t, tlsRules, "      - record: tls:days", expired+"      - record: tls:days")
	}, None},
	"the interval of a group": {edited(tlsRules, "- name: tls\n", "- name: tls\n    interval: 5m\n"), "Expired || Soon"},
	"a label of a group":      {edited("rules/backup.yml", "- name: backup\n", "- name: backup\n    labels: {team: storage}\n"), "BackupTooOld"},
	"files of other names": {func(t *testing.T) {
		for from, to := range map[string]string{"rules/backup.yml": "rules/storage.yml", "runbooks/Expired.md": "runbooks/Nobody.md"} {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}, "Expired"},
	"a recording rule":                  {edited(tlsRules, "/ 86400", "/ 3600"), "Soon"},
	"a recording rule under another":    {edited(tlsRules, "min by", "max by"), "Expired || Soon"},
	"a recording rule that nobody uses": {written("rules/more.yml", "groups:\n  - name: more\n    rules:\n      - record: more:up\n        expr: up\n"), None},
	"a runbook":                         {edited("runbooks/Expired.md", "# Expired", "# It has expired"), "Expired"},
	"a runbook that is gone":            {removed("runbooks/Expired.md"), "Expired"},
	"a runbook in a folder below": {func(t *testing.T) {
		write(t, "runbooks/tls/Expired.md", "# Expired\n")
		remove(t, "runbooks/Expired.md")
		write(t, "runbooks/.drafts/Soon.md", "# Soon\n")
	}, "Expired"},
	"a second runbook of an alert":        {written("runbooks/tls/Expired.md", "# Expired\n"), "Expired"},
	"a runbook of no alert":               {written("runbooks/Nobody.md", "# Nobody\n"), None},
	"a test group":                        {edited(tlsTests, "{eval_time: 1h, alertname: Soon}", "{eval_time: 2h, alertname: Soon}"), "Soon"},
	"the layout of a test":                {edited(tlsTests, "{eval_time: 1h, alertname: Soon}", "alertname: Soon\n        eval_time: 1h # enough"), None},
	"a test group of what an alert reads": {edited(tlsTests, "{eval_time: 1h, expr: tls:days}", "{eval_time: 2h, expr: tls:days}"), "Soon"},
	"the frame of a test file":            {edited(tlsTests, "evaluation_interval: 1m", "evaluation_interval: 2m"), "Expired || Soon"},
	"a test file that is gone":            {removed(tlsTests), "Expired || Soon"},
	"a new alert":                         {written("rules/new.yml", "groups:\n  - name: new\n    rules:\n      - alert: New\n        expr: up == 0\n"), "New"},
	"rules in another folder, in a manifest and in *.rules": {func(t *testing.T) {
		const manifest = "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nspec:\n  groups:\n    - name: new\n      partial_response_strategy: warn\n      rules:\n        - alert: "
		write(t, "rules/more/tls.yaml", manifest+"InManifest\n          expr: up == 0\n---\n"+manifest+"InSecond\n          expr: up == 0\n")
		write(t, "rules/more/new.rules", "groups:\n  - name: new\n    rules:\n      - alert: InRules\n        expr: up == 0\n")
		write(t, "rules/more/new_test.yml", "tests:\n  - alert_rule_test:\n      - {eval_time: 1h, alertname: Soon}\n")
	}, "InManifest || InRules || InSecond || Soon"},
	"a file among the rules that is none":    {written("rules/more/kustomization.yml", "resources: []\n"), Every},
	"an alert that is gone":                  {removed("rules/backup.yml"), "BackupTooOld"},
	"an alert of another name":               {edited("rules/backup.yml", "BackupTooOld", "BackupStale"), "BackupStale || BackupTooOld"},
	"an alert whose name no filter can hold": {edited("rules/backup.yml", "alert: BackupTooOld", "alert: 'Backup && old'"), Every},
	"an alert whose name is a filter":        {edited("rules/backup.yml", "alert: BackupTooOld", "alert: None"), Every},
	"documentation": {func(t *testing.T) {
		edit(t, "README.md", "# Project", "# The project")
		edit(t, "runbooks/README.md", "# Runbooks", "# The runbooks")
		write(t, "runbooks/FINDINGS.md", "# Findings\n")
		write(t, "docs/picture.png", "PNG")
		write(t, "rules/notes.md", "# Notes\n")
	}, None},
	"documentation and a rule": {func(t *testing.T) {
		edit(t, "README.md", "# Project", "# The project")
		edit(t, tlsRules, "< 7", "< 8")
	}, "Soon"},
	"the harness": {edited("go.mod", "module project", "module other"), Every},
	"a tool that is gone, and a rule": {func(t *testing.T) {
		remove(t, "tools/tool.go")
		edit(t, tlsRules, "< 7", "< 8")
	}, Every},
	"Markdown that a tool reads":  {edited("tools/testdata/input.md", "input", "other input"), Every},
	"a file that nobody knows":    {written("what is this", ""), Every},
	"files that git is to ignore": {written("build/firedrill", ""), None},
	"odd names": {func(t *testing.T) {
		alert := "groups:\n  - name: odd\n    rules:\n      - alert: Odd"
		for i, name := range []string{"a b", "\"'`$(x)", "new\nline", "-rf", "--", "é\xff", ":100644", "*"} {
			write(t, "rules/"+name+".yml", alert+string(rune('A'+i))+"\n        expr: up\n")
		}
	}, "OddA || OddB || OddC || OddD || OddE || OddF || OddG || OddH"},
}

func TestWhatAChangeTouches(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			commit(t, ".")
			change.edit(t)
			g.Expect(since(t, "HEAD").LabelFilter()).To(Equal(change.want), "as it stands")
			git(t, "add", "--all")
			git(t, "commit", "--quiet", "--allow-empty", "--message=second")
			g.Expect(since(t, "HEAD^").LabelFilter()).To(Equal(change.want), "committed")
		})
	}
}

func TestProjectBelowTheRoot(t *testing.T) {
	for _, name := range []string{"a threshold", "a runbook", "a test group", "documentation", "a file that nobody knows", "odd names"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			commit(t, "ops/[fire] drill*")
			t.Chdir("ops/[fire] drill*")
			change := changes[name]
			change.edit(t)
			g.Expect(since(t, "HEAD").LabelFilter()).To(Equal(change.want))
		})
	}
	t.Run("what is not ours", func(t *testing.T) {
		g := NewWithT(t)
		commit(t, "ops")
		write(t, "main.go", "package main\n")
		t.Chdir("ops")
		g.Expect(since(t, "HEAD").LabelFilter()).To(Equal(None))
		write(t, "../.github/workflows/ci.yml", "on: push\n")
		g.Expect(since(t, "HEAD").LabelFilter()).To(Equal(Every))
	})
	t.Run("seen from the root", func(t *testing.T) {
		g := NewWithT(t)
		commit(t, "ops")
		edit(t, "ops/"+tlsRules, "< 7", "< 8")
		set, err := Since(t.Context(), "HEAD", Inputs{Rules: "ops/rules", Runbooks: "ops/runbooks"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(set.LabelFilter()).To(Equal("Soon"))
	})
	t.Run("through a symbolic link", func(t *testing.T) {
		g := NewWithT(t)
		commit(t, "ops")
		wd, err := os.Getwd()
		g.Expect(err).NotTo(HaveOccurred())
		link := filepath.Join(t.TempDir(), "link")
		g.Expect(os.Symlink(filepath.Join(wd, "ops"), link)).To(Succeed())
		t.Chdir(link)
		edit(t, tlsRules, "< 7", "< 8")
		g.Expect(since(t, "HEAD").LabelFilter()).To(Equal("Soon"))
	})
}

// A file serves the alerts whose runbook_url leads to it, as it was and as it is.
func TestRunbooksOfManyAlerts(t *testing.T) {
	commit(t, ".")
	remove(t, "runbooks/Soon.md")
	remove(t, "runbooks/Expired.md")
	write(t, "runbooks/tls/all.md", "# TLS\n\n## Expired\n\n## Soon\n")
	edit(t, tlsRules, "summary: soon", "runbook_url: https://example.com/tls/all.md#soon")
	edit(t, tlsRules, "expr: tls:seconds <= 0\n", "expr: tls:seconds <= 0\n        annotations: {runbook_url: https://example.com/tls/all.md}\n")
	write(t, "rules/twice.yml", "groups:\n  - name: twice\n    rules:\n      - {alert: Twice, expr: up == 0, annotations: {runbook_url: https://example.com/tls/all.md}}\n      - {alert: Twice, expr: up == 1}\n")
	write(t, "runbooks/.drafts/BackupTooOld.md", "# Draft\n")
	git(t, "add", "--all")
	git(t, "commit", "--quiet", "--message=second")
	for name, c := range map[string]struct {
		edit func(t *testing.T)
		want string
	}{
		"nothing":                {func(*testing.T) {}, None},
		"a word":                 {edited("runbooks/tls/all.md", "# TLS", "# Certificates"), "Expired || Soon || Twice"},
		"a heading that is gone": {edited("runbooks/tls/all.md", "## Soon", "## Later"), "Expired || Soon || Twice"},
		"the file is gone":       {removed("runbooks/tls/all.md"), "Expired || Soon || Twice"},
		"a hidden one is gone":   {removed("runbooks/.drafts"), None},
		"one gets another":       {written("runbooks/Soon.md", "# Soon\n"), "Soon"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c.edit(t)
			set := since(t, "HEAD")
			g.Expect(set.LabelFilter()).To(Equal(c.want))
			g.Expect(set.others).To(BeEmpty())
			git(t, "checkout", "--quiet", ".")
			git(t, "clean", "--quiet", "--force")
		})
	}
}

func TestNoRunbooks(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	edit(t, "runbooks/Soon.md", "# Soon", "# Too soon")
	set, err := Since(t.Context(), "HEAD", Inputs{Rules: "rules"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.String()).To(Equal("no alert is touched\n"))
	remove(t, "runbooks")
	set, err = Since(t.Context(), "HEAD", Inputs{Rules: "rules", Runbooks: "runbooks"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.LabelFilter()).To(Equal("BackupTooOld || Expired || Soon"))
}

func TestNoFolderOfRules(t *testing.T) {
	commit(t, ".")
	_, err := Since(t.Context(), "HEAD", Inputs{Runbooks: "runbooks"})
	NewWithT(t).Expect(err).To(MatchError(HavePrefix(": cannot be read as a folder of rules")))
}

func TestOnlyTheBranchCounts(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	git(t, "checkout", "--quiet", "-b", "branch")
	edit(t, tlsRules, "<= 0", "< 0")
	git(t, "commit", "--quiet", "--all", "--message=ours")
	git(t, "checkout", "--quiet", "main")
	edit(t, "rules/backup.yml", "26", "48")
	git(t, "commit", "--quiet", "--all", "--message=theirs")
	git(t, "checkout", "--quiet", "branch")
	g.Expect(since(t, "main").LabelFilter()).To(Equal("Expired"))
}

func TestEveryStageOfAChange(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	edit(t, tlsRules, "< 7", "< 8")
	git(t, "add", "--all")
	g.Expect(since(t, "HEAD").LabelFilter()).To(Equal("Soon"), "in the index")
	git(t, "commit", "--quiet", "--message=second")
	g.Expect(since(t, "HEAD").LabelFilter()).To(Equal(None), "since itself")
	edit(t, tlsRules, "< 8", "< 7")
	g.Expect(since(t, "HEAD^").LabelFilter()).To(Equal(None), "changed back")
	g.Expect(since(t, "HEAD").LabelFilter()).To(Equal("Soon"))
}

func TestAlertsThatReadAlerts(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	write(t, "rules/meta.yml", `groups:
  - name: meta
    rules:
      - {alert: AnyOf, expr: 'count({__name__="ALERTS", alertname=~"Soon|Expired"}) > 1'}
      - {alert: Circle, expr: 'ALERTS{alertname="Circle"} or up == 0'}
      - {alert: All, expr: 'count({__name__=~"tls:.*"}) > 100'}
`)
	git(t, "add", "--all")
	git(t, "commit", "--quiet", "--message=second")
	edit(t, tlsRules, "<= 0", "< 0")
	g.Expect(since(t, "HEAD").LabelFilter()).To(Equal("AnyOf || Expired"))
	edit(t, tlsRules, "< 0", "<= 0")
	edit(t, tlsRules, "/ 86400", "/ 3600")
	g.Expect(since(t, "HEAD").LabelFilter()).To(Equal("All || AnyOf || Soon"))
}

func TestOldVersionsThatCannotBeRead(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	write(t, tlsRules, "groups: [")
	write(t, tlsTests, "tests: [")
	git(t, "commit", "--quiet", "--all", "--message=broken")
	write(t, tlsRules, projectFiles[tlsRules])
	write(t, tlsTests, projectFiles[tlsTests])
	set := since(t, "HEAD")
	g.Expect(set.LabelFilter()).To(Equal("Expired || Soon"))
	g.Expect(set.String()).To(Equal("Expired: it is new; its tests in \"tls_test.yml\" have changed\nSoon: it is new; its tests in \"tls_test.yml\" have changed\n"))
}

func TestReasons(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	g.Expect(since(t, "HEAD").String()).To(Equal("no alert is touched\n"))
	write(t, "runbooks/README.md", "# Runbooks")
	g.Expect(since(t, "HEAD").String()).To(Equal("no alert is touched\n"))
	write(t, "runbooks/Recovery.md", "# Recovery")
	g.Expect(since(t, "HEAD").String()).To(Equal("no alert: \"runbooks/Recovery.md\" has changed; if it is a procedure, firedrill drill rehearses it\n"))
	remove(t, "runbooks/Recovery.md")
	edit(t, tlsRules, "min by", "max by")
	edit(t, tlsRules, "< 7", "< 8")
	edit(t, "runbooks/Soon.md", "# Soon", "# Too soon")
	remove(t, "rules/backup.yml")
	g.Expect(since(t, "HEAD").String()).To(Equal("BackupTooOld: it is gone\n" +
		"Expired: a rule that it uses has changed\n" +
		"Soon: its rule has changed; its runbook has changed\n"))
	for _, name := range []string{"a\n::error::", "b", "c", "d", "e", "f", "g"} {
		write(t, name, "")
	}
	g.Expect(since(t, "HEAD").String()).To(HavePrefix("every alert: \"a\\n::error::\" is part of the harness\n"))
	g.Expect(since(t, "HEAD").String()).To(ContainSubstring("every alert: 2 more files\n"))
}

func TestTouches(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	edit(t, tlsRules, "<= 0", "< 0")
	edit(t, "runbooks/Soon.md", "# Soon", "# Too soon")
	write(t, "runbooks/Nobody.md", "# Nobody\n")
	set := since(t, "HEAD")
	for _, c := range []struct {
		file, alert string
		want        bool
	}{
		{tlsRules, "Expired", true},
		{"./" + tlsRules, "Expired", true},
		{"runbooks/Expired.md", "Expired", true}, // it may contradict the rule that has changed
		{tlsRules, "Soon", true},
		{tlsRules, "", true},
		{"rules/backup.yml", "BackupTooOld", false},
		{"rules/backup.yml", "", false},
		{"runbooks/Nobody.md", "Nobody", true},
		{"runbooks/README.md", "", false},
		{"/etc/passwd", "", false},
	} {
		g.Expect(set.Touches(c.file, c.alert)).To(Equal(c.want), "%s %s", c.file, c.alert)
	}
	absolute, err := filepath.Abs(tlsRules)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(set.Touches(absolute, "")).To(BeTrue())

	write(t, "go.sum", "")
	set = since(t, "HEAD")
	g.Expect(set.Touches("rules/backup.yml", "BackupTooOld")).To(BeTrue())
	g.Expect(set.harness).To(Equal([]string{"go.sum"}))
}

func TestUnusable(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T)
		rev     string
		says    string
	}{
		"a revision that is none":     {nil, "nowhere", `"nowhere" is no revision of the git repository `},
		"a revision like an option":   {nil, "--help", `"--help" is no revision`},
		"a revision of several words": {nil, "HEAD\nmain", `"HEAD\nmain" is no revision`},
		"no revision":                 {nil, "", `"" is no revision`},
		"a file":                      {nil, "HEAD:go.mod", `"HEAD:go.mod" is no revision`},
		"no repository":               {removed(".git"), "HEAD", "is in no git working tree: git rev-parse: not a git repository (or any of the parent directories): .git"},
		"no common history": {func(t *testing.T) {
			git(t, "checkout", "--quiet", "--orphan", "other")
			git(t, "commit", "--quiet", "--message=other")
		}, "main", `"main" and HEAD have no commit in common: fetch more of the history`},
		"no rules":             {removed("rules"), "HEAD", "rules: cannot be read as a folder of rules"},
		"a rule file":          {edited(tlsRules, "<= 0", "<="), "HEAD", "rules/tls.yml:15: the expression of Expired is not PromQL"},
		"a test":               {edited(tlsTests, "tests:", "\ttests:"), "HEAD", "rules/tls_test.yml:2: found a tab"},
		"a test of many":       {edited(tlsTests, "tests:", "- tests:"), "HEAD", "rules/tls_test.yml:"},
		"a folder for a test":  {func(t *testing.T) { remove(t, tlsTests); write(t, tlsTests+"/x", "") }, "HEAD", ""},
		"a runbook":            {written("runbooks/Soon.md", "# Soon \xff\n"), "HEAD", "runbooks/Soon.md:1"},
		"rules of another one": {func(t *testing.T) { remove(t, "rules"); _ = os.Symlink(t.TempDir(), "rules") }, "HEAD", "rules is outside of the git working tree"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			commit(t, ".")
			if c.prepare != nil {
				c.prepare(t)
			}
			_, err := Since(t.Context(), c.rev, Inputs{Rules: "rules", Runbooks: "runbooks"})
			g.Expect(err).To(MatchError(ContainSubstring(c.says)))
		})
	}
	t.Run("no git", func(t *testing.T) {
		g := NewWithT(t)
		commit(t, ".")
		t.Setenv("PATH", "")
		_, err := Since(t.Context(), "HEAD", Inputs{Rules: "rules", Runbooks: "runbooks"})
		g.Expect(err).To(MatchError(ContainSubstring("the git program is needed: ")))
	})
	t.Run("interrupted", func(t *testing.T) {
		g := NewWithT(t)
		commit(t, ".")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := Since(ctx, "HEAD", Inputs{Rules: "rules", Runbooks: "runbooks"})
		g.Expect(err).To(MatchError(context.Canceled))
	})
}

// The reader leaves the repository as it is.
func TestNothingIsWritten(t *testing.T) {
	g := NewWithT(t)
	commit(t, ".")
	edit(t, tlsRules, "< 7", "< 8")
	staged, status := git(t, "ls-files", "--stage"), git(t, "status", "--porcelain")
	since(t, "HEAD")
	g.Expect(git(t, "ls-files", "--stage")).To(Equal(staged))
	g.Expect(git(t, "status", "--porcelain")).To(Equal(status))
	g.Expect(os.ReadFile(tlsRules)).To(ContainSubstring("< 8"))
}
