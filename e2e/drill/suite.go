// Package drill is what the suites share: a world for each process, new for each spec, and the drill that proves a
// branch of a runbook.
package drill

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
)

// w is this process's world. Each spec finds it new.
var w *world.World

// Run runs the specs of a suite.
func Run(t *testing.T, what string) {
	RegisterFailHandler(Fail)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(world.Patience)
	SetDefaultEventuallyPollingInterval(world.Interval / 5)
	SetDefaultConsistentlyDuration(2 * world.Interval)
	SetDefaultConsistentlyPollingInterval(world.Interval / 4)
	RunSpecs(t, what)
}

// Prepare has the suite of that name start a world for each of its processes that has a spec to run, which *into holds
// from then on, and begin it anew before each spec. Where a spec fails, evidence is kept before anything is taken down.
func Prepare(suite string, into **world.World) bool {
	SynchronizedBeforeSuite(func(ctx SpecContext) {
		swept, err := world.Sweep(ctx)
		Expect(err).NotTo(HaveOccurred(), "remove what an earlier run left")
		for _, name := range swept {
			fmt.Println("removed the world", name, "of a run that has ended")
		}
	}, func() {})
	BeforeEach(func(ctx SpecContext) {
		if slices.Contains(CurrentSpecReport().Labels(), OnPaper) {
			return
		}
		if w == nil {
			start(ctx, suite)
			*into = w
		}
		begin(ctx)
	})
	AfterSuite(end)
	return true
}

// OnPaper labels a spec that looks at rules and runbooks only, and needs no world.
const OnPaper = "on paper"

// secrets is where those that the world has made are noted, where a report is to be written.
var secrets *os.File

// begun says that the world has just begun, and that no spec has used it yet.
var begun bool

func start(ctx SpecContext, suite string) {
	root, rules, runbooks := project()
	run, _ := strconv.Atoi(os.Getenv("FIREDRILL_RUN")) // 0 where the suite is run by hand
	var err error
	var progress io.Writer = GinkgoWriter
	if pipe := os.Getenv("FIREDRILL_PROGRESS"); pipe != "" {
		progress, err = os.OpenFile(pipe, os.O_WRONLY|os.O_APPEND, 0)
		Expect(err).NotTo(HaveOccurred())
	}
	if noted := os.Getenv(redact.Variable); noted != "" {
		secrets, err = os.OpenFile(noted, os.O_WRONLY|os.O_APPEND, 0)
		Expect(err).NotTo(HaveOccurred())
	}
	began := time.Now()
	w, err = world.Start(ctx, world.Config{
		Root:     root,
		Rules:    rules,
		Runbooks: runbooks,
		Name:     fmt.Sprintf("%s%d-%06x", suite, GinkgoParallelProcess(), rand.N(1<<24)),
		Progress: progress,
		Run:      run,
	})
	if err != nil {
		AbortSuite("start the world: " + err.Error()) // no other spec would have one
	}
	Expect(w.Begin(ctx)).To(Succeed(), "bring up the first host, Prometheus and Alertmanager")
	begun = true
	AddReportEntry(journal.WorldUpName, time.Since(began))
}

func end(ctx SpecContext) {
	switch {
	case w == nil:
	case os.Getenv("FIREDRILL_KEEP") != "":
		w.Say("it is left up until the next run, or until make clean. %s", w.Enter())
	default:
		Expect(w.Close(ctx)).To(Succeed())
	}
}

// project is where the project is, and the rules and runbooks that are to be proven.
func project() (root, rules, runbooks string) {
	GinkgoHelper()
	root, err := filepath.Abs("../..")
	Expect(err).NotTo(HaveOccurred())
	return root, folder("FIREDRILL_RULES", filepath.Join(root, "rules")), folder("FIREDRILL_RUNBOOKS", filepath.Join(root, "runbooks"))
}

// folder is what the environment names, or what the repository has.
func folder(variable, ours string) string {
	if named := os.Getenv(variable); named != "" {
		return named
	}
	return ours
}

func begin(ctx SpecContext) {
	began := time.Now()
	w.Say("begins: %s", CurrentSpecReport().FullText())
	DeferCleanup(func() {
		w.Say("%s after %s: %s", CurrentSpecReport().State, time.Since(began).Round(time.Second), CurrentSpecReport().FullText())
	})
	if !begun {
		Expect(w.Begin(ctx)).To(Succeed(), "bring up a new host, Prometheus and Alertmanager")
	}
	begun, rehearsed = false, nil
	DeferCleanup(record)
	DeferOnFailure(func(ctx SpecContext) {
		name := regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(CurrentSpecReport().FullText(), "-")
		evidence := filepath.Join(folder("FIREDRILL_EVIDENCE", "../../build/evidence"), name)
		Expect(w.Evidence(ctx, evidence)).To(Succeed())
		AddReportEntry("evidence", evidence)
	})
}

// rehearsed is what the spec was a drill of, if it was one.
var rehearsed *journal.Drill

// Rehearsed hands over what an auditor asks of a drill.
func Rehearsed(d journal.Drill) { rehearsed = &d }

// record adds how the alert that the spec is about went to the report, as long as there is somebody to ask, and notes the
// secrets that are to be left out of it.
func record(ctx SpecContext) {
	if secrets != nil {
		Expect(w.NoteSecrets(ctx, secrets)).To(Succeed())
	}
	var about journal.Entry
	for _, entry := range CurrentSpecReport().ReportEntries {
		if entry, ok := entry.GetRawValue().(journal.Entry); ok {
			about = entry
		}
	}
	alert, err := w.Alert(about.Alert)
	if err != nil {
		return // the spec is about something else
	}
	proof, err := w.Record(ctx, alert)
	if err != nil {
		GinkgoWriter.Println("the timeline of", alert.Name, "is not whole:", err)
	}
	proof.Branch, proof.What = about.Branch, about.What
	proof.Leapt, proof.Beyond = journal.Seconds(w.Leapt()), journal.Seconds(about.Beyond)
	proof.Drill = rehearsed
	AddReportEntry(journal.ProofName, ReportEntryVisibilityNever, proof)
}

// About says which alert and branch the spec is about, for as long as it has proved nothing.
func About(alert, branch string) { add(journal.Entry{Alert: alert, Branch: branch}) }

func add(e journal.Entry) { AddReportEntry(journal.EntryName, ReportEntryVisibilityNever, e) }

// Step says what comes next, in the report and at once.
func Step(text string) {
	w.Say("%s", text)
	By(text)
}

// Proved notes for the table what a spec has shown.
func Proved(alert, branch, what string) { provedIn(0, alert, branch, what) }

// provedIn is Proved for what was resolved, and how long that took beyond what the runbook's own commands took.
func provedIn(beyond time.Duration, alert, branch, what string) {
	add(journal.Entry{Alert: alert, Branch: branch, What: what, Leapt: w.Leapt(), Beyond: beyond})
}
