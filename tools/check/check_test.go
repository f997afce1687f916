package check

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/stemedb/firedrill/tools/rule"
)

const (
	rules   = "rules/shop.yml"
	soon    = "runbooks/CertificateExpiringSoon.md"
	backup  = "runbooks/BackupTooOld.md"
	routes  = "alertmanager.yml"
	host    = "programs.txt"
	drills  = "e2e/drills_test.go"
	stray   = "runbooks/Gone.md"
	rescue  = "runbooks/DisasterRecovery.md"
	removed = "\x00" // in place of a file's new text
)

// copyGood makes a copy of the good set the working directory.
func copyGood(t *testing.T) {
	t.Helper()
	good := os.DirFS("testdata/good")
	dir := t.TempDir()
	if err := os.CopyFS(dir, good); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// edit replaces text in a file of the working directory; an empty old stands for all of it.
func edit(t *testing.T, file, old, new string) {
	t.Helper()
	if new == removed {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		return
	}
	content, err := os.ReadFile(file)
	if err != nil && old != "" {
		t.Fatal(err)
	}
	text := new
	if old != "" {
		if strings.Count(string(content), old) != 1 {
			t.Fatalf("%q stands %d times in %s", old, strings.Count(string(content), old), file)
		}
		text = strings.Replace(string(content), old, new, 1)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// all is all inputs of the good set.
var all = Inputs{Rules: "rules", Runbooks: "runbooks", Alertmanager: routes, Programs: host, Specs: "e2e"}

func run(t *testing.T) []string {
	t.Helper()
	return runOn(t, all)
}

func runOn(t *testing.T, in Inputs) []string {
	t.Helper()
	findings, _, err := Run(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range findings {
		found = append(found, fmt.Sprintf("%s:%d:%d %s: %s", f.File, f.Line, f.Column, f.Check, f.Message))
	}
	return found
}

func TestGood(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	findings, set, err := Run(t.Context(), all)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(findings).To(BeEmpty())
	g.Expect(set.Alerts).To(HaveLen(2))

	g.Expect(runOn(t, Inputs{Rules: "rules", Runbooks: "runbooks"})).To(BeEmpty(), "without what is optional")
	g.Expect(os.RemoveAll("runbooks")).To(Succeed())
	g.Expect(runOn(t, Inputs{Rules: "rules"})).To(BeEmpty(), "without runbooks")
}

func TestFindings(t *testing.T) {
	for name, tc := range map[string]struct {
		file, old, new string
		want           []string
	}{
		"threshold 7 to 70": {rules, "< 7 * 86400", "< 70 * 86400", []string{
			`rules/shop.yml:9:15 trigger/threshold: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds < 70 * 86400, that is 70 days, but its runbook's trigger says "within 7 days" (runbooks/CertificateExpiringSoon.md:5:53): write the same in both`,
			`rules/shop.yml:9:15 trigger/threshold: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds < 70 * 86400, that is 70 days, but its summary says "less than 7 days" (rules/shop.yml:14:71): write the same in both`,
		}},
		"threshold 7 to 0.7": {rules, "< 7 * 86400", "< 0.7 * 86400", []string{
			`rules/shop.yml:9:15 trigger/threshold: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds < 0.7 * 86400, that is 0.7 days, but its runbook's trigger says "within 7 days" (runbooks/CertificateExpiringSoon.md:5:53): write the same in both`,
			`rules/shop.yml:9:15 trigger/threshold: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds < 0.7 * 86400, that is 0.7 days, but its summary says "less than 7 days" (rules/shop.yml:14:71): write the same in both`,
		}},
		"threshold in another form": {rules, "< 7 * 86400", "< 604800", nil},
		"threshold as a duration":   {rules, "< 7 * 86400", "< 1w", nil},
		"< to >": {rules, "< 7 * 86400", "> 7 * 86400", []string{
			`rules/shop.yml:9:15 trigger/direction: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds > 7 * 86400, that is above 7 days, but its runbook's trigger says "within 7 days" (runbooks/CertificateExpiringSoon.md:5:53), that is below: reverse the comparison, or fix the text`,
			`rules/shop.yml:9:15 trigger/direction: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds > 7 * 86400, that is above 7 days, but its summary says "less than 7 days" (rules/shop.yml:14:71), that is below: reverse the comparison, or fix the text`,
		}},
		"> to <": {rules, "> 26 * 3600", "< 26 * 3600", []string{
			`rules/shop.yml:21:69 trigger/direction: BackupTooOld fires at time() - shop_backup_last_success_timestamp_seconds < 26 * 3600, that is below 26 hours, but its summary says "older than 26 hours" (rules/shop.yml:26:44), that is above: reverse the comparison, or fix the text`,
		}},
		"for 10s": {rules, "for: 1h", "for: 10s", []string{
			`rules/shop.yml:10:14 header/duration: CertificateExpiringSoon fires once its condition has lasted 10s, but its runbook says 1h (runbooks/CertificateExpiringSoon.md:6): write the same in both`,
		}},
		"for 3h": {rules, "for: 1h", "for: 3h", []string{
			`rules/shop.yml:10:14 header/duration: CertificateExpiringSoon fires once its condition has lasted 3h, but its runbook says 1h (runbooks/CertificateExpiringSoon.md:6): write the same in both`,
		}},
		"no for": {rules, "        for: 1h\n", "", []string{
			`rules/shop.yml:6:16 header/duration: CertificateExpiringSoon fires at once, but its runbook says 1h (runbooks/CertificateExpiringSoon.md:6): write the same in both`,
		}},
		"runbook_url to nowhere": {rules, "blob/main/runbooks/BackupTooOld.md", "blob/main/runbooks/BackupTooOldd.md", []string{
			`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld leads nowhere ("/shop/blob/main/runbooks/BackupTooOldd.md"): make it end in runbooks/BackupTooOld.md`,
		}},
		"runbook_url to another runbook": {rules, "blob/main/runbooks/BackupTooOld.md", "blob/main/runbooks/CertificateExpiringSoon.md", []string{
			`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld leads to the runbook of CertificateExpiringSoon: make it end in runbooks/BackupTooOld.md`,
		}},
		"runbook_url outside runbooks": {rules, "blob/main/runbooks/BackupTooOld.md", "blob/main/docs/BackupTooOld.md", []string{
			`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld leads nowhere ("/shop/blob/main/docs/BackupTooOld.md"): make it end in runbooks/BackupTooOld.md`,
		}},
		"runbook_url without host": {rules, "https://git.example.com/shop/blob/main/runbooks/BackupTooOld.md", "runbooks/BackupTooOld.md", []string{
			`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld is not a link that can be opened ("runbooks/BackupTooOld.md"): write https://…/runbooks/BackupTooOld.md`,
		}},
		"runbook_url of another kind": {rules, "https://git.example.com/shop/blob/main/runbooks/BackupTooOld.md", "ftp://example.com/runbooks/BackupTooOld.md", []string{
			`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld is not a link that can be opened ("ftp://example.com/runbooks/BackupTooOld.md"): write https://…/runbooks/BackupTooOld.md`,
		}},
		"a linked heading renamed": {soon, "### If Using Let's Encrypt", "### If Using ACME", []string{
			`rules/shop.yml:18:24 runbook/url: the runbook_url of CertificateExpiringSoon leads to no heading of CertificateExpiringSoon.md ("#if-using-lets-encrypt"): its headings are #certificate-expiring-soon, #resolution, #if-using-acme`,
			`runbooks/CertificateExpiringSoon.md:12:5 runbook/spec: no spec in e2e follows the branch "If Using ACME" of CertificateExpiringSoon: write one that names both`,
		}},
		"a severity without a route": {rules, "severity: warning", "severity: nobody", []string{
			`alertmanager.yml:6:7 route/unreached: no alert reaches this route (severity="warning"): none has severity="warning", their severity is critical, nobody: fix the value, or remove the route`,
			`rules/shop.yml:24:21 header/severity: BackupTooOld has severity "nobody", but its runbook says "warning" (runbooks/BackupTooOld.md:3): write the same in both`,
			`rules/shop.yml:24:21 route/receiver: no notification of BackupTooOld is sent: with severity "nobody" it reaches only the receiver nobody, which has no integration (alertmanager.yml): give it a severity that a route matches, or add a route for it`,
		}},
		"a receiver without integration": {routes, "  - name: mail\n    webhook_configs:\n      - url: http://receiver.example.com/mail\n", "  - name: mail\n", []string{
			`rules/shop.yml:24:21 route/receiver: no notification of BackupTooOld is sent: with severity "warning" it reaches only the receiver mail, which has no integration (alertmanager.yml): give it a severity that a route matches, or add a route for it`,
		}},
		"no severity": {rules, "        labels:\n          severity: warning\n", "", []string{
			`rules/shop.yml:20:16 alert/labels: BackupTooOld has no label "severity", by which it is routed: add it to the rule`,
		}},
		"no owner of one of two alerts": {rules, "severity: critical", "severity: critical\n          team: ''", nil},
		"no owner of any alert":         {rules, "    labels:\n      team: infrastructure\n", "", nil},
		"metric renamed in the rule": {rules, "shop_tls_cert_expiry_seconds", "shop_tls_cert_expires_seconds", []string{
			`rules/shop.yml:8:11 runbook/metric: the runbook of CertificateExpiringSoon never mentions the metric that raises it, shop_tls_cert_expires_seconds: name it in runbooks/CertificateExpiringSoon.md, or fix the rule`,
		}},
		"runbook severity": {soon, "CRITICAL", "warning", []string{
			`rules/shop.yml:12:21 header/severity: CertificateExpiringSoon has severity "critical", but its runbook says "warning" (runbooks/CertificateExpiringSoon.md:3): write the same in both`,
		}},
		"runbook alert": {backup, "**Alert:** BackupTooOld", "**Alert:** BackupOld", []string{
			`runbooks/BackupTooOld.md:4:0 header/alert: the runbook of BackupTooOld says that it is for the alert "BackupOld": write BackupTooOld there`,
		}},
		"runbook duration": {backup, "**Duration:** 5m", "**Duration:** 0s", []string{
			`rules/shop.yml:22:14 header/duration: BackupTooOld fires once its condition has lasted 5m, but its runbook says 0s (runbooks/BackupTooOld.md:6): write the same in both`,
		}},
		"runbook trigger": {backup, "within 26 hours", "within 2 days", []string{
			`rules/shop.yml:21:69 trigger/threshold: BackupTooOld fires at time() - shop_backup_last_success_timestamp_seconds > 26 * 3600, that is 1.08333 days, but its runbook's trigger says "within 2 days" (runbooks/BackupTooOld.md:5:40): write the same in both`,
		}},
		"runbook trigger, the other way": {soon, "within 7 days", "in more than 7 days", []string{
			`rules/shop.yml:9:15 trigger/direction: CertificateExpiringSoon fires at shop_tls_cert_expiry_seconds < 7 * 86400, that is below 7 days, but its runbook's trigger says "more than 7 days" (runbooks/CertificateExpiringSoon.md:5:56), that is above: reverse the comparison, or fix the text`,
		}},
		"no summary": {rules, "          summary: The last good backup is older than 26 hours\n", "", []string{
			`rules/shop.yml:20:16 alert/annotations: BackupTooOld has no annotation "summary", which most alerts have: add it to the rule`,
		}},
		"no description": {rules, "          description: It ended {{ $value | humanizeDuration }} ago.\n", "", []string{
			`rules/shop.yml:20:16 alert/annotations: BackupTooOld has no annotation "description", which most alerts have: add it to the rule`,
		}},
		"a description under its older name": {rules, "description: It ended", "message: It ended", nil},
		"no runbook_url": {rules, "          runbook_url: https://git.example.com/shop/blob/main/runbooks/BackupTooOld.md\n", "", []string{
			`rules/shop.yml:20:16 alert/annotations: BackupTooOld has no annotation "runbook_url", which most alerts have: add it to the rule`,
		}},
		"an unknown field in a template": {rules, "            {{ $value | humanizeDuration }}.", "            {{ .Valeu | humanizeDuration }}.", []string{
			`rules/shop.yml:17:16 alert/template: a notification of CertificateExpiringSoon would show an error in place of the annotation "description": <.Valeu>: can't evaluate field Valeu; fix the template`,
		}},
		"a printf verb for whole numbers": {rules, "It ended {{ $value | humanizeDuration }} ago.", `'It ended {{ printf "%d" $value }} ago.'`, []string{
			`rules/shop.yml:27:37 alert/template: the annotation "description" of BackupTooOld renders as "It ended %!d(float64=1) ago.", since the verb does not suit the value ($value is a float64): fix the format, as in %.0f`,
		}},
		"a bad query in a template": {rules, "It ended {{ $value | humanizeDuration }} ago.", `'{{ query "up ==" | first | value }}'`, []string{
			`rules/shop.yml:27:28 alert/template: a notification of BackupTooOld would show an error in place of the annotation "description": <query "up ==">: error calling query: the query "up ==": 1:6: parse error: unexpected end of input; fix the template`,
		}},
		"a rule that is not filled in": {rules, "shop_tls_cert_expiry_seconds", "TODO_metric", []string{
			`rules/shop.yml:8:11 alert/unfinished: CertificateExpiringSoon is not filled in, since its expr says "TODO_metric": replace it with the real text`,
			`rules/shop.yml:8:11 runbook/metric: the runbook of CertificateExpiringSoon never mentions the metric that raises it, TODO_metric: name it in runbooks/CertificateExpiringSoon.md, or fix the rule`,
		}},
		"an annotation that is not filled in": {rules, "description: It ended", "description: TODO or so, it ended", []string{
			`rules/shop.yml:27:24 alert/unfinished: BackupTooOld is not filled in, since its annotation description says "TODO": replace it with the real text`,
		}},
		"a team that is not filled in": {rules, "team: infrastructure", "team: TODO", []string{
			`rules/shop.yml:4:13 alert/unfinished: BackupTooOld is not filled in, since its label team says "TODO": replace it with the real text`,
			`rules/shop.yml:4:13 alert/unfinished: CertificateExpiringSoon is not filled in, since its label team says "TODO": replace it with the real text`,
		}},
		"a runbook that is not filled in": {backup, "## Resolution", "É TODO: say more; the METHODTODO is none\n\n## Resolution", []string{
			`runbooks/BackupTooOld.md:10:3 runbook/unfinished: the runbook of BackupTooOld is not filled in ("TODO"): replace it with what the on-call needs to know`,
		}},
		"a drill removed": {drills, "	{alert: soon, branch: \"If Using Let's Encrypt\"},\n", "", []string{
			`runbooks/CertificateExpiringSoon.md:12:5 runbook/spec: no spec in e2e follows the branch "If Using Let's Encrypt" of CertificateExpiringSoon: write one that names both`,
		}},
		"a drill of another alert": {drills, "alert: soon", `alert: "BackupTooOld"`, []string{
			`runbooks/CertificateExpiringSoon.md:12:5 runbook/spec: no spec in e2e follows the branch "If Using Let's Encrypt" of CertificateExpiringSoon: write one that names both`,
		}},
		"nothing to do": {backup, "## Resolution", "## Remedy", []string{
			`runbooks/BackupTooOld.md:1:0 runbook/section: the runbook does not say what to do ("Backup too old"): a heading such as "## Mitigation", with the steps or a heading for each case below it`,
		}},
		"what to do in another word": {backup, "## Resolution", "## REMEDIATION:", nil},
		"no duration in the header": {backup, "- **Duration:** 5m\n", "", []string{
			`runbooks/BackupTooOld.md:1:0 header/missing: the header of the runbook of BackupTooOld does not give the duration, which at least half of the others give: add a line below the title such as "- **Duration:** …"`,
		}},
		"a duration in words": {backup, "**Duration:** 5m", "**Duration:** soon", []string{
			`runbooks/BackupTooOld.md:6:0 header/value: not a duration ("soon"): Prometheus's notation, such as 1h, 5m or 0s`,
		}},
		"a placeholder": {backup, "start shop", `start "é" <unit-name> shop`, []string{
			`runbooks/BackupTooOld.md:15:21 runbook/placeholder: placeholder ("<unit-name>"): a step is run as written; the alert's labels are shell variables, so "$unit_name" for the label unit_name`,
		}},
		"a branch of a session": {backup, "```bash\nsystemctl start shop-backup.service\n```", "```console\n$ systemctl start shop-backup.service\n```", []string{
			`runbooks/BackupTooOld.md:12:0 runbook/branch: a branch whose commands ("systemctl start shop-backup.service") are in fences of console ("If the timer was stopped"), which are not steps: write bash after the marks, without prompts`,
		}},
		"a section that most have": {soon, "## Resolution", "## Impact\n\n## Resolution", []string{
			`runbooks/BackupTooOld.md:1:0 runbook/section: the runbook of BackupTooOld has no section for the impact, which most of the others have: add a heading such as "## Impact"`,
		}},
		"a variable that nobody sets": {backup, "start shop", "get units\n```\n\n```sh\necho $UNIT shop", []string{
			`runbooks/BackupTooOld.md:19:6 runbook/variable: nothing sets $UNIT before: the step on line 15, which lists units, could set $UNIT`,
		}},
		"a program misspelt": {backup, "systemctl start", "sysemctl start", []string{
			`runbooks/BackupTooOld.md:15:1 runbook/program: the host has no program "sysemctl" (it has "systemctl"): fix the name, or install it and add it to programs.txt`,
		}},
		"a variable that nothing sets": {backup, "start shop", "start \"$untit\"; unit=x; echo shop", []string{
			`runbooks/BackupTooOld.md:15:18 runbook/misspelling: nothing is known to set $untit: write $unit if that is meant`,
		}},
		"a mistaken redirection": {backup, "start shop-backup.service", "start shop-backup.service 2>1", []string{
			`runbooks/BackupTooOld.md:15:37 runbook/redirection: this writes a file named "1": write >&1 for a descriptor, or quote the >`,
		}},
		"runbook_url to a site made of the runbooks": {rules, "https://git.example.com/shop/blob/main/runbooks/BackupTooOld.md", "https://runbooks.example.com/backup/backuptooold/", nil},
		"an alert without a runbook": {backup, "", removed, []string{
			`rules/shop.yml:20:16 runbook/missing: BackupTooOld has no runbook: write runbooks/BackupTooOld.md`,
			`runbooks/DisasterRecovery.md:3:0 runbook/orphan: no runbook of an alert links to the procedure DisasterRecovery: link to it from one, as in [DisasterRecovery](DisasterRecovery.md), or remove it`,
		}},
		"a runbook without an alert": {stray, "", "# Gone\n\n- **Severity:** warning\n- **Alert:** Gone\n- **Trigger:** x\n- **Duration:** 5m\n\n## Resolution\n\n### If\n\n```bash\ntrue\n```\n", []string{
			`runbooks/Gone.md:1:0 runbook/orphan: no rule in rules raises an alert Gone: name the runbook after its alert, or remove it`,
		}},
		"a procedure that no runbook leads to": {backup, "DisasterRecovery.md#", "#", []string{
			`runbooks/DisasterRecovery.md:3:0 runbook/orphan: no runbook of an alert links to the procedure DisasterRecovery: link to it from one, as in [DisasterRecovery](DisasterRecovery.md), or remove it`,
		}},
		"a procedure that only a folder elsewhere has": {backup, "](", "](../", []string{
			`runbooks/DisasterRecovery.md:3:0 runbook/orphan: no runbook of an alert links to the procedure DisasterRecovery: link to it from one, as in [DisasterRecovery](DisasterRecovery.md), or remove it`,
		}},
		"a procedure under another name": {rescue, "**Procedure:** DisasterRecovery", "**Procedure:** Recovery", []string{
			`runbooks/DisasterRecovery.md:3:0 header/alert: the procedure in DisasterRecovery.md says that it is "Recovery": write DisasterRecovery there`,
		}},
		"a program misspelt in a procedure": {rescue, "systemctl", "sysemctl", []string{
			`runbooks/DisasterRecovery.md:11:1 runbook/program: the host has no program "sysemctl" (it has "systemctl"): fix the name, or install it and add it to programs.txt`,
		}},
		"a mistaken redirection in a procedure": {rescue, "stop shop-api", "stop shop-api 2>1", []string{
			`runbooks/DisasterRecovery.md:11:25 runbook/redirection: this writes a file named "1": write >&1 for a descriptor, or quote the >`,
		}},
		"a variable that nothing sets in a procedure": {rescue, "stop shop-api", "stop \"$untit\"; unit=x", []string{
			`runbooks/DisasterRecovery.md:11:17 runbook/misspelling: nothing is known to set $untit: write $unit if that is meant`,
		}},
		"a procedure that is not filled in": {rescue, "## Resolution", "TODO\n\n## Resolution", []string{
			`runbooks/DisasterRecovery.md:6:1 runbook/unfinished: the runbook of DisasterRecovery is not filled in ("TODO"): replace it with what the on-call needs to know`,
		}},
		"a procedure's drill removed": {drills, `"DisasterRecovery"`, `"BackupTooOld"`, []string{
			`runbooks/DisasterRecovery.md:8:5 runbook/spec: no spec in e2e follows the branch "If The Volume Is Lost" of DisasterRecovery: write one that names both`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			copyGood(t)
			edit(t, tc.file, tc.old, tc.new)
			NewWithT(t).Expect(run(t)).To(Equal(tc.want))
		})
	}
}

func TestProcedureInThePlaceOfARunbook(t *testing.T) {
	copyGood(t)
	edit(t, backup, "- **Severity:** warning\n- **Alert:**", "- **Procedure:**")
	edit(t, backup, "- **Duration:** 5m\n", "")
	NewWithT(t).Expect(run(t)).To(ContainElement(
		`runbooks/BackupTooOld.md:3:0 header/alert: the runbook of BackupTooOld says that it is a procedure, which no alert has: write the header of a runbook, or give the procedure a file of another name`))
}

func TestRunbooksInSubfolders(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	g.Expect(os.Mkdir("runbooks/jobs", 0o755)).To(Succeed())
	g.Expect(os.Rename(backup, "runbooks/jobs/BackupTooOld.md")).To(Succeed())
	g.Expect(run(t)).To(Equal([]string{
		`rules/shop.yml:28:24 runbook/url: the runbook_url of BackupTooOld leads nowhere ("/shop/blob/main/runbooks/BackupTooOld.md"): make it end in runbooks/jobs/BackupTooOld.md`,
		`runbooks/DisasterRecovery.md:3:0 runbook/orphan: no runbook of an alert links to the procedure DisasterRecovery: link to it from one, as in [DisasterRecovery](DisasterRecovery.md), or remove it`,
	}))
	edit(t, rules, "runbooks/BackupTooOld.md", "runbooks/jobs/BackupTooOld.md")
	edit(t, "runbooks/jobs/BackupTooOld.md", "](DisasterRecovery.md", "](../DisasterRecovery.md")
	g.Expect(run(t)).To(BeEmpty())
	g.Expect(Index(Inputs{Rules: "rules", Runbooks: "runbooks"})).To(ContainSubstring("[If the timer was stopped](jobs/BackupTooOld.md#if-the-timer-was-stopped)"))

	edit(t, "runbooks/jobs/notes.md", "", "# Notes\n\n```bash\nfi\n```\n")
	g.Expect(run(t)).To(Equal([]string{
		`runbooks/jobs/notes.md:1:0 runbook/orphan: no rule in rules raises an alert notes: name the runbook after its alert, or remove it`,
		"runbooks/jobs/notes.md:4:1 runbook/shell: shell syntax error (\"fi\"): `fi` can only be used to end an `if`",
	}))
	edit(t, "runbooks/jobs/BackupTooOld.md", "## Resolution", "See [notes](notes.md).\n\n## Resolution")
	g.Expect(run(t)).To(HaveLen(1), "what a runbook links to is no orphan")
}

// One file may have the runbooks of several alerts, in sections that their runbook_url leads to.
func TestSharedRunbook(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, backup, "", removed)
	edit(t, rescue, "", removed)
	edit(t, "runbooks/jobs.md", "", "# Jobs\n\n## Backup too old\n\n- **Severity:** critical\n- **Alert:** BackupTooOld\n- **Trigger:** older than 26 hours\n- **Duration:** 5m\n\n"+
		"`shop_backup_last_success_timestamp_seconds`\n\n### Fix\n\n#### If the timer was stopped\n\n```bash\nsystemctl start x\n```\n\n## Other\n\n### Fix\n")
	edit(t, rules, "runbooks/BackupTooOld.md", "runbooks/jobs.md#backup-too-old")
	g.Expect(run(t)).To(Equal([]string{
		`rules/shop.yml:24:21 header/severity: BackupTooOld has severity "warning", but its runbook says "critical" (runbooks/jobs.md:5): write the same in both`,
	}))
	edit(t, rules, "#backup-too-old", "#backup-old")
	g.Expect(run(t)).To(Equal([]string{
		`rules/shop.yml:20:16 runbook/missing: the runbook_url of BackupTooOld leads to no heading of jobs.md ("#backup-old"): its headings are #jobs, #backup-too-old, #fix, #if-the-timer-was-stopped, #other, #fix-1`,
	}))
}

func TestScenariosFollowBranches(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, drills, `	{alert: "DisasterRecovery", branch: "If The Volume Is Lost"},`+"\n", "")
	missing := []string{`runbooks/DisasterRecovery.md:8:5 runbook/spec: no spec in e2e follows the branch "If The Volume Is Lost" of DisasterRecovery: write one that names both`}
	g.Expect(run(t)).To(Equal(missing))
	const scenarios = "e2e/scenarios.yml"
	edit(t, scenarios, "", "scenarios:\n  - name: volume-lost\n    description: It is lost.\n    alert: BackupTooOld\n    runbook: DisasterRecovery\n"+
		"    branch: If The Volume Is Lost\n    objectives: {rto: 1h, rpo: 1h, records: 1}\n")
	g.Expect(run(t)).To(BeEmpty())
	edit(t, scenarios, "", "plays:\n  - Hamlet\n")
	g.Expect(run(t)).To(Equal(missing), "scenarios of another kind")
}

// A procedure is followed with the labels of whichever alert leads to it.
func TestProcedureKnowsTheAlertsThatLeadToIt(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, soon, "to a week.", "to a week: see [there](./DisasterRecovery.md).")
	edit(t, rescue, "stop shop-api", `stop "$domain" "$untit"; unit=x`)
	edit(t, rules, "expr: time() - shop_backup_last_success_timestamp_seconds > 26 * 3600", "expr: vector(time()) > 26 * 3600")
	g.Expect(run(t)).To(ContainElements(
		`runbooks/DisasterRecovery.md:11:17 runbook/variable: $domain is not a label of BackupTooOld, whose labels are alertname, severity, team, and nothing sets it before: fix the name, or set it in a step`,
		`runbooks/DisasterRecovery.md:11:27 runbook/misspelling: nothing is known to set $untit: write $unit if that is meant`))

	edit(t, rules, "expr: vector(time()) > 26 * 3600", "expr: time() - shop_backup_last_success_timestamp_seconds > 26 * 3600")
	g.Expect(run(t)).To(Equal([]string{`runbooks/DisasterRecovery.md:11:27 runbook/misspelling: nothing is known to set $untit: write $unit if that is meant`}),
		"what is found for both alerts is said once")
}

func TestLinksToDashboardsAreMissedWhereMostAlertsHaveOne(t *testing.T) {
	g := NewWithT(t)
	const link = "          dashboard_url: https://grafana.example.com/d/x\n"
	copyGood(t)
	edit(t, rules, "          summary: The last good backup", link+"          summary: The last good backup")
	g.Expect(run(t)).To(Equal([]string{`rules/shop.yml:6:16 alert/annotations: CertificateExpiringSoon has no annotation "dashboard_url", which most alerts have: add it to the rule`}))
}

func TestDemandedLabels(t *testing.T) {
	g := NewWithT(t)
	alerts := make([]rule.Alert, 10)
	for i := range alerts {
		alerts[i].Labels = map[string]string{"empty": ""}
		for name, count := range map[string]int{"most": 9, "routed": 5, "grouped": 5, "neither": 8, "rare": 4} {
			if i < count {
				alerts[i].Labels[name] = "x"
			}
		}
	}
	usual := reason{text: "which nearly all alerts have"}
	g.Expect(UsualLabels(alerts)).To(Equal([]string{"most"}))
	g.Expect(demandedLabels(alerts, nil)).To(Equal(map[string]reason{"most": usual}))
	r := &routing{matched: []string{"empty", "rare", "routed"}, grouped: []string{"grouped", "rare"}}
	g.Expect(demandedLabels(alerts, r)).To(Equal(map[string]reason{
		"most": usual, "routed": {"by which it is routed", true}, "grouped": {text: "by which its notifications are grouped"}}))
}

func TestUsualAnnotations(t *testing.T) {
	g := NewWithT(t)
	found := usualAnnotations([]rule.Alert{{Annotations: map[string]string{"summary": "x", "description": "y"}}, {Annotations: map[string]string{"summary": "z"}}, {}})
	g.Expect(found["summary"]).To(BeTrue(), "two of three")
	g.Expect(found["description"]).To(BeFalse(), "one of three")
	g.Expect(found["runbook_url"]).To(BeFalse(), "none")
}

func TestRoutesReadAsAlertmanagerReadsThem(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, routes, "severity=\"warning\"", "\"severity\"=\"warning\"") // a quoted name is newer than the classic syntax
	g.Expect(run(t)).To(BeEmpty())
}

