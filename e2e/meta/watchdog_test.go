package meta

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/tools/drill"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

var _ = Describe("Watchdog", Label("Watchdog"), func() {
	// heard is when the dead man's switch heard of it last; the runbook's own test does not count.
	heard := func(ctx context.Context) (time.Time, error) {
		got, err := env.Notifications(ctx)
		var last time.Time
		for _, n := range got {
			if n.Receiver == "deadman" && n.Alert() == "Watchdog" && n.Status == "firing" && n.Labels["test"] == "" {
				last = n.Received
			}
		}
		return last, err
	}
	// hears waits until the switch has heard of it twice more.
	hears := func(ctx SpecContext) {
		GinkgoHelper()
		for range 2 {
			last, err := heard(ctx)
			Expect(err).NotTo(HaveOccurred())
			Eventually(ctx, heard).Should(BeTemporally(">", last))
		}
	}

	env.It("is always firing, and the dead man's switch hears of it again and again", func(ctx SpecContext) {
		alert, err := env.Alert("Watchdog")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)
		env.Step("a day later, too")
		Expect(env.Leap(ctx, 24*time.Hour)).To(Succeed())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)
		Expect(env.Firing(ctx)).To(Equal([]string{"Watchdog"}), "nothing else fires where nothing is broken")
		env.Proved("Watchdog", "nothing is broken", "fires, and is heard again and again")
	})

	drilled := drill.Drill{Alert: "Watchdog", Branch: "If Alertmanager Does Not Deliver"}
	env.It("is heard again after: "+drilled.Branch, func(ctx SpecContext) {
		alert, err := env.Alert(drilled.Alert)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)

		env.Step("silenced")
		Expect(env.Silence(ctx, drilled.Alert)).To(Succeed())
		var silent time.Time
		Eventually(ctx, func(ctx context.Context) (time.Duration, error) {
			var err error
			silent, err = heard(ctx)
			return time.Since(silent), err
		}).Should(BeNumerically(">", 10*time.Second), "which is ten times as long as it usually takes")

		env.Step("investigating")
		book, err := alert.Runbook()
		Expect(err).NotTo(HaveOccurred())
		investigation, err := book.Section("Investigation Steps")
		Expect(err).NotTo(HaveOccurred())
		transcript, err := env.Follow(ctx, investigation, alert.Labels)
		GinkgoWriter.Println(transcript)
		Expect(err).NotTo(HaveOccurred())
		Expect(transcript.String()).To(ContainSubstring("suppressed"))
		Expect(heard(ctx)).To(Equal(silent), "an investigation changes nothing")

		env.Step("following the branch")
		followed, err := book.Branch(drilled.Branch)
		Expect(err).NotTo(HaveOccurred())
		transcript, err = env.Follow(ctx, followed, alert.Labels)
		GinkgoWriter.Println(transcript)
		Expect(err).NotTo(HaveOccurred())
		hears(ctx)
		Expect(env.Firing(ctx)).To(Equal([]string{"Watchdog"}))
		env.Proved(drilled.Alert, drilled.Branch, "fell silent, runbook followed, is heard again")
	})
})
