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
func watching(t testing.TB, flags ...string) (until func(texts ...string) string, end func() int) {
	t.Helper()
	ctx, interrupt := context.WithCancel(t.Context())
	out, w := io.Pipe()
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, append([]string{"watch"}, flags...), w, w)
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
	until, end := watching(t, "--alertmanager=routes.yml")
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

	// In a folder of runbooks that is new.
	g.Expect(os.Mkdir("runbooks/tls", 0o755)).To(Succeed())
	until("saved runbooks/tls\n")
	g.Expect(os.WriteFile("runbooks/tls/CertificateExpiringSoon.md", []byte("# Soon\n"), 0o644)).To(Succeed())
	until("saved runbooks/tls/CertificateExpiringSoon.md\n", "--> runbooks/tls/CertificateExpiringSoon.md:1")
	g.Expect(os.RemoveAll("runbooks/tls")).To(Succeed())
	until("check: 1 alerts, 1 errors, 0 warnings")

	replace(t, "routes.yml", "receiver: page", "receiver: nobody")
	until("saved routes.yml\n", `undefined receiver "nobody"`)
	replace(t, "routes.yml", "receiver: nobody", "receiver: page")
	until("saved routes.yml\n", "check: 1 alerts, 1 errors, 0 warnings")

	g.Expect(end()).To(Equal(exitProven))
}

// In a folder with a firedrill.yml, what it names is watched, as it is after each save.
func TestWatchAProject(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, map[string]string{
		"firedrill.yml": "rules: ['rules/*.yml', more.yml]\nrunbooks: docs\ncompose: compose.yml\noperator: host\nprometheus: prometheus.yml\ndrills:\n" +
			"  - {alert: Down, branch: If It Is Down, fault: {run: pkill nginx}}\n",
		"compose.yml": "services: {host: {image: debian}}\n", "prometheus.yml": "",
		"rules/web.yml": "groups: [{name: web, rules: [{alert: Down, expr: up == 0}]}]\n", "more.yml": "groups: [{name: more, rules: [{record: a, expr: up}]}]\n",
		"others/new.yml":   "groups: [{name: new, rules: [{record: b, expr: up}]}]\n",
		"docs/web/Down.md": "# Down: up\n\n## Fix\n\n### If It Is Down\n\n```bash\ntrue\n```\n",
	}))
	until, end := watching(t)
	g.Expect(until()).To(MatchRegexp(`^\S+ watching rules/\*\.yml, more\.yml, docs, prometheus\.yml, firedrill\.yml, compose\.yml\ncheck: 1 alerts, 0 errors, 0 warnings; left out: `))
	replace(t, "rules/web.yml", "alert: Down", "alert: Gone")
	until("saved rules/web.yml\n", `check: firedrill.yml:7:13: no rule has this alert ("Down"): the only one is "Gone"`)
	replace(t, "rules/web.yml", "alert: Gone", "alert: Down")
	until("saved rules/web.yml\n", "check: 1 alerts, 0 errors")
	replace(t, "docs/web/Down.md", "### If It Is Down", "### If It Is Up\n\n```bash\ntrue\n```\n\n### If It Is Down")
	until("saved docs/web/Down.md\n", `no drill in firedrill.yml follows the branch "If It Is Up" of Down`)
	replace(t, "firedrill.yml", "drills:\n", "drills:\n  - {alert: Down, branch: If It Is Up, fault: {run: pkill nginx}}\n")
	until("saved firedrill.yml\n", "check: 1 alerts, 0 errors")
	replace(t, "compose.yml", "host:", "web:")
	until("saved compose.yml\n", "check: firedrill.yml:4:11: the compose file has no such service")
	replace(t, "compose.yml", "web:", "host:")
	until("saved compose.yml\n", "check: 1 alerts, 0 errors")

	// A folder that the file names from now on is watched from now on.
	replace(t, "firedrill.yml", "more.yml", "others/*.yml")
	until("saved firedrill.yml\n", "check: 1 alerts")
	replace(t, "others/new.yml", "record: b", "alert: New")
	until("saved others/new.yml\n", "check: 2 alerts")

	g.Expect(os.Remove("firedrill.yml")).To(Succeed())
	until("saved firedrill.yml\n", "check: firedrill.yml: does not exist")
	g.Expect(end()).To(Equal(exitProven))
}

// git puts other folders in the place of ours.
func TestWatchAFolderThatIsReplaced(t *testing.T) {
	g := NewWithT(t)
	t.Chdir(lay(t, watchedFiles))
	g.Expect(os.Mkdir("rules/more", 0o755)).To(Succeed())
	until, end := watching(t, "--alertmanager=routes.yml")
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
