package tls

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/testbed"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

var _ = Describe("Prevention", Label("CertificateExpiringSoon", "CertificateExpiringWarning"), func() {
	env.It("makes a certificate that comes due renew and reload by itself", func(ctx SpecContext) {
		host := env.Host()
		labels := map[string]string{"domain": stemedb.Domain}
		soon, err := env.Alert("CertificateExpiringSoon")
		Expect(err).NotTo(HaveOccurred())
		warning, err := env.Alert("CertificateExpiringWarning")
		Expect(err).NotTo(HaveOccurred())
		book, err := soon.Runbook()
		Expect(err).NotTo(HaveOccurred())

		env.Step("a host without it")
		Expect(host.Run(ctx, "systemctl disable --now certbot.timer")).To(Succeed())
		for _, heading := range []string{"Prevention", "Operational Best Practices"} {
			env.Step("following " + heading)
			section, err := book.Section(heading)
			Expect(err).NotTo(HaveOccurred())
			transcript, err := env.Follow(ctx, section, labels)
			GinkgoWriter.Println(transcript)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(host.Output(ctx, "systemctl is-enabled certbot.timer")).To(Equal("enabled\n"))

		env.Step("the timer's next turn comes within seconds instead of hours: its schedule is changed, and nothing else")
		Expect(host.Run(ctx, `mkdir -p /run/systemd/system/certbot.timer.d
printf '[Timer]\nOnCalendar=\nOnCalendar=*-*-* *:*:00/5\nRandomizedDelaySec=0\nAccuracySec=100ms\n' > /run/systemd/system/certbot.timer.d/schedule.conf
systemctl daemon-reload
systemctl restart certbot.timer`)).To(Succeed())

		env.Step("the certificate comes due")
		due, err := env.Issue(ctx, stemedb.LetsEncrypt, 30*day+5*time.Second)
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Install(ctx, due)).To(Succeed())

		env.Step("renewed and served without an operator")
		Eventually(ctx, host.Certificate).Should(HaveField("Left()", BeNumerically(">", 80*day)))
		renewed, err := host.Certificate(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(renewed.Unverified).NotTo(HaveOccurred())
		Eventually(ctx, soon.Observe).Should(BeInactive())
		Eventually(ctx, warning.Observe).Should(BeInactive())

		env.Step("has never fired, a day later either")
		Expect(env.Leap(ctx, day)).To(Succeed())
		for _, alert := range []*testbed.Alert{soon, warning} {
			Eventually(ctx, alert.Observe).Should(BeInactive())
			Expect(alert.EverFired(ctx)).To(BeFalse(), alert.Name)
		}
		Expect(env.Notifications(ctx)).To(HaveEach(HaveField("Receiver", "deadman")), "no receiver was notified")
		env.Proved("CertificateExpiringSoon", "Prevention", "renewed by itself, never fired")
	})
})
