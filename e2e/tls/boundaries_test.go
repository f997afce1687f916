package tls

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

var _ = Describe("The threshold", func() {
	for name, threshold := range map[string]time.Duration{
		"CertificateExpiringWarning": 30 * day,
		"CertificateExpiringSoon":    7 * day,
		"CertificateExpired":         0,
	} {
		days := fmt.Sprintf("%d days", threshold/day)
		It(fmt.Sprintf("of %s is crossed before our eyes, at %s", name, days), Label(name), func(ctx SpecContext) {
			const margin = 8 * time.Second
			alert, err := w.Alert(name)
			Expect(err).NotTo(HaveOccurred())
			certificate, err := w.Issue(ctx, world.LetsEncrypt, threshold+margin)
			Expect(err).NotTo(HaveOccurred())
			crossed := certificate.Leaf.NotAfter.Add(-threshold)
			Expect(w.Host().Install(ctx, certificate)).To(Succeed())

			drill.Step("being quiet while some seconds are left")
			Eventually(ctx, alert.Observe).WithTimeout(time.Until(crossed)).Should(BeQuiet())

			if alert.For == 0 {
				drill.Step("firing at once when they are over")
				Eventually(ctx, alert.Observe).Should(And(BeFiring(), haveBegun(crossed)))
			} else {
				drill.Step("being pending when they are over")
				Eventually(ctx, alert.Observe).Should(And(BePending(), haveBegun(crossed)))

				drill.Step("being pending still when the rule's time is almost over")
				const little = 2 * time.Minute
				Expect(w.Leap(ctx, alert.For-little)).To(Succeed())
				Eventually(ctx, alert.Observe).Should(BePending())
				Consistently(ctx, alert.Observe).ShouldNot(BeFiring())

				drill.Step("firing when it is over")
				Expect(w.Leap(ctx, little)).To(Succeed())
				Eventually(ctx, alert.Observe).Should(BeFiring())
			}
			Eventually(ctx, w.Notifications).Should(HaveReached(drill.Receivers[alert.Labels["severity"]], alert))
			drill.Proved(name, "threshold of "+days, "quiet, crossed live, fired when due")
		})
	}
})

// haveBegun wants the alert to be active since the moment, as closely as scrapes and evaluations can tell.
func haveBegun(moment time.Time) types.GomegaMatcher {
	return HaveField("Instances", ConsistOf(HaveField("Since", BeTemporally("~", moment, 3*time.Second))))
}
