// Package sabotage proves the harness: on copies of rules and runbooks that are broken as a person might break them,
// it must fail, and name the cause.
package sabotage

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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
	threshold = "The threshold of CertificateExpiringSoon"
	branch    = "clears CertificateExpiringSoon: If Using Let's Encrypt"
)

// sabotage is one breakage and what must be said of it.
type sabotage struct {
	what    string
	file    string
	edits   []string // pairs: the text, found once, and what it becomes
	static  string   // what firedrill check says; "" where only the live proof can know
	live    string   // the spec that must fail; "" where firedrill check alone can know
	because []string // what the failure of the spec says
	inVain  bool     // whether it shows by waiting for what does not come, which takes longest
}

var sabotages = []sabotage{
	{what: "the reload step is deleted", file: runbook, edits: []string{reload, "   A restart"},
		live: branch, because: []string{`"If Using Let's Encrypt"`, "Certificate will expire", "exit 1"}},
	{what: "the reload step is deleted, and the verification with it", file: runbook,
		edits: []string{reload, "   A restart", verify, "### If Using Custom CA"},
		live:  branch, because: []string{"Expected the alert to be cleared, but it is firing", "rules/tls.yml:", "target stemedb.example.com:18181 up", "serving serial", "last step", `"If Using Let's Encrypt"`}, inVain: true},
	{what: "the threshold is 70 days", file: rules, edits: []string{soon, strings.Replace(soon, "7 *", "70 *", 1)},
		static: "70", live: threshold, because: []string{"Expected the alert to be quiet, but it is pending", "< 70 * 86400"}},
	{what: "the threshold is 0.7 days", file: rules, edits: []string{soon, strings.Replace(soon, "7 *", "0.7 *", 1)},
		static: "0.7", live: threshold, because: []string{"Expected the alert to be pending, but it is inactive", "< 0.7 * 86400"}, inVain: true},
	{what: "the comparison is turned", file: rules, edits: []string{soon, strings.Replace(soon, "<", ">", 1)},
		static: ">", live: threshold, because: []string{"Expected the alert to be quiet, but it is pending", "> 7 * 86400"}},
	{what: "the rule waits for 10 seconds", file: rules, edits: []string{"for: 1h", "for: 10s"}, static: "10s"},
	{what: "the rule waits for 3 hours", file: rules, edits: []string{"for: 1h", "for: 3h"}, static: "3h"},
	{what: "the metric is renamed in the rule", file: rules, edits: []string{soon, strings.Replace(soon, "cert_expiry", "certificate_expiry", 1)},
		static: "stemedb_tls_certificate_expiry_seconds", live: threshold, because: []string{"it is silent", "stemedb_tls_certificate_expiry_seconds"}},
	{what: "the runbook_url leads nowhere", file: rules, edits: []string{"/runbooks/CertificateExpiringSoon.md", "/runbooks/CertificateExpiresSoon.md"},
		static: "CertificateExpiresSoon.md"},
	{what: "a branch's heading is renamed", file: runbook, edits: []string{"### If Using Let's Encrypt", "### If Using LetsEncrypt"},
		live: branch, because: []string{"no branch", "If Using Let's Encrypt", "If Using LetsEncrypt"}},
	{what: "a step exits non-zero", file: runbook, edits: []string{reload, strings.Replace(reload, "systemctl reload stemedb-api", "systemctl reload stemedb-api && systemctl reload stemedb", 1)},
		live: branch, because: []string{`"If Using Let's Encrypt" 4/6`, "stemedb.service not found"}},
	{what: "the severity routes to nobody", file: rules, edits: []string{soon + "\n        for: 1h\n        labels:\n          severity: critical", soon + "\n        for: 1h\n        labels:\n          severity: urgent"},
		static: "urgent", live: branch, because: []string{"no receiver got it", `"urgent"`}, inVain: true},
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
	for _, s := range sabotages {
		if s.static != "" {
			It(s.what+", before anything starts", func(ctx SpecContext) {
				folder := s.commit()
				findings, _, err := check.Run(ctx, check.Inputs{
					Rules: filepath.Join(folder, "rules"), Runbooks: filepath.Join(folder, "runbooks"), Alertmanager: "../../fixtures/alertmanager/alertmanager.yml",
				})
				Expect(err).NotTo(HaveOccurred())
				Expect(findings).To(ContainElement(HaveField("String()", ContainSubstring(s.static))))
				AddReportEntry(journal.EntryName, ReportEntryVisibilityNever,
					journal.Entry{Alert: "(sabotage)", Branch: s.what, What: "found before anything starts"})
			})
		}
		if s.live != "" {
			priority := SpecPriority(0)
			if s.inVain {
				priority = 1 // so that nothing waits for it in the end
			}
			It(s.what+", by what really happens", priority, func(ctx SpecContext) {
				folder := s.commit()
				run := exec.CommandContext(ctx, suite, "-ginkgo.no-color", "-ginkgo.focus", s.live)
				run.Dir = "../tls"
				run.Env = append(os.Environ(),
					"FIREDRILL_RULES="+filepath.Join(folder, "rules"), "FIREDRILL_RUNBOOKS="+filepath.Join(folder, "runbooks"),
					"FIREDRILL_EVIDENCE="+filepath.Join(folder, "evidence"), "FIREDRILL_KEEP=",
					"FIREDRILL_PATIENCE=35s") // what will not come is not worth the usual wait
				run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
				var output bytes.Buffer
				run.Stdout, run.Stderr = &output, &output
				err := run.Run()
				GinkgoWriter.Println(output.String())
				var exit *exec.ExitError
				Expect(errors.As(err, &exit)).To(BeTrue(), "the suite must not pass: %v", err)
				Expect(output.String()).To(ContainSubstring("Ran 1 of"), "the world came up, and the spec ran")
				for _, reason := range s.because {
					Expect(output.String()).To(ContainSubstring(reason))
				}
				AddReportEntry(journal.EntryName, ReportEntryVisibilityNever,
					journal.Entry{Alert: "(sabotage)", Branch: s.what, What: "failed, and named the cause"})
			})
		}
	}
})

// commit makes a copy of our rules and runbooks with the breakage in it, and returns its folder.
func (s sabotage) commit() string {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	for _, name := range []string{"rules", "runbooks"} {
		Expect(os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join("../..", name)))).To(Succeed())
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
