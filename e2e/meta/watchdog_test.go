package meta

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

var _ = Describe("Watchdog", Label("Watchdog"), func() {
	// heard is when the dead man's switch heard of it last; the runbook's own test does not count.
	heard := func(ctx context.Context) (time.Time, error) {
		got, err := w.Notifications(ctx)
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

	It("is always firing, and the dead man's switch hears of it again and again", func(ctx SpecContext) {
		alert, err := w.Alert("Watchdog")
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)
		drill.Step("a day later, too")
		Expect(w.Leap(ctx, 24*time.Hour)).To(Succeed())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)
		Expect(w.Firing(ctx)).To(Equal([]string{"Watchdog"}), "nothing else fires where nothing is broken")
		drill.Proved("Watchdog", "nothing is broken", "fires, and is heard again and again")
	})

	drilled := drill.Drill{Alert: "Watchdog", Branch: "If Alertmanager Does Not Deliver"}
	It("is heard again after: "+drilled.Branch, func(ctx SpecContext) {
		alert, err := w.Alert(drilled.Alert)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		hears(ctx)

		drill.Step("somebody silencing it")
		Expect(w.Silence(ctx, drilled.Alert)).To(Succeed())
		var silent time.Time
		Eventually(ctx, func(ctx context.Context) (time.Duration, error) {
			var err error
			silent, err = heard(ctx)
			return time.Since(silent), err
		}).Should(BeNumerically(">", 10*time.Second), "which is ten times as long as it usually takes")

		drill.Step("investigating")
		book, err := alert.Runbook()
		Expect(err).NotTo(HaveOccurred())
		investigation, err := book.Section("Investigation Steps")
		Expect(err).NotTo(HaveOccurred())
		transcript, err := w.Host().Follow(ctx, investigation, alert.Labels)
		GinkgoWriter.Println(transcript)
		Expect(err).NotTo(HaveOccurred())
		Expect(transcript.String()).To(ContainSubstring("suppressed"))
		Expect(heard(ctx)).To(Equal(silent), "an investigation is no cure")

		drill.Step("following the branch")
		followed, err := book.Branch(drilled.Branch)
		Expect(err).NotTo(HaveOccurred())
		transcript, err = w.Host().Follow(ctx, followed, alert.Labels)
		GinkgoWriter.Println(transcript)
		Expect(err).NotTo(HaveOccurred())
		hears(ctx)
		Expect(w.Firing(ctx)).To(Equal([]string{"Watchdog"}))
		drill.Proved(drilled.Alert, drilled.Branch, "fell silent, was followed, is heard again")
	})
})
