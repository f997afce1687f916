// Package tls proves the alerts on certificates and their runbooks: rules/tls.yml.
package tls

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
	"github.com/stemedb/firedrill/tools/report"
)

const day = 24 * time.Hour

// w is this process's world. Each spec finds it new.
var w *world.World

func TestTLS(t *testing.T) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(world.Patience)
	SetDefaultEventuallyPollingInterval(world.Interval / 3)
	SetDefaultConsistentlyDuration(4 * world.Interval)
	SetDefaultConsistentlyPollingInterval(world.Interval / 2)
	RunSpecs(t, "TLS certificates")
}

var _ = SynchronizedBeforeSuite(func(ctx SpecContext) {
	swept, err := world.Sweep(ctx)
	Expect(err).NotTo(HaveOccurred(), "remove what an earlier run left")
	for _, name := range swept {
		fmt.Println("removed the world", name, "of a run that has ended")
	}
}, func(ctx SpecContext) {
	root, err := filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	keep := os.Getenv("FIREDRILL_KEEP") != ""
	run, _ := strconv.Atoi(os.Getenv("FIREDRILL_RUN")) // 0 where the suite is run by hand
	var progress io.Writer = GinkgoWriter
	if pipe := os.Getenv("FIREDRILL_PROGRESS"); pipe != "" {
		progress, err = os.OpenFile(pipe, os.O_WRONLY|os.O_APPEND, 0)
		Expect(err).NotTo(HaveOccurred())
	}
	began := time.Now()
	w, err = world.Start(ctx, world.Config{
		Root:     root,
		Rules:    folder("FIREDRILL_RULES", filepath.Join(root, "rules")),
		Runbooks: folder("FIREDRILL_RUNBOOKS", filepath.Join(root, "runbooks")),
		Name:     fmt.Sprintf("tls%d-%06x", GinkgoParallelProcess(), rand.N(1<<24)),
		Progress: progress,
		Run:      run,
	})
	Expect(err).NotTo(HaveOccurred(), "start the world")
	DeferCleanup(func(ctx SpecContext) {
		if keep {
			w.Say("%s", w.Enter())
			return
		}
		Expect(w.Close(ctx)).To(Succeed())
	})
	Expect(w.Begin(ctx)).To(Succeed(), "bring up the first host, Prometheus and Alertmanager")
	begun = true
	AddReportEntry(report.WorldUpName, time.Since(began))
})

// begun says that the world has just begun, and that no spec has used it yet.
var begun bool

// folder is what the environment names, or what the repository has.
func folder(variable, ours string) string {
	if named := os.Getenv(variable); named != "" {
		return named
	}
	return ours
}

// step says what comes next, in the report and at once.
func step(text string) {
	w.Say("%s", text)
	By(text)
}

var _ = BeforeEach(func(ctx SpecContext) {
	began := time.Now()
	w.Say("begins: %s", CurrentSpecReport().FullText())
	DeferCleanup(func() {
		w.Say("%s after %s: %s", CurrentSpecReport().State, time.Since(began).Round(time.Second), CurrentSpecReport().FullText())
	})
	if !begun {
		Expect(w.Begin(ctx)).To(Succeed(), "bring up a new host, Prometheus and Alertmanager")
	}
	begun = false
	DeferOnFailure(func(ctx SpecContext) {
		name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(CurrentSpecReport().FullText(), "-")
		evidence := filepath.Join(folder("FIREDRILL_EVIDENCE", "../../build/evidence"), name)
		Expect(w.Evidence(ctx, evidence)).To(Succeed())
		AddReportEntry("evidence", evidence)
	})
})

// proved notes for the table what a spec has shown.
func proved(alert, branch, what string) {
	provedIn(0, alert, branch, what)
}

// provedIn is proved for what was resolved, and how long that took beyond what the runbook's own commands took.
func provedIn(beyond time.Duration, alert, branch, what string) {
	AddReportEntry(report.EntryName, ReportEntryVisibilityNever,
		report.Entry{Alert: alert, Branch: branch, What: what, Leapt: w.Leapt(), Beyond: beyond})
}
