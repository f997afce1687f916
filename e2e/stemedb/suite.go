package stemedb

import (
	"errors"
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
	"github.com/onsi/gomega/format"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/redact"
	"github.com/stemedb/firedrill/tools/testbed"
)

// NoTestbed labels a spec that looks at rules and runbooks only.
const NoTestbed = "no testbed"

// Suite has the suite of that name start a testbed for each of its processes that has a spec to run, and begin it before
// each spec. Where a spec fails, evidence is kept before anything is removed.
func Suite(name string) *Environment {
	e := &Environment{suite: name}
	SynchronizedBeforeSuite(func(ctx SpecContext) {
		root, _, _ := project()
		swept, err := testbed.Sweep(ctx, root)
		Expect(err).NotTo(HaveOccurred(), "remove what an earlier run left")
		for _, name := range swept {
			fmt.Println("removed the testbed", name, "of a run that has ended")
		}
	}, func() {})
	BeforeEach(func(ctx SpecContext) {
		if !slices.Contains(CurrentSpecReport().Labels(), NoTestbed) {
			e.prepare(ctx)
		}
	})
	AfterSuite(e.end)
	return e
}

// RunSpecs runs the specs of the suite.
func (e *Environment) RunSpecs(t *testing.T, what string) {
	RegisterFailHandler(Fail)
	format.RegisterCustomFormatter(func(value any) (string, bool) { // an error is its text, not its fields
		err, ok := value.(error)
		if !ok {
			return "", false
		}
		return err.Error(), true
	})
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyTimeout(testbed.Timeout)
	SetDefaultEventuallyPollingInterval(testbed.Interval / 5)
	SetDefaultConsistentlyDuration(2 * testbed.Interval)
	SetDefaultConsistentlyPollingInterval(testbed.Interval / 4)
	RunSpecs(t, what)
}

// specLimit is how long a spec may take that is no drill, whose steps have limits.
const specLimit = 10 * time.Minute

// It is Ginkgo's It for a spec that may take ten minutes.
func (e *Environment) It(text string, args ...any) bool {
	return It(text, append(args, SpecTimeout(specLimit), Offset(1))...)
}

// prepare gives a spec its environment.
func (e *Environment) prepare(ctx SpecContext) {
	evidence := evidenceOf(CurrentSpecReport().FullText())
	if e.Testbed == nil {
		began := time.Now()
		if err := e.start(ctx, evidence); err != nil {
			AddReportEntry(journal.EvidenceName, evidence)
			// Every other spec would fail for the same cause.
			AbortSuite(fmt.Sprintf("start the testbed: %v\nevidence: %s", err, evidence))
		}
		e.begun = true
		AddReportEntry(journal.TestbedUpName, time.Since(began))
	}
	began := time.Now()
	e.Say("begins: %s", CurrentSpecReport().FullText())
	DeferCleanup(func() {
		e.Say("%s after %s: %s", CurrentSpecReport().State, time.Since(began).Round(time.Second), CurrentSpecReport().FullText())
	})
	DeferOnFailure(func(ctx SpecContext) {
		AddReportEntry(journal.EvidenceName, evidence)
		Expect(e.Evidence(ctx, evidence)).To(Succeed())
	})
	e.about, e.proven = "", false
	if !e.begun {
		if err := e.Begin(ctx); err != nil {
			Fail("bring a new host, Prometheus and Alertmanager: " + err.Error())
		}
	}
	e.begun = false
	DeferCleanup(e.record)
}

// evidenceOf is the folder of the evidence of a spec.
func evidenceOf(spec string) string {
	root, _, _ := project()
	return filepath.Join(fromEnvironment("FIREDRILL_EVIDENCE", filepath.Join(root, "build", "evidence")), regexp.MustCompile(`[^A-Za-z0-9]+`).ReplaceAllString(spec, "-"))
}

