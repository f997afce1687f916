package sabotage

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/image"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/project"
	"github.com/stemedb/firedrill/tools/prove"
)

// The example is broken as its owners might break it.
var _ = Describe("The drills of a firedrill.yml fail when", Label("sabotage"), func() {
	It("a step, a verification, a responder or the system itself fails", SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		const what = "a firedrill.yml whose drills cannot pass"
		note(what, "")
		p := edited(
			"runbooks/SiteDown.md", "   service nginx start\n", "   service nginx begin\n",
			"firedrill.yml", "verify: &follow_link curl", "verify: &follow_link curl --no-such-option",
			"firedrill.yml", "run: ca-sign 365 <", "run: ca-sine 365 <",
		)
		result, err := prove.Drills(ctx, config(ctx, p), p.Drills[:4])
		Expect(err).NotTo(HaveOccurred())
		Expect(failures(result)).To(ConsistOf(
			And(HavePrefix("SiteDown: If nginx Was Killed: false: runbook: "), ContainSubstring(`runbooks/SiteDown.md:`), ContainSubstring(`"If nginx Was Killed" 3/3: exit 3, expected 0`)),
			And(HavePrefix("SiteDown: If The Configuration Is Broken: false: verify: "), ContainSubstring("--no-such-option")),
			And(HavePrefix("SiteDown: If The Certificate Ran Out: false: runbook: "), ContainSubstring("firedrill.yml:32: a responder: "), ContainSubstring("ca-sine: command not found")),
			And(HavePrefix("RedisUnreachable: If The Network Is Cut: false: verify: ")),
		))
		note(what, "failed, and named each cause")
	})

	It("the load ends, or the system does not start", SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		const what = "a load that ends, a system that does not start"
		note(what, "")
		p := edited("firedrill.yml", "drills:\n", "load: {run: 'echo no more >&2; exit 3'}\ndrills:\n")
		result, err := prove.Drills(ctx, config(ctx, p), p.Drills[:1])
		Expect(err).NotTo(HaveOccurred())
		Expect(failures(result)).To(ConsistOf(And(HavePrefix("SiteDown: If nginx Was Killed: false: the load ended before the drill: "), ContainSubstring("exit 3: no more"))))

		p = edited("firedrill.yml", "ready: curl", "ready: test -e /none && curl", "compose.yml", "command: [redis-server,", "command: [redis-serve,")
		result, err = prove.Drills(ctx, config(ctx, p), p.Drills[:2])
		Expect(err).NotTo(HaveOccurred())
		Expect(failures(result)).To(HaveEach(And(ContainSubstring(": unknown: the testbed did not start: "), ContainSubstring("redis-serve"))))
		Expect(result.Proofs).To(HaveLen(2))
		note(what, "failed, and named each cause")
	})

	It("the recovery takes longer than it may, and the loss is more", SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		const what = "a disaster that misses its objectives"
		note(what, "")
		p := edited("firedrill.yml", "{rto: 10m, rpo: 24h, records: 100}", "{rto: 1s, rpo: 24h, records: 9}")
		result, err := prove.Scenarios(ctx, config(ctx, p), p.Scenarios, prove.Exercise{})
		Expect(err).NotTo(HaveOccurred())
		Expect(failures(result)).To(ConsistOf(And(HavePrefix("links-flushed: false: the recovery took 1m"),
			ContainSubstring("the objective (rto) is 1s"), ContainSubstring("10 records are lost: the objective (records) is 9"))))
		drill := result.Proofs[0].Drill
		Expect(drill.Measured.RTO.Duration()).To(BeNumerically(">", time.Minute), "what the rule waits for is part of it")
		Expect(drill.Measured.RPO.Duration()).To(BeNumerically("<", time.Minute))
		note(what, "failed, with what was measured")
	})
})

var _ = Describe("A firedrill.yml", Label("sabotage"), func() {
	It("needs no more of the operator than bash, and others can restore what was stopped", SpecTimeout(10*time.Minute), func(ctx SpecContext) {
		const what = "an operator that has bash and nothing else"
		note(what, "")
		p, err := project.Load("bare/" + project.FileName)
		Expect(err).NotTo(HaveOccurred())
		result, err := prove.Drills(ctx, config(ctx, p), p.Drills)
		Expect(err).NotTo(HaveOccurred())
		Expect(failures(result)).To(BeEmpty())
		Expect(result.Proofs).To(HaveLen(1))
		note(what, "fired, runbook followed, resolved")
	})
})

// edited is a copy of the example with edits: the file, the text, found once, and what it becomes.
func edited(edits ...string) *project.Project {
	GinkgoHelper()
	folder := GinkgoT().TempDir()
	Expect(os.CopyFS(folder, os.DirFS("../../fixtures/examples/web"))).To(Succeed())
	for i := 0; i < len(edits); i += 3 {
		file := filepath.Join(folder, edits[i])
		content, err := os.ReadFile(file)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(content), edits[i+1])).To(Equal(1), "the text to break stands there once: %q", edits[i+1])
		Expect(os.WriteFile(file, []byte(strings.Replace(string(content), edits[i+1], edits[i+2], 1)), 0o644)).To(Succeed())
	}
	p, err := project.Load(filepath.Join(folder, project.FileName))
	Expect(err).NotTo(HaveOccurred())
	return p
}

// config proves a project on two testbeds.
func config(ctx SpecContext, p *project.Project) prove.Config {
	GinkgoHelper()
	images, err := image.Resolve(ctx, append([]image.Name{image.Prometheus, image.Alertmanager, image.Receiver}, p.Images...)...)
	Expect(err).NotTo(HaveOccurred())
	return prove.Config{Project: p, Images: images, Procs: 2, Evidence: GinkgoT().TempDir(), Secrets: &strings.Builder{}, Progress: GinkgoWriter}
}

// failures are the proofs that are not true, a line or more each.
func failures(result prove.Result) (all []string) {
	for _, p := range result.Proofs {
		if p.Verdict != journal.True {
			all = append(all, p.Spec+": "+string(p.Verdict)+": "+p.Failure)
		}
	}
	return all
}
