package stemedb

import (
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/rule"
	"github.com/stemedb/firedrill/tools/runbook"
)

// Drills makes a spec of each drill, and one that demands a drill for each branch of each runbook about a rule file. What
// always fires never resolves, so that it needs another proof.
func (e *Environment) Drills(file string, drills []drill.Drill) bool {
	return Describe("Each branch of each runbook", func() {
		set, alerts, _ := alertsOf(file) // a rule file that cannot be read fails each spec
		var names []string
		for _, d := range drills {
			names = append(names, d.Alert)
			decorations := []any{Label(d.Alert)}
			if d.Exclusive {
				decorations = append(decorations, Serial)
			}
			if i := slices.IndexFunc(alerts, func(a rule.Alert) bool { return a.Name == d.Alert }); i >= 0 && set.Window(alerts[i].Expr) > 0 {
				decorations = append(decorations, SpecPriority(1)) // what waits for rates takes longest: it begins first
			}
			It(fmt.Sprintf("resolves %s: %s", d.Alert, d.Branch), append(decorations, func(ctx SpecContext) {
				e.About(d.Alert, d.Branch)
				proof, err := drill.Run(ctx, e.Testbed, d)
				e.add(proof)
				if err != nil {
					Fail(err.Error())
				}
			})...)
		}
		slices.Sort(names)
		It("has a drill here", Label(append(slices.Compact(names), NoTestbed)...), func() {
			e.About("(runbooks)", "branches of rules/"+file)
			haveDrills(file, drills)
			e.Proved("(runbooks)", "branches of rules/"+file, "each has a drill")
		})
	})
}

func haveDrills(file string, drills []drill.Drill) {
	GinkgoHelper()
	var drilled, written []string
	for _, d := range drills {
		drilled = append(drilled, d.Alert+": "+d.Branch)
	}
	_, _, runbooks := project()
	_, alerts, err := alertsOf(file)
	Expect(err).NotTo(HaveOccurred())
	folder, err := runbook.ReadFolder(runbooks, runbook.Grammar{})
	Expect(err).NotTo(HaveOccurred())
	for _, alert := range alerts {
		if alert.Always() {
			continue
		}
		book, err := folder.For(alert.Name, alert.Annotations["runbook_url"])
		Expect(err).NotTo(HaveOccurred())
		for _, branch := range book.Branches() {
			written = append(written, alert.Name+": "+branch.Name)
		}
	}
	Expect(drilled).To(ConsistOf(written), "a branch without a drill is not proven")
}
