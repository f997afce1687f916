// Package sabotage proves the harness: on copies of rules and runbooks that are broken as a person might break them,
// it must fail, and name the cause.
package sabotage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/check"
	"github.com/stemedb/firedrill/tools/journal"
)

func TestSabotage(t *testing.T) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "Sabotage")
}

const (
	rules   = "rules/tls.yml"
	runbook = "runbooks/CertificateExpiringSoon.md"

	reload = "   ```bash\n   systemctl reload stemedb-api\n   ```\n\n   A restart"
	verify = "   ```bash\n   echo | openssl s_client -servername \"$domain\" -connect localhost:18180 2>/dev/null |\n" +
		"     openssl x509 -noout -dates | grep notAfter\n" +
		"   echo | openssl s_client -servername \"$domain\" -connect localhost:18180 2>/dev/null |\n" +
		"     openssl x509 -noout -checkend $((30 * 86400))\n   ```\n\n### If Using Custom CA"
	soon      = "expr: stemedb_tls_cert_expiry_seconds < 7 * 86400"
	urgent    = "\n        for: 1h\n        labels:\n          severity: "
	threshold = "The threshold of CertificateExpiringSoon is crossed live, at 7 days"
	branch    = "Each branch of each runbook resolves CertificateExpiringSoon: If Using Let's Encrypt"
)

// sabotage is something that is broken, and the cause that must be named.
type sabotage struct {
	what  string
	file  string
	edits []string // pairs: the text, found once, and what it becomes
	// check and at are the name and the file:line:column of the finding of firedrill check; empty where only the live proof
	// can know.
	check, at string
	live      string   // the spec that must fail; "" where firedrill check alone can know
	step      string   // at which step of the drill, or as what, it fails: the beginning of its message
	because   []string // what the message says of this cause and no other
	timesOut  bool     // whether it fails by waiting for what does not come, which takes longest
}

var sabotages = []sabotage{
	{
		what: "the reload step is deleted", file: runbook, edits: []string{reload, "   A restart"},
		live: branch, step: "runbook: ", because: []string{`"If Using Let's Encrypt" 5/5: exit 1, expected 0`, "-checkend $((30 * 86400))", "Certificate will expire"},
	},
	{
		what: "the reload step is deleted, and the verification with it", file: runbook,
		edits: []string{reload, "   A restart", verify, "### If Using Custom CA"},
		live:  branch, step: "resolved: timed out waiting for CertificateExpiringSoon to be inactive",
		because: []string{"but it is firing", "/rules/tls.yml:21), for 1h", "target stemedb.example.com:18181 up", "5d23h left\n", `"If Using Let's Encrypt" 3/4, exit 0`}, timesOut: true,
	},
	{
		what: "the threshold is 70 days", file: rules, edits: []string{soon, strings.Replace(soon, "7 *", "70 *", 1)},
		check: "trigger/threshold", at: rules + ":22:49",
		live: threshold, step: "Timed out after", because: []string{"expected CertificateExpiringSoon to be inactive, but it is pending", "stemedb_tls_cert_expiry_seconds < 70 * 86400 ("},
	},
	{
		what: "the threshold is 0.7 days", file: rules, edits: []string{soon, strings.Replace(soon, "7 *", "0.7 *", 1)},
		check: "trigger/threshold", at: rules + ":22:49",
		live: threshold, step: "Timed out after", because: []string{"expected CertificateExpiringSoon to be pending, but it is inactive", "stemedb_tls_cert_expiry_seconds < 0.7 * 86400 ("}, timesOut: true,
	},
	{
		what: "the comparison is turned", file: rules, edits: []string{soon, strings.Replace(soon, "<", ">", 1)},
		check: "trigger/direction", at: rules + ":22:49",
		live: threshold, step: "Timed out after", because: []string{"expected CertificateExpiringSoon to be inactive, but it is pending", "stemedb_tls_cert_expiry_seconds > 7 * 86400 ("},
	},
	{
		what: "the rule waits for 10 seconds", file: rules, edits: []string{"for: 1h", "for: 10s"},
		check: "header/duration", at: rules + ":23:14",
	},
	{
		what: "the rule waits for 3 hours", file: rules, edits: []string{"for: 1h", "for: 3h"},
		check: "header/duration", at: rules + ":23:14",
	},
	{
		what: "the metric is renamed in the rule", file: rules, edits: []string{soon, strings.Replace(soon, "cert_expiry", "certificate_expiry", 1)},
		check: "runbook/metric", at: rules + ":22:15",
		live: threshold, step: "Timed out after", because: []string{`it is silent, not resolved: no samples of {__name__="stemedb_tls_certificate_expiry_seconds"}`},
	},
	{
		what: "the runbook_url leads nowhere", file: rules, edits: []string{"/runbooks/CertificateExpiringSoon.md", "/runbooks/CertificateExpiresSoon.md"},
		check: "runbook/url", at: rules + ":32:24",
	},
	{
		what: "a branch's heading is renamed", file: runbook, edits: []string{"### If Using Let's Encrypt", "### If Using LetsEncrypt"},
		live: branch, step: "find alert and runbook: ", because: []string{`no branch ("If Using Let's Encrypt") under the heading Resolution: the nearest is "If Using LetsEncrypt"`},
	},
	{
		what: "a step exits non-zero", file: runbook,
		edits: []string{reload, strings.Replace(reload, "systemctl reload stemedb-api", "systemctl reload stemedb-api && systemctl reload stemedb", 1)},
		live:  branch, step: "runbook: ", because: []string{`"If Using Let's Encrypt" 4/6: exit 5, expected 0`, "Unit stemedb.service not found"},
	},
	{
		what: "the severity routes to nobody", file: rules, edits: []string{soon + urgent + "critical", soon + urgent + "urgent"},
		check: "route/receiver", at: rules + ":25:21",
		live: branch, step: "notified: timed out waiting for a notification of CertificateExpiringSoon", because: []string{"no receiver got it", `severity="urgent"`}, timesOut: true,
	},
}

