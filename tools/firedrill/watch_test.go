package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// watchedFiles can be checked; that there is no runbook is their one finding.
var watchedFiles = map[string]string{
	"rules/tls.yml":      sound["rules/tls.yml"],
	"runbooks/README.md": "",
	"routes.yml":         "route:\n  receiver: page\nreceivers:\n  - name: page\n    webhook_configs:\n      - url: http://example.com/\n",
}

// blockLimit is how long a test waits for watch to print a block.
const blockLimit = 30 * time.Second

// watching runs firedrill watch. until returns the next printed block that contains all texts (a slow save may be seen
// half done, in a block by itself), and fails the test after blockLimit. end interrupts watch and returns its exit status.
func watching(t testing.TB, alertmanager string) (until func(texts ...string) string, end func() int) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, []string{"watch", "--alertmanager=" + alertmanager}, w, w)
		w.Close()
	}()
	t.Cleanup(interrupt)
	lines := bufio.NewScanner(out)
	until = func(texts ...string) string {
		t.Helper()
		defer time.AfterFunc(blockLimit, interrupt).Stop()
		var block, last string
		for lines.Scan() {
			if !strings.HasPrefix(lines.Text(), "took ") {
				block += lines.Text() + "\n"
				continue
			}
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(block, text) }) {
				return block
			}
			block, last = "", block
		}
		if ctx.Err() != nil {
			t.Fatalf("timed out after %s waiting for a block that contains %q; last printed:\n%s", blockLimit, texts, last+block)
		}
		t.Fatalf("watch ended before it printed a block that contains %q; last printed:\n%s", texts, last+block)
		return ""
	}
	return until, func() int {
		interrupt()
		go io.Copy(io.Discard, out)
		return <-status
	}
}

func TestWatch(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, watchedFiles))
	until, end := watching(t, "routes.yml")
	g.Expect(until()).To(MatchRegexp(`^\d\d:\d\d:\d\d watching rules, runbooks, routes.yml\n(?s:.*)check: 1 alerts, 1 errors, 0 warnings(?:; .*)?\n$`))

	replace(t, "rules/tls.yml", "alert: CertificateExpiringSoon", "alert: CertificateSoon")
	block := until("saved rules/tls.yml\n", "CertificateSoon has no runbook")
	g.Expect(block).NotTo(ContainSubstring("\x1b"), "no screen is cleared that is none")

	// As an editor saves that keeps the old version until the new one is whole.
	g.Expect(os.WriteFile("rules/.tls.yml.swp", []byte("groups: ["), 0o644)).To(Succeed())
	g.Expect(os.WriteFile("rules/tls.yml~", []byte(sound["rules/tls.yml"]), 0o644)).To(Succeed())
	g.Expect(os.Rename("rules/tls.yml~", "rules/tls.yml")).To(Succeed())
	block = until("CertificateExpiringSoon has no runbook")
	g.Expect(block).To(ContainSubstring("saved rules/tls.yml\n"))

	// In a folder that is new, and in one that goes away as a whole.
	g.Expect(os.Mkdir("rules/more", 0o755)).To(Succeed())
	until("saved rules/more\n", "check: 1 alerts")
	g.Expect(os.WriteFile("rules/more/new.rules", []byte("groups:\n- name: g\n  rules: [{alert: InRules, expr: up == 0}]\n"), 0o644)).To(Succeed())
	until("saved rules/more/new.rules\n", "check: 2 alerts")
	g.Expect(os.Rename("rules/more", "elsewhere")).To(Succeed())
	until("saved rules/more\n", "check: 1 alerts")

	// Unusable input is no reason to end.
	g.Expect(os.WriteFile("runbooks/CertificateExpiringSoon.md", []byte("# Soon\n"), 0o644)).To(Succeed())
	until("saved runbooks/CertificateExpiringSoon.md\n", "(runbook/section)\n  --> runbooks/CertificateExpiringSoon.md:1")
	g.Expect(os.Remove("runbooks/CertificateExpiringSoon.md")).To(Succeed())
	until("saved runbooks/CertificateExpiringSoon.md\n", "check: 1 alerts, 1 errors, 0 warnings")

	replace(t, "routes.yml", "receiver: page", "receiver: nobody")
	until("saved routes.yml\n", `undefined receiver "nobody"`)
	replace(t, "routes.yml", "receiver: nobody", "receiver: page")
	until("saved routes.yml\n", "check: 1 alerts, 1 errors, 0 warnings")

	g.Expect(end()).To(Equal(exitProven))
}

// git puts other folders in the place of ours.
func TestWatchAFolderThatIsReplaced(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, watchedFiles))
	g.Expect(os.Mkdir("rules/more", 0o755)).To(Succeed())
	until, end := watching(t, "routes.yml")
	until()
	g.Expect(os.CopyFS("others", os.DirFS("rules"))).To(Succeed())
	g.Expect(os.Rename("rules", "old")).To(Succeed())
	g.Expect(os.Rename("others", "rules")).To(Succeed())
	until("saved rules\n", "check: 1 alerts, 1 errors, 0 warnings")
	replace(t, "rules/tls.yml", "alert: CertificateExpiringSoon", "alert: CertificateSoon")
	until("CertificateSoon has no runbook")
	g.Expect(os.WriteFile("rules/more/new.yml", []byte("groups:\n- name: g\n  rules: [{record: up:sum, expr: sum(up)}]\n"), 0o644)).To(Succeed())
	until("saved rules/more/new.yml\n")

	g.Expect(os.RemoveAll("rules")).To(Succeed())
	until("check: rules: cannot be read as a folder of rules")
	g.Expect(os.CopyFS("rules", os.DirFS("old"))).To(Succeed())
	until("CertificateExpiringSoon has no runbook")
	g.Expect(end()).To(Equal(exitProven))
}

func TestWatchWithoutFolders(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(t.TempDir())
	status, _, stderr := firedrill(t, t.Context(), "watch") // there are no folders here
	g.Expect(status).To(Equal(exitBadInput))
	g.Expect(stderr).To(ContainSubstring("watching for saves: "))
}