// start starts the environment as firedrill prove asks for it in the environment's variables.
func (e *Environment) start(ctx SpecContext, evidence string) (err error) {
	run, err := strconv.Atoi(os.Getenv("FIREDRILL_RUN"))
	if err != nil { // the suite is run by hand
		run = os.Getppid()
	}
	var progress io.Writer = GinkgoWriter
	if pipe := os.Getenv("FIREDRILL_PROGRESS"); pipe != "" {
		if progress, err = os.OpenFile(pipe, os.O_WRONLY|os.O_APPEND, 0); err != nil {
			return err
		}
	}
	if noted := os.Getenv(redact.Variable); noted != "" {
		if e.secretsFile, err = os.OpenFile(noted, os.O_WRONLY|os.O_APPEND, 0); err != nil {
			return err
		}
	}
	return e.Start(ctx, fmt.Sprintf("%s%d-%06x", e.suite, GinkgoParallelProcess(), rand.N(1<<24)), progress, run, evidence)
}

func (e *Environment) end(ctx SpecContext) {
	switch {
	case e.Testbed == nil:
	case os.Getenv("FIREDRILL_KEEP") != "":
		e.Say("it is left up until the next run, or until make clean. %s", e.Enter())
	default:
		Expect(e.Close(ctx)).To(Succeed())
	}
}

// record notes the secrets that are to be left out of the report, and adds how the alert that the spec is about went, where
// no drill has done so.
func (e *Environment) record(ctx SpecContext) {
	if e.secretsFile != nil {
		Expect(e.NoteSecrets(ctx, e.secretsFile)).To(Succeed())
	}
	alert, err := e.Alert(e.about)
	if err != nil || e.proven {
		return
	}
	proof, err := e.Record(ctx, alert)
	if err != nil {
		GinkgoWriter.Println("the timeline of", alert.Name, "is incomplete:", err)
	}
	proof.Leapt = journal.Seconds(e.Leapt())
	e.add(proof)
}

// add adds a proof to the report, in place of what was added before. What a spec said of itself stays.
func (e *Environment) add(proof journal.Proof) {
	e.proven = true
	for _, entry := range CurrentSpecReport().ReportEntries {
		if said, ok := entry.GetRawValue().(journal.Entry); ok && said.What != "" {
			proof.Branch, proof.What = said.Branch, said.What
		} else if ok {
			proof.Branch = said.Branch
		}
	}
	AddReportEntry(journal.ProofName, ReportEntryVisibilityNever, proof)
}

// Rehearsed adds what an auditor asks of a disaster that was rehearsed.
func (e *Environment) Rehearsed(ctx SpecContext, d journal.Drill) {
	alert, err := e.Alert(e.about)
	Expect(err).NotTo(HaveOccurred())
	proof, err := e.Record(ctx, alert)
	if err != nil {
		GinkgoWriter.Println("the timeline of", alert.Name, "is incomplete:", err)
	}
	proof.Leapt, proof.Drill = journal.Seconds(e.Leapt()), &d
	e.add(proof)
}

// About says which alert and branch the spec is about, for as long as it has proved nothing.
func (e *Environment) About(alert, branch string) { e.entry(alert, branch, "") }

// Proved notes for the table what a spec has shown.
func (e *Environment) Proved(alert, branch, what string) { e.entry(alert, branch, what) }

func (e *Environment) entry(alert, branch, what string) {
	e.about = alert
	entry := journal.Entry{Alert: alert, Branch: branch, What: what}
	if e.Testbed != nil && !slices.Contains(CurrentSpecReport().Labels(), NoTestbed) {
		entry.Leapt = e.Leapt()
	}
	AddReportEntry(journal.EntryName, ReportEntryVisibilityNever, entry)
}

// Step says what comes next, in the report and at once.
func (e *Environment) Step(text string) {
	e.Say("%s", text)
	By(text)
}

// Fire injects a fault and returns its alert once it fires, with the notification that reached the on-call.
func (e *Environment) Fire(ctx SpecContext, name string, fault drill.Action) (*testbed.Alert, testbed.Notification) {
	GinkgoHelper()
	alert, err := e.Alert(name)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, func(ctx SpecContext) error {
		o, err := alert.Observe(ctx)
		return errors.Join(err, o.Inactive())
	}).Should(Succeed(), "before the fault")
	e.Step("fault")
	Expect(fault(ctx)).To(Succeed())
	e.Step("firing")
	Expect(drill.Fire(ctx, e.Testbed, alert)).To(Succeed())
	e.Step("notified")
	page, err := drill.Notified(ctx, e.Testbed, alert)
	Expect(err).NotTo(HaveOccurred())
	return alert, page
}