// leftBehind are branches that work and leave something dangerous behind.
func leftBehind() (all []sabotage) {
	for _, l := range []struct{ what, command, danger string }{
		{"a key that all may read", "chmod 644 /etc/stemedb/tls/key.pem", "private-key-readable: file /etc/stemedb/tls/key.pem"},
		{"a timer that is disabled", "systemctl disable --now certbot.timer", "timer-gone: unit certbot.timer"},
		{"a script that all may write", "chmod 777 /usr/local/bin/check-cert.sh", "world-writable: file /usr/local/bin/check-cert.sh"},
		{"a secret in /tmp", "cp /etc/stemedb/tls/key.pem /tmp/key.pem", "secret-in-tmp: file /tmp/key.pem"},
		{"a service that is stopped", "systemctl stop cron", "unit-stopped: unit cron.service"},
		{"a job of cron that is removed", "rm /etc/cron.d/certbot", "job-gone: job "},
	} {
		all = append(all, sabotage{
			what: l.what + " is left behind", file: runbook,
			edits: []string{reload, strings.Replace(reload, "reload stemedb-api\n", "reload stemedb-api\n   "+l.command+"\n", 1)},
			live:  branch, step: "side effects: the branch leaves behind what is dangerous:\n", because: []string{l.danger},
		})
	}
	return all
}

// suite is the compiled suite of certificates, which is run as a user would run it, on the copies.
var suite string

var _ = SynchronizedBeforeSuite(func() []byte {
	binary := filepath.Join(GinkgoT().TempDir(), "tls.test")
	built, err := exec.Command("go", "test", "-c", "-o", binary, "../tls").CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(built))
	return []byte(binary)
}, func(binary []byte) { suite = string(binary) })

