package tls

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

// What is not a cure must not look like one. That an alert does not clear with no steps at all is part of its drill.
var _ = Describe("Without its cure", func() {
	It("CertificateExpiringSoon does not clear by a certificate that nobody reloads", Label("CertificateExpiringSoon"), func(ctx SpecContext) {
		alert, _ := drill.Fire(ctx, "CertificateExpiringSoon", drill.Expiring(world.LetsEncrypt, 6*day))
		renewed, err := w.Issue(ctx, world.LetsEncrypt, 90*day)
		Expect(err).NotTo(HaveOccurred())
		Expect(w.Host().Place(ctx, renewed)).To(Succeed())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		Consistently(ctx, alert.Observe).ShouldNot(BeCleared())
		drill.Proved("CertificateExpiringSoon", "renewed, not reloaded", "did not clear")
	})

	for what, breakage := range map[string]struct{ script, journal string }{
		"is garbage":             {"echo garbage > /etc/stemedb/tls/cert.pem", "certificate reload failed"},
		"cannot be read":         {"chown root:root /etc/stemedb/tls/key.pem && chmod 600 /etc/stemedb/tls/key.pem", "permission denied"},
		"belongs to another key": {"openssl ecparam -name prime256v1 -genkey -noout -out /etc/stemedb/tls/key.pem", "private key does not match"},
		"has expired itself":     {"", "expired"},
	} {
		It("CertificateExpiringSoon does not clear by a reload of a certificate that "+what, Label("CertificateExpiringSoon"), func(ctx SpecContext) {
			host := w.Host()
			alert, _ := drill.Fire(ctx, "CertificateExpiringSoon", drill.Expiring(world.LetsEncrypt, 6*day))
			served, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())

			if breakage.script == "" {
				dead, err := w.Issue(ctx, world.CustomCA, -30*time.Second)
				Expect(err).NotTo(HaveOccurred())
				Expect(host.Place(ctx, dead)).To(Succeed())
			} else {
				Expect(host.Run(ctx, breakage.script)).To(Succeed())
			}
			Expect(host.Run(ctx, "systemctl reload stemedb-api")).NotTo(Succeed(), "a reload that was refused says so")

			Eventually(ctx, alert.Observe).Should(BeFiring())
			Consistently(ctx, alert.Observe).ShouldNot(BeCleared())
			Expect(host.Output(ctx, "journalctl -u stemedb-api --no-pager")).To(ContainSubstring(breakage.journal))
			Expect(host.Output(ctx, "curl -s http://localhost:18181/metrics")).To(ContainSubstring(`stemedb_tls_reloads_total{result="failure"} 1`))
			Expect(host.Get(ctx, "/readyz")).Error().NotTo(HaveOccurred(), "the service goes on")
			still, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(still.Serial()).To(Equal(served.Serial()), "with the certificate that it had")
			drill.Proved("CertificateExpiringSoon", "certificate that "+what, "did not clear, did not break")
		})
	}

	It("CertificateExpiringSoon does not clear by a target that vanishes, and the guard fires", Label("CertificateExpiringSoon", "CertificateExpiryUnknown"), func(ctx SpecContext) {
		alert, page := drill.Fire(ctx, "CertificateExpiringSoon", drill.Expiring(world.LetsEncrypt, 6*day))
		guard, err := w.Alert("CertificateExpiryUnknown")
		Expect(err).NotTo(HaveOccurred())

		Expect(w.Host().Run(ctx, "systemctl stop stemedb-api")).To(Succeed())
		drill.Step("going silent")
		Eventually(ctx, w.Notifications).Should(HaveResolved(page.Receiver, alert), "Prometheus itself takes silence for a cure")
		Eventually(ctx, alert.Observe).ShouldNot(BeFiring())
		Consistently(ctx, alert.Observe).ShouldNot(BeCleared(), "we do not")
		drill.Step("raising the guard")
		Eventually(ctx, guard.Observe).Should(BePending())
		Expect(w.Leap(ctx, guard.For)).To(Succeed())
		Eventually(ctx, guard.Observe).Should(BeFiring())
		Eventually(ctx, w.Notifications).Should(HaveReached("ticket", guard))
		drill.Proved("CertificateExpiringSoon", "target vanished", "silent, not cleared; the guard fired")
	})
})
