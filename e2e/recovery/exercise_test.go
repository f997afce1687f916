package recovery

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/journal"
	"github.com/stemedb/firedrill/tools/scenario"
	"github.com/stemedb/firedrill/tools/testbed"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

var _ = Describe("A disaster", func() {
	scenarios, err := scenario.Load("scenarios.yml")
	if err != nil {
		Fail(err.Error())
	}
	for _, s := range scenarios {
		It("is recovered from: "+s.Name, Label("drill", s.Alert), SpecTimeout(gameDay+time.Hour), func(ctx SpecContext) {
			d, ok := disasters[s.Name]
			Expect(ok).To(BeTrue(), "the disaster %s has an entry in disasters", s.Name)
			(&exercise{Scenario: s, disaster: d}).run(ctx)
		})
	}
	It("has a scenario for each that can come true", Label("drill", stemedb.NoTestbed), func() {
		var written []string
		for _, s := range scenarios {
			written = append(written, s.Name)
		}
		for name := range disasters {
			Expect(written).To(ContainElement(name))
		}
	})
})

// exercise is one disaster on its way from a steady state to a steady state.
type exercise struct {
	scenario.Scenario
	disaster

	load     *stemedb.Load
	struck   time.Time
	well     time.Time
	measured *journal.Recovery
	moments  []journal.Moment
	findings []string
}

// note adds to the timeline what happens now.
func (e *exercise) note(format string, args ...any) time.Time {
	m := journal.Moment{At: time.Now(), What: fmt.Sprintf(format, args...)}
	e.moments = append(e.moments, m)
	env.Step(m.What)
	return m.At
}

func (e *exercise) run(ctx SpecContext) {
	env.About(e.Alert, e.Name)
	DeferCleanup(e.report) // also of what did not come to its end

	Expect(e.prepare(ctx)).To(Succeed())
	var err error
	// On new connections: one that is open outlives a certificate.
	e.load, err = env.Load(ctx, stemedb.Traffic{Writes: 10, Connections: 2, NewConnections: true})
	Expect(err).NotTo(HaveOccurred())
	e.note("clients write, and what they write is on its way to the bucket by the timers alone")
	since := time.Now()
	Eventually(ctx, func(ctx context.Context) (string, error) {
		return env.Host().Output(ctx, fmt.Sprintf("journalctl --unit stemedb-wal-archive --since @%d --output cat", since.Unix()))
	}).WithTimeout(4*time.Minute).Should(ContainSubstring("shipped to the bucket"), "each minute, closed segments are shipped")
	Expect(env.Firing(ctx)).To(Equal([]string{"Watchdog"}), "the steady state before")

	alert, page := env.Fire(ctx, e.Alert, func(ctx context.Context) error {
		err := e.strike(ctx)
		e.struck = e.note("disaster: %s", e.Description) // what was acknowledged until it was over, was before it
		return err
	})
	e.note("%s is paged: %s", alert.Name, page.Annotations["summary"])

	if e.provide != nil {
		Expect(e.provide(ctx)).To(Succeed())
		e.note("a blank host is there, and the recovery kit from the safe")
	}
	if os.Getenv("FIREDRILL_PAUSE") != "" {
		e.handOver(ctx, alert, page)
	} else {
		e.follow(ctx, page.Labels)
	}

	Eventually(ctx, e.back).Should(Succeed())
	e.note("the service has been well since %s", e.well.UTC().Format(time.TimeOnly))
	Eventually(ctx, alert.Observe).Should(BeInactive())
	Eventually(ctx, env.Notifications).Should(HaveResolved(page.Receiver, alert))
	e.note("%s is resolved", alert.Name)
	Eventually(ctx, env.Firing).Should(Equal([]string{"Watchdog"}), "the steady state after")
	e.note("the steady state is back")

	measured := e.measure(ctx)
	Expect(measured.RTO.Duration()).To(BeNumerically("<=", e.Objectives.RTO), "RTO")
	Expect(measured.RPO.Duration()).To(BeNumerically("<=", e.Objectives.RPO), "RPO")
	Expect(*measured.RPORecords).To(BeNumerically("<=", e.Objectives.Records), "RPO in records")
	env.Proved(e.Alert, e.Name, fmt.Sprintf("recovered in %s, lost %d records of %s",
		measured.RTO.Duration().Round(time.Second), *measured.RPORecords, measured.RPO.Duration().Round(time.Second)))
}

