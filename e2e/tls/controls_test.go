package tls

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
	. "github.com/stemedb/firedrill/tools/testbed/match"
)

// What does not fix the fault must not resolve the alert. That it does not resolve with no steps at all is part of its drill.
var _ = Describe("Without a fix", func() {
	env.It("CertificateExpiringSoon does not resolve by a certificate that is not reloaded", Label("CertificateExpiringSoon"), func(ctx SpecContext) {
		alert, _ := env.Fire(ctx, "CertificateExpiringSoon", env.Expiring(stemedb.LetsEncrypt, 6*day))
		renewed, err := env.Issue(ctx, stemedb.LetsEncrypt, 90*day)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Host().Place(ctx, renewed)).To(Succeed())
		Eventually(ctx, alert.Observe).Should(BeFiring())
		Consistently(ctx, alert.Observe).ShouldNot(BeInactive())
		env.Proved("CertificateExpiringSoon", "renewed, not reloaded", "did not resolve")
	})

	for what, breakage := range map[string]struct{ script, journal string }{
		"is garbage":             {"echo garbage > /etc/stemedb/tls/cert.pem", "certificate reload failed"},
		"cannot be read":         {"chown root:root /etc/stemedb/tls/key.pem && chmod 600 /etc/stemedb/tls/key.pem", "permission denied"},
		"belongs to another key": {"openssl ecparam -name prime256v1 -genkey -noout -out /etc/stemedb/tls/key.pem", "private key does not match"},
		"has expired itself":     {"", "expired"},
	} {
		env.It("CertificateExpiringSoon does not resolve by a reload of a certificate that "+what, Label("CertificateExpiringSoon"), func(ctx SpecContext) {
			host := env.Host()
			alert, _ := env.Fire(ctx, "CertificateExpiringSoon", env.Expiring(stemedb.LetsEncrypt, 6*day))
			served, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())

			if breakage.script == "" {
				dead, err := env.Issue(ctx, stemedb.CustomCA, -30*time.Second)
				Expect(err).NotTo(HaveOccurred())
				Expect(host.Place(ctx, dead)).To(Succeed())
			} else {
				Expect(host.Run(ctx, breakage.script)).To(Succeed())
			}
			Expect(host.Run(ctx, "systemctl reload stemedb-api")).NotTo(Succeed(), "a reload that was refused says so")

			Eventually(ctx, alert.Observe).Should(BeFiring())
			Consistently(ctx, alert.Observe).ShouldNot(BeInactive())
			Expect(host.Output(ctx, "journalctl -u stemedb-api --no-pager")).To(ContainSubstring(breakage.journal))
			Expect(host.Output(ctx, "curl -s http://localhost:18181/metrics")).To(ContainSubstring(`stemedb_tls_reloads_total{result="failure"} 1`))
			Expect(host.Get(ctx, "/readyz")).Error().NotTo(HaveOccurred(), "the service goes on")
			still, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())
			Expect(still.Serial()).To(Equal(served.Serial()), "with the certificate that it had")
			env.Proved("CertificateExpiringSoon", "certificate that "+what, "did not resolve, did not break")
		})
	}

	env.It("CertificateExpiringSoon does not resolve by a target that vanishes, and the guard fires", Label("CertificateExpiringSoon", "CertificateExpiryUnknown"), func(ctx SpecContext) {
		alert, page := env.Fire(ctx, "CertificateExpiringSoon", env.Expiring(stemedb.LetsEncrypt, 6*day))
		guard, err := env.Alert("CertificateExpiryUnknown")
		Expect(err).NotTo(HaveOccurred())

		Expect(env.Host().Run(ctx, "systemctl stop stemedb-api")).To(Succeed())
		env.Step("going silent")
		Eventually(ctx, env.Notifications).Should(HaveResolved(page.Receiver, alert), "Prometheus takes silence for a resolution")
		Eventually(ctx, alert.Observe).ShouldNot(BeFiring())
		Consistently(ctx, alert.Observe).ShouldNot(BeInactive())
		env.Step("raising the guard")
		Eventually(ctx, guard.Observe).Should(BePending())
		Expect(env.Leap(ctx, guard.For)).To(Succeed())
		Eventually(ctx, guard.Observe).Should(BeFiring())
		Eventually(ctx, env.Notifications).Should(HaveReached("ticket", guard))
		env.Proved("CertificateExpiringSoon", "target vanished", "silent, not resolved; the guard fired")
	})
})
