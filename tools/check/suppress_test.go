package check

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestSuppressions(t *testing.T) {
	const broken = "for: 10s" // of CertificateExpiringSoon, a finding of header/duration on line 10
	unused := func(place string) string {
		return place + ": header/duration finds nothing that this comment covers: remove it, or put it right before what it is meant for"
	}
	const finding = `rules/shop.yml:%d:14 header/duration: CertificateExpiringSoon fires once its condition has lasted 10s, but its runbook says 1h (runbooks/CertificateExpiringSoon.md:6): write the same in both`
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"right before the rule":       {"      - alert: CertificateExpiringSoon", "      # firedrill: ignore header/duration -- a rehearsal\n      # of the rule\n      - alert: CertificateExpiringSoon", nil},
		"among its lines":             {"for: 1h", "# firedrill: ignore header/duration -- a rehearsal\n        for: 1h", nil},
		"behind the value":            {"for: 1h", "for: 1h # firedrill: ignore header/duration -- a rehearsal", nil},
		"in the expression":           {"            < 7", "            # firedrill: ignore header/duration -- a rehearsal\n            < 7", nil},
		"on top of the file":          {"groups:\n", "# Ours.\n\n# firedrill: ignore header/duration -- a rehearsal\n---\ngroups:\n", nil},
		"of another check":            {"for: 1h", "for: 1h # firedrill: ignore header/alert -- a rehearsal", []string{fmt.Sprintf(finding, 10), strings.Replace(unused("rules/shop.yml:10:20 suppression/unused"), "header/duration", "header/alert", 1)}},
		"before another rule":         {"      - alert: BackupTooOld", "      # firedrill: ignore header/duration -- a rehearsal\n      - alert: BackupTooOld", []string{fmt.Sprintf(finding, 10), unused("rules/shop.yml:20:9 suppression/unused")}},
		"before the rules of a group": {"    rules:", "    # firedrill: ignore header/duration -- a rehearsal\n    rules:", []string{unused("rules/shop.yml:5:7 suppression/unused"), fmt.Sprintf(finding, 11)}},
		"without a reason":            {"for: 1h", "for: 1h # firedrill: ignore header/duration", []string{fmt.Sprintf(finding, 10), `rules/shop.yml:10:20 suppression/reason: header/duration is not suppressed, since the comment gives no reason: write " -- " and the reason after its name`}},
		"with an empty reason":        {"for: 1h", "for: 1h # firedrill: ignore header/duration -- ", []string{fmt.Sprintf(finding, 10), `rules/shop.yml:10:20 suppression/reason: header/duration is not suppressed, since the comment gives no reason: write " -- " and the reason after its name`}},
		"of an unknown check":         {"for: 1h", "for: 1h # firedrill: ignore header/durations -- x", []string{fmt.Sprintf(finding, 10), `rules/shop.yml:10:20 suppression/unknown: there is no check "header/durations": name one that firedrill check --list lists, such as header/duration`}},
		"of no check":                 {"for: 1h", "for: 1h # firedrill: ignore", []string{fmt.Sprintf(finding, 10), `rules/shop.yml:10:20 suppression/unknown: "firedrill: ignore" is not understood: write "firedrill: ignore", the name of a check, " -- " and the reason`}},
		"of itself":                   {"for: 1h", "for: 1h # firedrill: ignore suppression/unused -- x", []string{fmt.Sprintf(finding, 10), strings.Replace(unused("rules/shop.yml:10:20 suppression/unused"), "header/duration", "suppression/unused", 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			copyGood(t)
			edit(t, rules, tc.old, tc.new)
			edit(t, rules, "for: 1h", broken)
			NewWithT(t).Expect(run(t)).To(Equal(tc.want))
		})
	}
}

