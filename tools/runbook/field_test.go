package runbook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// branchesOf lists the branches, each with its line and the sources of its steps.
func branchesOf(r *Runbook) string {
	var all []string
	for _, b := range r.Branches() {
		all = append(all, fmt.Sprintf("%s:%d%q", b.Name, b.Line, sources(b)))
	}
	return strings.Join(all, " ")
}

func TestSections(t *testing.T) {
	const step = "\n```sh\ntrue\n```\n"
	for name, c := range map[string]struct {
		src  string
		g    Grammar
		want string
	}{
		"one branch":          {"## Mitigation\n" + step, Grammar{}, `Mitigation:3["true"]`},
		"another word":        {"## FIX:\n" + step, Grammar{}, `FIX::3["true"]`},
		"its own word":        {"## Heilung\n" + step, Grammar{Sections: Sections{Resolution: []string{"heilung"}}}, `Heilung:3["true"]`},
		"an unknown word":     {"## Heilung\n" + step, Grammar{}, ""},
		"branches":            {"## Remediation\n\n### A\n" + step + "#### Then\n" + step + "### B\n" + step, Grammar{}, `A:5["true" "true"] B:15["true"]`},
		"a level left out":    {"## Mitigation\n\n#### A\n" + step + "#### B\n" + step, Grammar{}, `A:5["true"] B:10["true"]`},
		"two resolutions":     {"## Mitigation\n" + step + "## Resolution\n\n### A\n" + step, Grammar{}, `Mitigation:3["true"] A:10["true"]`},
		"a deeper one":        {"## Notes\n\n### Fix\n\n## Mitigation\n" + step, Grammar{}, `Mitigation:7["true"]`},
		"only a deeper one":   {"## Notes\n\n### Fix\n" + step, Grammar{}, `Fix:5["true"]`},
		"the title is no one": {"## Notes\n", Grammar{Sections: Sections{Resolution: []string{"T"}}}, ""},
	} {
		r, err := Parse("X.md", []byte("# T\n\n"+c.src), c.g)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, branchesOf(r), c.want)
	}
}

func TestInvestigation(t *testing.T) {
	for name, c := range map[string]struct {
		src, want string
	}{
		"the first of the words": {"## Diagnosis\n\n## Investigation Steps\n\n```bash\ntrue\n```\n", `Investigation Steps:5["true"]`},
		"letter case":            {"## debugging\n\n```bash\ntrue\n```\n", `debugging:3["true"]`},
		"a setting before them":  {"## Diagnosis\n\n## Look\n", `Look:5[]`},
		"none":                   {"## Meaning\n", ":0[]"},
		"a placeholder in it":    {"## Diagnosis\n\n```bash\nping <host>\n```\n", `X.md:6:6: placeholder ("<host>"): a step is run as written; the alert's labels are shell variables, so "$host" for the label host`},
	} {
		r, err := Parse("X.md", []byte("# T\n\n"+c.src), Grammar{Sections: Sections{Investigation: []string{"Look"}}})
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.Investigation()
		got := fmt.Sprintf("%s:%d%q", b.Name, b.Line, sources(b))
		if err != nil {
			got = err.Error()
		}
		equal(t, name, got, c.want)
	}
}

