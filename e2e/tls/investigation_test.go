package tls

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var _ = Describe("The investigation of CertificateExpiringSoon", Label("CertificateExpiringSoon"), func() {
	for _, c := range []struct {
		issuer world.Issuer
		source string
	}{
		{world.LetsEncrypt, `Certificate Name: ` + world.Domain},
		{world.CustomCA, `certbot does not manage ` + world.Domain},
	} {
		It("shows what the runbook says it shows, with a certificate of the "+string(c.issuer), func(ctx SpecContext) {
			host := w.Host()
			alert, page := drill.Fire(ctx, "CertificateExpiringSoon", drill.Expiring(c.issuer, 6*day))
			served, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())
			book, err := alert.Runbook()
			Expect(err).NotTo(HaveOccurred())

			output := func(heading string) string {
				section, err := book.Section(heading)
				Expect(err).NotTo(HaveOccurred())
				transcript, err := host.Follow(ctx, section, page.Labels)
				Expect(err).NotTo(HaveOccurred())
				return transcript.String()
			}
			end := served.NotAfter.UTC().Format("Jan _2 15:04:05 2006 GMT")
			Expect(output("1. Check Certificate Expiration")).To(And(
				ContainSubstring("notAfter="+end), ContainSubstring("Certificate will expire")))
			Expect(output("2. Check Certificate Details")).To(And(
				ContainSubstring("Subject:"), ContainSubstring("DNS:"+world.Domain), ContainSubstring("CN = "+served.Issuer.CommonName),
				ContainSubstring("Not After : "+end)))
			Expect(output("3. Check Certificate Source")).To(And(
				MatchRegexp("issuer=.*CN = "+served.Issuer.CommonName), ContainSubstring(c.source)))
			Expect(output("4. Check Renewal Automation")).To(And(
				ContainSubstring("Active: active (waiting)"), ContainSubstring("certbot -q renew")))
			drill.Proved("CertificateExpiringSoon", "investigation, "+string(c.issuer), "showed what it says")
		})
	}
})