func TestFindingShowsItsPlace(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, rules, "for: 1h", "for: 10s")
	findings, _, err := Run(t.Context(), Inputs{Rules: "rules", Runbooks: "runbooks"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(findings).To(HaveLen(1))
	g.Expect(findings[0].String()).To(Equal(`Error: CertificateExpiringSoon fires once its condition has lasted 10s, but its runbook says 1h (runbooks/CertificateExpiringSoon.md:6): write the same in both (header/duration)
  --> rules/shop.yml:10:14
   10 |         for: 10s
      |              ^`))
}

func TestUnusableInput(t *testing.T) {
	for name, tc := range map[string]struct{ file, old, new, want string }{
		"a rule that is not PromQL": {rules, "time() -", "thyme() -",
			`rules/shop.yml:21: the expression of BackupTooOld is not PromQL: unknown function with name "thyme" ("thyme")`},
		"rules without an alert": {rules, "", "groups:\n- name: g\n  rules: []\n", `rules: no alert in its rule files: there is nothing to check`},
		"a runbook that is no text": {backup, "## Resolution", "## \xff",
			`runbooks/BackupTooOld.md:10: not UTF-8 at byte offset`},
		"no Alertmanager configuration": {routes, "", removed, `alertmanager.yml: no such file or directory: fix it until Alertmanager loads it`},
		"a route to a receiver that is not there": {routes, "receiver: oncall", "receiver: on-call",
			`alertmanager.yml:5:17: undefined receiver "on-call" used in route: the nearest is "oncall", of "nobody", "oncall", "mail"`},
		"an unknown Alertmanager field": {routes, "  receiver: nobody\n", "  receiver: nobody\n  mute: always\n",
			`alertmanager.yml:3:3: field mute not found in type config.plain ("mute"): fix it until Alertmanager loads it`},
		"a secret in the wrong place": {routes, "  receiver: nobody\n", "  receiver: nobody\n  continue: hunter2\n",
			`alertmanager.yml:3:3: cannot unmarshal !!str value into bool ("continue"): fix it until Alertmanager loads it`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			copyGood(t)
			edit(t, tc.file, tc.old, tc.new)
			findings, set, err := Run(t.Context(), all)
			g.Expect(err).To(MatchError(HavePrefix(tc.want)))
			g.Expect(findings).To(BeEmpty())
			g.Expect(set.Alerts).To(BeEmpty())
		})
	}
}