// follow does what the runbook says, to the letter.
func (e *exercise) follow(ctx SpecContext, labels map[string]string) {
	book, err := env.Runbook(e.Runbook)
	Expect(err).NotTo(HaveOccurred())
	branch, err := book.Branch(e.Branch)
	Expect(err).NotTo(HaveOccurred())
	e.note("%s.md, %q, is followed", e.Runbook, e.Branch)
	transcript, err := env.Follow(ctx, branch, labels)
	GinkgoWriter.Println(transcript)
	Expect(err).NotTo(HaveOccurred())
	e.note("the runbook has come to its end")
	Expect(transcript.String()).To(ContainSubstring(e.says))
	if e.says != "" {
		for line := range strings.Lines(transcript.String()) {
			if strings.Contains(line, e.says) {
				e.findings = append(e.findings, strings.TrimSpace(line))
			}
		}
	}
}

// gameDay is how long people have, where they are to follow the runbook.
const gameDay = 4 * time.Hour

// handOver leaves it to people, and waits until the alert has cleared.
func (e *exercise) handOver(ctx SpecContext, alert *testbed.Alert, page testbed.Notification) {
	env.Say("it is yours, within %s: %s\n%s", gameDay, page.Annotations["runbook_url"], env.Enter())
	e.note("the runbook is handed to people")
	Expect(env.WithResponders(ctx, func(ctx context.Context) error {
		Eventually(ctx, alert.Observe).WithTimeout(gameDay).WithPolling(time.Second).Should(BeInactive())
		return nil
	})).To(Succeed())
}

// back says what is missing until the service is well: until a client is told again, for the first time since the
// disaster, that what it wrote is durable; or what the disaster itself takes for that, where clients notice nothing of it.
func (e *exercise) back(ctx context.Context) (err error) {
	if e.whole != nil {
		e.well, err = e.whole(ctx, e.struck)
		return err
	}
	if e.well = e.load.Since(e.struck); e.well.IsZero() {
		return errors.New("no write has been acknowledged since the disaster")
	}
	return nil
}

// measure asks the clients' ledger.
func (e *exercise) measure(ctx SpecContext) journal.Recovery {
	e.load.Stop()
	lost, err := e.load.Lost(ctx)
	Expect(err).NotTo(HaveOccurred())
	rto := journal.Seconds(env.OnAxis(e.well).Sub(env.OnAxis(e.struck)))
	records, rpo := int64(len(lost)), journal.Seconds(0)
	for _, l := range lost {
		Expect(l.At).To(BeTemporally("<", e.struck), "what was acknowledged after the disaster is there")
		rpo = max(rpo, journal.Seconds(e.struck.Sub(l.At)))
	}
	e.measured = &journal.Recovery{RTO: &rto, RPO: &rpo, RPORecords: &records}
	e.note("of %d acknowledged writes, the clients miss %d", e.load.Written(), records)
	return *e.measured
}

// report adds what an auditor asks.
func (e *exercise) report(ctx SpecContext) {
	rto, rpo, records := journal.Seconds(e.Objectives.RTO), journal.Seconds(e.Objectives.RPO), e.Objectives.Records
	seed, _ := strconv.ParseUint(os.Getenv("FIREDRILL_SEED"), 10, 64)
	d := journal.Drill{
		Scenario:   journal.Scenario{Name: e.Name, Description: e.Description, Seed: seed},
		Objectives: journal.Recovery{RTO: &rto, RPO: &rpo, RPORecords: &records},
		Deviations: []string{}, Findings: append([]string{}, e.findings...), Limits: append(append([]string{}, limits...), e.Limits...),
		Timeline: []journal.Moment{},
	}
	if e.measured != nil {
		d.Measured = *e.measured
	}
	for _, m := range e.moments {
		d.Timeline = append(d.Timeline, journal.Moment{At: env.OnAxis(m.At).UTC(), What: m.What})
	}
	if os.Getenv("FIREDRILL_PAUSE") != "" {
		d.Limits = append(d.Limits, "People followed the runbook: what they typed is not recorded.")
	} else {
		d.Limits = append(d.Limits, "The runbook was followed by a machine: the time that people take to wake up, to read and to decide is not in the RTO.")
	}
	env.Rehearsed(ctx, d)
}

// limits are those of every exercise.
var limits = []string{
	"Let's Encrypt is Pebble, its test server: the protocol is the same, the rate limits and the delays are not.",
	"Time that a rule asks for was leapt, not waited for. It counts in the RTO as if it had been waited for.",
	"The host is a container with systemd on the machine of the exercise, and the bucket is Versity's S3 gateway beside it: networks and disks are faster than production's.",
	"The data are as much as the clients wrote in the exercise. Restoring more takes longer.",
}
