package tls

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/stemedb/firedrill/e2e/stemedb"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

var _ = Describe("The threshold", func() {
	for name, threshold := range map[string]time.Duration{
		"CertificateExpiringWarning": 30 * day,
		"CertificateExpiringSoon":    7 * day,
		"CertificateExpired":         0,
	} {
		days := fmt.Sprintf("%d days", threshold/day)
		env.It(fmt.Sprintf("of %s is crossed live, at %s", name, days), Label(name), func(ctx SpecContext) {
			const margin = 8 * time.Second
			alert, err := env.Alert(name)
			Expect(err).NotTo(HaveOccurred())
			certificate, err := env.Issue(ctx, stemedb.LetsEncrypt, threshold+margin)
			Expect(err).NotTo(HaveOccurred())
			crossed := certificate.Leaf.NotAfter.Add(-threshold)
			Expect(env.Host().Install(ctx, certificate)).To(Succeed())

			env.Step("inactive while some seconds are left")
			Eventually(ctx, alert.Observe).WithTimeout(time.Until(crossed)).Should(BeInactive())

			if alert.For == 0 {
				env.Step("firing at once when they are over")
				Eventually(ctx, alert.Observe).Should(And(BeFiring(), haveBegun(crossed)))
			} else {
				env.Step("pending when they are over")
				Eventually(ctx, alert.Observe).Should(And(BePending(), haveBegun(crossed)))

				env.Step("pending when the rule's time is almost over")
				const little = 2 * time.Minute
				Expect(env.Leap(ctx, alert.For-little)).To(Succeed())
				Eventually(ctx, alert.Observe).Should(BePending())
				Consistently(ctx, alert.Observe).ShouldNot(BeFiring())

				env.Step("firing when it is over")
				Expect(env.Leap(ctx, little)).To(Succeed())
				Eventually(ctx, alert.Observe).Should(BeFiring())
			}
			receivers, _ := env.Receivers(alert.Labels)
			Eventually(ctx, env.Notifications).Should(HaveReached(receivers[0], alert))
			env.Proved(name, "threshold of "+days, "inactive, crossed live, fired when due")
		})
	}
})

// haveBegun wants the alert to be active since the moment, as closely as scrapes and evaluations can tell.
func haveBegun(moment time.Time) types.GomegaMatcher {
	return HaveField("Instances", ConsistOf(HaveField("Since", BeTemporally("~", moment, 3*time.Second))))
}
