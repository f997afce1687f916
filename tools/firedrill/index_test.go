package main

import (
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestIndex(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, set(t, "true")))
	status, stdout, stderr := firedrill(t, t.Context(), "check", "--alertmanager=")
	g.Expect(status).To(Equal(exitProven), stdout+stderr)
	g.Expect("runbooks/README.md").NotTo(BeAnExistingFile(), "an index is optional")

	status, stdout, stderr = firedrill(t, t.Context(), "index")
	g.Expect(status).To(Equal(exitProven), stderr)
	g.Expect(stdout).To(Equal("runbooks/README.md\n"))
	content, err := os.ReadFile("runbooks/README.md")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(content)).To(ContainSubstring("| [CertificateExpiringSoon](CertificateExpiringSoon.md) | critical | `tls_cert_expiry_seconds < 604800` (7d) | 1h | [If](CertificateExpiringSoon.md#if) | infrastructure |\n"))
	status, stdout, _ = firedrill(t, t.Context(), "check", "--alertmanager=")
	g.Expect(status).To(Equal(exitProven), stdout)

	stale := strings.Replace(string(content), "critical", "warning", 1)
	g.Expect(os.WriteFile("runbooks/README.md", []byte(stale), 0o644)).To(Succeed())
	for format, want := range map[string]string{
		"text":  "--> runbooks/README.md:6\n",
		"json":  `"check": "runbook/index"`,
		"sarif": `"ruleId": "runbook/index"`,
	} {
		status, stdout, _ = firedrill(t, t.Context(), "check", "--alertmanager=", "--format="+format)
		g.Expect(status).To(Equal(exitFound), stdout)
		g.Expect(stdout).To(ContainSubstring(want))
	}
	status, _, stderr = firedrill(t, t.Context(), "index")
	g.Expect(status).To(Equal(exitProven), stderr)
	g.Expect(os.ReadFile("runbooks/README.md")).To(Equal(content), "it is up to date again")
}

func TestIndexKeepsAnotherReadme(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, set(t, "true")))
	g.Expect(os.WriteFile("runbooks/README.md", []byte("# How we work\n"), 0o644)).To(Succeed())
	status, stdout, stderr := firedrill(t, t.Context(), "check", "--alertmanager=")
	g.Expect(status).To(Equal(exitProven), stdout+stderr)
	status, stdout, stderr = firedrill(t, t.Context(), "index")
	g.Expect([]any{status, stdout, stderr}).To(Equal([]any{exitBadInput, "",
		"firedrill: runbooks/README.md: not an index that firedrill wrote: give it another name to keep it\n"}))
	g.Expect(os.ReadFile("runbooks/README.md")).To(BeEquivalentTo("# How we work\n"))

	status, _, stderr = firedrill(t, t.Context(), "index", "--runbooks=nowhere")
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stderr).To(ContainSubstring("nowhere"))
	status, _, stderr = firedrill(t, t.Context(), "index", "--runbooks=")
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stderr).To(ContainSubstring("--runbooks is empty"))
	g.Expect("README.md").NotTo(BeAnExistingFile())
}