func TestABranchWithAProblemIsNotFollowed(t *testing.T) {
	r, err := Parse("X.md", []byte("# T\n\n## Mitigation\n\n### A\n\n```bash\ntrue\n```\n\n### B\n\n```bash\nfi\n```\n"), Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Branch("A"); err != nil {
		t.Error(err)
	}
	if _, err := r.Branch("B"); err == nil || !strings.HasPrefix(err.Error(), `X.md:14:1: shell syntax error ("fi")`) {
		t.Error(err)
	}
}

func TestFrontMatter(t *testing.T) {
	for name, c := range map[string]struct{ src, title, branches, problems string }{
		"YAML":       {"---\ntitle: \"Node Down\"\nweight: 20\n---\n\n## Fix\n\n```bash\ntrue\n```\n", "Node Down", `Fix:6["true"]`, ""},
		"TOML":       {"+++\r\ntitle = 'Node'\r\n+++\r\n# Other\r\n## Fix\r\n```bash\r\ntrue\r\n```\r\n", "Other", `Fix:5["true"]`, ""},
		"not closed": {"---\ntitle: X\n\n# T\n\n## Fix\n\n```bash\ntrue\n```\n", "T", `Fix:6["true"]`, ""},
		"a problem":  {"---\ntitle: X\n---\n## Fix\n```bash\nfi\n```\n", "X", `Fix:4["fi"]`, "X.md:6:1: shell syntax error (\"fi\"): `fi` can only be used to end an `if`"},
		"a header":   {"---\ntitle: X\n---\n- **Severity:** page\n\n## Fix\n```bash\ntrue\n```\n", "X", `Fix:6["true"]`, ""},
	} {
		r, err := parseAll(c.src)
		problems := ""
		if err != nil {
			problems = err.Error()
		}
		equal(t, name+", problems", problems, c.problems)
		equal(t, name+", title", r.Title, c.title)
		equal(t, name+", branches", branchesOf(r), c.branches)
		if name == "a header" && (r.Header.Severity != "page" || r.Header.SeverityLine != 4) {
			t.Errorf("header %+v", r.Header)
		}
	}
}

func TestSessions(t *testing.T) {
	for name, c := range map[string]struct{ language, code, want string }{
		"a prompt":              {"console", "$ a\nout\n$ b", "3: a||b"},
		"root's":                {"console", "# a\nout\n# b", "3: a||b"},
		"a comment beside":      {"console", "# why\n$ a", "4: a"},
		"a continuation":        {"console", "$ a \\\n> b\nout", "3: a \\|b"},
		"a here-document":       {"console", "$ cat <<E\nx\nE\nout\n", "3: cat <<E|x|E"},
		"a quotation":           {"console", "$ a 'x\ny'\nout", "3: a 'x|y'"},
		"a placeholder":         {"console", "$ a <b>\nout", "3: a <b>"},
		"an indented prompt":    {"console", "  $ a\nout", "3: a"},
		"output":                {"console", "out", ""},
		"shell without prompts": {"shell", "a\nb", "3: a|b"},
		"shell with comments":   {"shell", "# why\na", "3: # why|a"},
		"shell as root":         {"shell", "# a\n# b", "3: a|b"},
	} {
		src := "# T\n```" + c.language + "\n" + c.code + "\n```\n"
		for _, g := range []Grammar{{}, {Steps: []string{"shell", "console"}}} {
			r, err := Parse("X.md", []byte(src), g)
			if err != nil {
				t.Fatal(err)
			}
			steps, others := r.Steps(), r.Shown()
			if g.Steps == nil {
				steps, others = others, steps
			}
			got := ""
			for _, s := range steps {
				got += fmt.Sprintf("%d: %s", s.Line, strings.ReplaceAll(s.Source, "\n", "|"))
			}
			equal(t, fmt.Sprint(name, g.Steps), got, c.want)
			if len(others) > 0 {
				t.Errorf("%s: others %+v", name, others)
			}
		}
	}
}

func TestAPromptInBash(t *testing.T) {
	r, err := Parse("X.md", []byte("# T\n\n- A\n  ```bash\n  # the nodes\n  $ get nodes\n  x\n  ```\n\n```sh\nping <node-name>\n```\n"), Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Problems {
		got = append(got, p.Check+" "+p.Error())
	}
	equal(t, "the problems", got, []string{
		`runbook/shell X.md:6:5: a prompt in a step ("$ get nodes"), which is typed as it is written: remove the prompts, and the output; or write console after the marks, for prose`,
		`runbook/placeholder X.md:11:6: placeholder ("<node-name>"): a step is run as written; the step on line 6, which lists nodes, could set $node_name for it`,
	})
}

func TestAPlaceholderThatAStepSets(t *testing.T) {
	_, err := parseAll("# T\n\n## Fix\n\n```bash\nPOD=$(x)\n```\n\n```bash\necho <pod-name>\n```\n")
	if want := `X.md:10:6: placeholder ("<pod-name>"): a step is run as written; write "$POD", which the step on line 6 sets`; err == nil || err.Error() != want {
		t.Error(err)
	}
	_, err = parseAll("# T\n\n## Fix\n\n```bash\necho <value of pod label from alert>\n```\n")
	if err == nil || !strings.HasSuffix(err.Error(), `so "$pod" for the label pod`) {
		t.Error(err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	const book = "# T\n\n## Fix\n\n```bash\ntrue\n```\n"
	for path, text := range map[string]string{
		"README.md": "\xff", ".git/Down.md": "\xff", "FINDINGS.md": "\xff",
		"node/Down.md": book, "node/Twice.md": book, "db/Twice.md": book, "disk/index.md": book, "net/_index.md": book, "old/Slow.md": book, "Slow.md": book,
		"db/all.md": "# All\n\n## If `Db` Down!\n\n- **Severity:** page\n\n### Fix\n\n```bash\nfalse\n```\n\n## Db Slow\n\n### Diagnosis\n\n```bash\ntrue\n```\n\n### Fix\n\n#### A\n\n```bash\necho <b>\n```\n",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ReadFolder(dir, Grammar{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ alert, url, want string }{
		"by name":               {"Down", "", `node/Down.md T Fix:3["true"]`},
		"by name, whatever url": {"Down", "https://x/db/all.md", `node/Down.md T Fix:3["true"]`},
		"two of the name":       {"Twice", "", "Twice has several runbooks, DIR/db/Twice.md and DIR/node/Twice.md: leave one of that name, or have its runbook_url lead to one"},
		"two, and a url":        {"Twice", "https://x/runbooks/node/twice/", `node/Twice.md T Fix:3["true"]`},
		"the shorter path":      {"Other", "https://x/runbooks/Slow.md", `Slow.md T Fix:3["true"]`},
		"by url":                {"Other", "https://x/blob/main/runbooks/node/Down.md", `node/Down.md T Fix:3["true"]`},
		"by url without .md":    {"Other", "https://x/runbooks/node/down", `node/Down.md T Fix:3["true"]`},
		"the page of a folder":  {"Other", "https://x/disk/", `disk/index.md T Fix:3["true"]`},
		"another kind of page":  {"Other", "https://x/net/_index.md", `net/_index.md T Fix:3["true"]`},
		"a folder of the name":  {"disk", "", `disk/index.md T Fix:3["true"]`},
		"a section":             {"DbDown", "https://x/db/all.md#if-db-down", "db/all.md If Db Down! Fix:7[\"false\"]"},
		"another section":       {"DbSlow", "https://x/all#db-slow", `db/all.md Db Slow A:23["echo <b>"]`},
		"no such section":       {"DbGone", "https://x/db/all.md#db-gone", `the runbook_url of DbGone leads to no heading of db/all.md ("#db-gone"): its headings are #all, #if-db-down, #fix, #db-slow, #diagnosis, #fix-1, #a`},
		"none":                  {"Gone", "https://x/gone.md", "Gone has no runbook: write DIR/Gone.md"},
		"letter case":           {"down", "", "down has no runbook (node/Down.md differs in upper and lower case): write DIR/down.md"},
	} {
		r, err := f.For(c.alert, c.url)
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), dir, "DIR")
		} else {
			got = f.Rel(r) + " " + r.Title + " " + branchesOf(r)
		}
		equal(t, name, got, c.want)
	}

	down, _ := f.For("DbDown", "https://x/db/all.md#if-db-down")
	if down.Header.Severity != "page" || down.Investigates() || len(down.Steps()) != 1 || len(down.Problems) != 0 {
		t.Errorf("header %+v, problems %v", down.Header, down.Problems)
	}
	slow, _ := f.For("DbSlow", "https://x/db/all.md#db-slow")
	if b, err := slow.Investigation(); err != nil || fmt.Sprint(sources(b)) != "[true]" || slow.Header.Severity != "" || len(slow.Problems) != 1 {
		t.Errorf("%+v, error %v, problems %v", b, err, slow.Problems)
	}
}