var _ = Describe("The harness fails when", Label("sabotage"), func() {
	for _, s := range append(sabotages, leftBehind()...) {
		if s.check != "" {
			It(s.what+", before anything starts", func(ctx SpecContext) {
				note(s.what, "")
				folder := s.commit()
				findings, _, err := check.Run(ctx, check.Inputs{
					Rules: filepath.Join(folder, "rules"), Runbooks: filepath.Join(folder, "runbooks"), Alertmanager: "../../fixtures/alertmanager/alertmanager.yml",
				})
				Expect(err).NotTo(HaveOccurred())
				var found []string
				for _, f := range findings {
					found = append(found, fmt.Sprintf("%s %s:%d:%d", f.Check, strings.TrimPrefix(f.File, folder+"/"), f.Line, f.Column))
				}
				Expect(found).To(ContainElement(s.check + " " + s.at))
				note(s.what, "found before anything starts")
			})
		}
		if s.live != "" {
			priority := SpecPriority(0)
			if s.timesOut {
				priority = 1 // so that nothing waits for it in the end
			}
			It(s.what+", by what really happens", priority, SpecTimeout(10*time.Minute), func(ctx SpecContext) {
				note(s.what, "")
				folder := s.commit()
				proofs := live(ctx, folder, "^TLS certificates "+regexp.QuoteMeta(s.live)+"$")
				Expect(proofs).To(HaveLen(1), "that spec ran, and no other")
				Expect(proofs[0].Verdict).To(Equal(journal.False))
				Expect(proofs[0].Failure).To(HavePrefix(s.step))
				for _, reason := range s.because {
					Expect(proofs[0].Failure).To(ContainSubstring(reason))
				}
				note(s.what, "failed, and named the cause")
			})
		}
	}

	It("the testbed does not start, once and with the cause", SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		const what = "the testbed does not start"
		note(what, "")
		folder := sabotage{}.commit()
		missing := filepath.Join(folder, "none.yml")
		proofs := live(ctx, folder, "The threshold of", "FIREDRILL_ALERTMANAGER="+missing)
		Expect(proofs).To(HaveLen(3))
		var failures []string
		for _, p := range proofs {
			Expect(p.Verdict).To(Equal(journal.Unknown), "nothing was proven or disproven")
			failures = append(failures, p.Failure)
		}
		Expect(failures).To(ConsistOf(
			And(HavePrefix("aborted: start the testbed: "), ContainSubstring("open "+missing+": no such file or directory")),
			"it did not run: skipped", "it did not run: skipped"))
		note(what, "said once, with the cause")
	})
})

// live runs the specs of the suite of certificates whose text matches on a copy of the rules and runbooks, and returns what
// its report says.
func live(ctx SpecContext, folder, focus string, variables ...string) []journal.Proof {
	GinkgoHelper()
	report := filepath.Join(folder, "report.json")
	run := exec.CommandContext(ctx, suite, "-ginkgo.no-color", "-ginkgo.focus", focus, "-ginkgo.json-report", report)
	run.Dir = "../tls"
	run.Env = append(append(os.Environ(),
		"FIREDRILL_RULES="+filepath.Join(folder, "rules"), "FIREDRILL_RUNBOOKS="+filepath.Join(folder, "runbooks"),
		"FIREDRILL_EVIDENCE="+filepath.Join(folder, "evidence"), "FIREDRILL_KEEP=",
		"FIREDRILL_TIMEOUT=35s"), variables...) // what will not come is not worth the usual wait
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	output, _ := run.CombinedOutput() // the report says how it ended
	GinkgoWriter.Println(string(output))
	file, err := os.Open(report)
	Expect(err).NotTo(HaveOccurred())
	defer file.Close()
	j, err := journal.FromGinkgo(file)
	Expect(err).NotTo(HaveOccurred())
	return j.Proofs
}

func note(what, how string) {
	AddReportEntry(journal.EntryName, ReportEntryVisibilityNever, journal.Entry{Alert: "(sabotage)", Branch: what, What: how})
}

// commit makes a copy of our rules and runbooks with the sabotage in it, and returns its folder.
func (s sabotage) commit() string {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	for _, name := range []string{"rules", "runbooks"} {
		Expect(os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join("../..", name)))).To(Succeed())
	}
	if s.file == "" {
		return folder
	}
	file := filepath.Join(folder, s.file)
	content, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	text := string(content)
	for i := 0; i < len(s.edits); i += 2 {
		Expect(strings.Count(text, s.edits[i])).To(Equal(1), "the text to break stands there once: %q", s.edits[i])
		text = strings.Replace(text, s.edits[i], s.edits[i+1], 1)
	}
	Expect(os.WriteFile(file, []byte(text), 0o644)).To(Succeed())
	return folder
}
