package drill

import (
	"fmt"
	"path/filepath"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Drill is one branch of one runbook: what breaks, and what else is to be seen when the branch has been followed.
type Drill struct {
	Alert, Branch string
	// Before is how this production is before anything breaks: its traffic, the size of its volume.
	Before Fault
	Fault  Fault
	// Also are the alerts that the fault rightly raises as well.
	Also []string
	// Alone has the spec show as well that the alert does not clear by itself.
	Alone bool
	// Serial has the spec run while no other does: its fault is a matter of processor time.
	Serial bool
	// Long has the spec begin before others do: whatever waits for rates takes a minute, which all would wait for in the end.
	Long bool
	// Instead, where it is set, is a branch that the operator follows first, and that this fault makes fail.
	Instead string
	// Well looks at the world before the branch is followed, and returns what has to be seen once the alert is cleared.
	Well func(SpecContext, *world.Host) func(SpecContext)
}

// watchdog fires always: it proves that alerts arrive.
const watchdog = "Watchdog"

// Branches makes a spec of each drill, and one that demands a drill for each branch of each runbook about a rule file.
func Branches(file string, drills []Drill) bool {
	return Describe("Each branch of each runbook", func() {
		for _, d := range drills {
			decorations := []any{Label(d.Alert)}
			if d.Serial {
				decorations = append(decorations, Serial)
			}
			if d.Long {
				decorations = append(decorations, SpecPriority(1))
			}
			It(fmt.Sprintf("clears %s: %s", d.Alert, d.Branch), append(decorations, d.run)...)
		}
		var names []string
		for _, d := range drills {
			names = append(names, d.Alert)
		}
		slices.Sort(names)
		It("has a drill here", Label(append(slices.Compact(names), OnPaper)...), func() { haveDrills(file, drills) })
	})
}

func (d Drill) run(ctx SpecContext) {
	About(d.Alert, d.Branch)
	host := w.Host()
	if d.Before != nil {
		Step("before anything breaks")
		Expect(d.Before(ctx, host)).To(Succeed())
	}
	began := time.Now()
	alert, page := Fire(ctx, d.Alert, d.Fault)
	if d.Alone {
		Step("waiting for longer than it took to fire, and not clearing by itself")
		Expect(w.Leap(ctx, alert.For+alert.Window()+time.Hour)).To(Succeed())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		Consistently(ctx, alert.Observe).ShouldNot(BeCleared())
		Expect(w.Notifications(ctx)).NotTo(HaveResolved(page.Receiver, alert))
	}
	before, err := w.Firing(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(before).To(HaveEach(BeElementOf(append(d.Also, d.Alert, watchdog))), "the fault raises what it is said to raise")

	book, err := alert.Runbook()
	Expect(err).NotTo(HaveOccurred())
	Step("investigating")
	investigation, err := book.Section("Investigation Steps")
	Expect(err).NotTo(HaveOccurred())
	transcript, err := host.Follow(ctx, investigation, page.Labels)
	Expect(err).NotTo(HaveOccurred())
	GinkgoWriter.Println(transcript)

	if d.Instead != "" {
		Step("following first the branch that cannot help: " + d.Instead)
		branch, err := book.Branch(d.Instead)
		Expect(err).NotTo(HaveOccurred())
		transcript, err := host.Follow(ctx, branch, page.Labels)
		GinkgoWriter.Println(transcript)
		Expect(err).To(MatchError(ContainSubstring(d.Instead)), "the fault is there to make it fail")
		Expect(transcript).To(HaveLen(1), "it fails at its rehearsal, before anything is changed")
		Eventually(ctx, alert.Observe).Should(BeFiring())
	}
	well := func(SpecContext) {}
	if d.Well != nil {
		well = d.Well(ctx, host)
	}

	Step("following the branch, knowing only what the alert says")
	branch, err := book.Branch(d.Branch)
	Expect(err).NotTo(HaveOccurred())
	transcript, err = host.Follow(ctx, branch, page.Labels)
	GinkgoWriter.Println(transcript)
	Expect(err).NotTo(HaveOccurred())

	if window := alert.Window(); window > 0 {
		Step("being well for as long as the rule looks back, at most " + window.String())
		Expect(w.Steady(ctx)).To(Succeed())
		Expect(w.LeapToEnd(ctx, window, alert)).To(Succeed())
	}
	Step("clearing, and not by falling silent")
	Eventually(ctx, alert.Observe).Should(BeCleared())
	Eventually(ctx, w.Notifications).Should(HaveResolved(page.Receiver, alert))
	beyond := time.Since(began) - w.Followed()
	Expect(w.Firing(ctx)).To(HaveEach(BeElementOf(append(before, watchdog))), "no alert fires that did not fire before")

	Step("being well")
	well(ctx)
	what := "fired, was followed, cleared"
	if d.Alone {
		what = "fired, did not clear alone, was followed, cleared"
	}
	provedIn(beyond, d.Alert, d.Branch, what)
}

func haveDrills(file string, drills []Drill) {
	GinkgoHelper()
	var drilled, written []string
	for _, d := range drills {
		drilled = append(drilled, d.Alert+": "+d.Branch)
	}
	_, rules, runbooks := project()
	alerts, err := rule.LoadDir(rules)
	Expect(err).NotTo(HaveOccurred())
	for _, alert := range alerts {
		if filepath.Base(alert.File) != file || alert.Name == watchdog { // e2e/meta has a drill of its own for what never clears
			continue
		}
		book, err := runbook.Load(filepath.Join(runbooks, alert.Name+".md"))
		Expect(err).NotTo(HaveOccurred())
		for _, branch := range book.Branches() {
			written = append(written, alert.Name+": "+branch.Name)
		}
	}
	Expect(drilled).To(ConsistOf(written), "a branch that nobody follows is not proven")
}