func TestSuppressionsInARunbook(t *testing.T) {
	const comment = "<!-- firedrill: ignore runbook/program -- comes with the next image -->"
	const found = `runbooks/BackupTooOld.md:%d:%d runbook/program: the host has no program "nope": fix the name, or install it and add it to programs.txt`
	const unused = `runbooks/BackupTooOld.md:%d:6 suppression/unused: runbook/program finds nothing that this comment covers: remove it, or put it right before what it is meant for`
	for name, tc := range map[string]struct {
		old, new string
		want     []string
	}{
		"before the fence":              {"```bash\n", comment + "\n```bash\n", nil},
		"before the fence, and a blank": {"```bash\n", comment + "\n\n```bash\n", nil},
		"with another before the fence": {"```bash\n", comment + "\n<!-- why -->\n\n```bash\n", nil},
		"before the heading":            {"### If", comment + "\n### If", nil},
		"before a heading further up":   {"## Resolution", comment + "\n\n## Resolution", nil},
		"in the heading":                {"### If the timer was stopped", "### If the timer was stopped " + comment, nil},
		"on top of the file":            {"# Backup", comment + "\n\n# Backup", nil},
		"before a paragraph":            {"### If", comment + "\n\nText.\n\n### If", []string{fmt.Sprintf(unused, 12), fmt.Sprintf(found, 19, 1)}},
		"before another heading":        {"## Resolution", comment + "\n\n## Prevention\n\nNone.\n\n## Resolution", []string{fmt.Sprintf(unused, 10), fmt.Sprintf(found, 21, 1)}},
		"behind all else":               {"start shop-backup.service\n```\n", "start shop-backup.service\n```\n\n" + comment + "\n", []string{fmt.Sprintf(found, 15, 1), fmt.Sprintf(unused, 18)}},
		"in a fence that is shown":      {"### If", "```text\n" + comment + "\n```\n\n### If", []string{fmt.Sprintf(found, 19, 1)}},
		"in a list, before its fence":   {"```bash\nsystemctl start shop-backup.service\n```", "1. Do:\n\n   " + comment + "\n   ```bash\n   systemctl start shop-backup.service\n   ```\n", nil},
		"in a list, its fence outside":  {"```bash\n", "1. Do:\n\n   " + comment + "\n\n```bash\n", []string{fmt.Sprintf(strings.Replace(unused, ":6 ", ":9 ", 1), 16), fmt.Sprintf(found, 19, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			copyGood(t)
			edit(t, backup, tc.old, tc.new)
			edit(t, backup, "systemctl start", "nope start")
			NewWithT(t).Expect(run(t)).To(Equal(tc.want))
		})
	}
}

func TestASuppressionOfWhatCouldNotRunIsNotUnused(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	for _, name := range []string{"route/receiver", "runbook/program", "runbook/spec"} {
		edit(t, backup, "# Backup", "<!-- firedrill: ignore "+name+" -- for a while -->\n# Backup")
	}
	edit(t, rules, "groups:", "# firedrill: ignore route/receiver -- for a while\n# firedrill: ignore header/duration -- so be it\n# firedrill: ignore trigger/threshold -- so be it\ngroups:")
	g.Expect(run(t)).To(HaveLen(6))
	g.Expect(runOn(t, Inputs{Rules: "rules", Runbooks: "runbooks"})).To(HaveLen(2))
	g.Expect(runOn(t, Inputs{Rules: "rules"})).To(BeEmpty())
}

func TestSuppressionsInAManifest(t *testing.T) {
	g := NewWithT(t)
	content := "apiVersion: monitoring.coreos.com/v1\nspec:\n  groups:\n  - name: a\n    rules:\n    # firedrill: ignore a/b -- c\n    - record: x\n      expr: y\n  - name: b\n    rules:\n    - alert: z\n      expr: y # firedrill: ignore a/b -- c\n"
	found := yamlSuppressions(content)
	g.Expect(found).To(HaveLen(2))
	g.Expect([]int{found[0].from, found[0].to, found[1].from, found[1].to}).To(Equal([]int{7, 8, 11, math.MaxInt}))
}

func FuzzSuppressions(f *testing.F) {
	rules, err := os.ReadFile("testdata/good/rules/shop.yml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.Replace(string(rules), "groups:", "# firedrill: ignore a/b -- c\ngroups:", 1))
	f.Add("a:\n- rules: [{x: y}, # firedrill: ignore a\n]")
	f.Add("# T <!-- firedrill: ignore a/b -- c -->\n\n- x\n\n  <!-- firedrill: ignore a/b -->\n  > ```bash\n")
	f.Add("<!-- firedrill: x --><!-- firedrill: y -->\r\n\t- <!--\nfiredrill: z -->")
	f.Fuzz(func(t *testing.T, content string) {
		lines := strings.Split(content, "\n")
		for _, found := range [][]suppression{yamlSuppressions(content), markdownSuppressions([]byte(content))} {
			for _, s := range found {
				if s.line < 1 || s.line > len(lines) || s.column < 1 || s.end < s.column || s.from > s.to || s.from < 0 {
					t.Errorf("%+v", s)
				}
			}
		}
	})
}
