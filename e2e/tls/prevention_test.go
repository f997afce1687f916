package tls

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

var _ = Describe("Prevention", Label("CertificateExpiringSoon", "CertificateExpiringWarning"), func() {
	It("makes a certificate that comes due renew and reload by itself", func(ctx SpecContext) {
		host := w.Host()
		labels := map[string]string{"domain": world.Domain}
		soon, err := w.Alert("CertificateExpiringSoon")
		Expect(err).NotTo(HaveOccurred())
		warning, err := w.Alert("CertificateExpiringWarning")
		Expect(err).NotTo(HaveOccurred())
		book, err := soon.Runbook()
		Expect(err).NotTo(HaveOccurred())

		drill.Step("starting from a host without it")
		Expect(host.Run(ctx, "systemctl disable --now certbot.timer")).To(Succeed())
		for _, heading := range []string{"Prevention", "Operational Best Practices"} {
			drill.Step("following " + heading)
			section, err := book.Section(heading)
			Expect(err).NotTo(HaveOccurred())
			transcript, err := host.Follow(ctx, section, labels)
			GinkgoWriter.Println(transcript)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(host.Output(ctx, "systemctl is-enabled certbot.timer")).To(Equal("enabled\n"))

		drill.Step("having the timer's next turn come within seconds instead of hours: its schedule, and nothing else of it")
		Expect(host.Run(ctx, `mkdir -p /run/systemd/system/certbot.timer.d
printf '[Timer]\nOnCalendar=\nOnCalendar=*-*-* *:*:00/5\nRandomizedDelaySec=0\nAccuracySec=100ms\n' > /run/systemd/system/certbot.timer.d/schedule.conf
systemctl daemon-reload
systemctl restart certbot.timer`)).To(Succeed())

		drill.Step("coming due")
		due, err := w.Issue(ctx, world.LetsEncrypt, 30*day+5*time.Second)
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Install(ctx, due)).To(Succeed())

		drill.Step("being renewed and served without anybody's hand")
		Eventually(ctx, host.Certificate).Should(HaveField("Left()", BeNumerically(">", 80*day)))
		renewed, err := host.Certificate(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(renewed.Unverified).NotTo(HaveOccurred())
		Eventually(ctx, soon.Observe).Should(BeQuiet())
		Eventually(ctx, warning.Observe).Should(BeQuiet())

		drill.Step("never having fired, a day later either")
		Expect(w.Leap(ctx, day)).To(Succeed())
		for _, alert := range []*world.Alert{soon, warning} {
			Eventually(ctx, alert.Observe).Should(BeQuiet())
			Expect(alert.EverFired(ctx)).To(BeFalse(), alert.Name)
		}
		Expect(w.Notifications(ctx)).To(HaveEach(HaveField("Receiver", "deadman")), "nobody was called")
		drill.Proved("CertificateExpiringSoon", "Prevention", "renewed by itself, never fired")
	})
})