func TestUnusableInputIsSaidAllAtOnce(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, rules, "for: 1h", "for: 1hour")
	edit(t, backup, "**Duration:** 5m", "**Duration:** \x00")
	edit(t, routes, "", "")
	edit(t, host, "systemctl", "system ctl")
	edit(t, drills, "package e2e", "package 2e2")
	_, _, err := Run(t.Context(), all)
	g.Expect(err).To(MatchError(And(
		ContainSubstring("programs.txt:3: "), ContainSubstring("e2e/drills_test.go:1:9: "),
		ContainSubstring("rules/shop.yml:10: "), ContainSubstring("runbooks/BackupTooOld.md:6: "), ContainSubstring("alertmanager.yml: no route provided in config"))))

	_, _, err = Run(t.Context(), Inputs{Rules: "rules", Runbooks: "nowhere"})
	g.Expect(err).To(MatchError(ContainSubstring("reading the folder of runbooks: lstat nowhere: no such file or directory")))
}

func TestFindingsComeInOneOrder(t *testing.T) {
	g := NewWithT(t)
	copyGood(t)
	edit(t, rules, "      team: infrastructure\n", "      team: '{{ .Team }}'\n      note: '{{ .Note }}'\n")
	edit(t, rules, "< 7 * 86400", "> 70 * 86400")
	edit(t, soon, "**Duration:** 1h", "**Duration:** 2h")
	edit(t, backup, "", removed)
	first := run(t)
	g.Expect(len(first)).To(BeNumerically(">", 7))
	for range 20 {
		g.Expect(run(t)).To(Equal(first))
	}
}
