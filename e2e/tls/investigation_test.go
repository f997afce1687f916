package tls

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var _ = Describe("The investigation of CertificateExpiringSoon", Label("CertificateExpiringSoon"), func() {
	for _, c := range []struct {
		issuer stemedb.Issuer
		source string
	}{
		{stemedb.LetsEncrypt, `Certificate Name: ` + stemedb.Domain},
		{stemedb.CustomCA, `certbot does not manage ` + stemedb.Domain},
	} {
		env.It("shows what the runbook says it shows, with a certificate of the "+string(c.issuer), func(ctx SpecContext) {
			host := env.Host()
			alert, page := env.Fire(ctx, "CertificateExpiringSoon", env.Expiring(c.issuer, 6*day))
			served, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())
			book, err := alert.Runbook()
			Expect(err).NotTo(HaveOccurred())

			output := func(heading string) string {
				section, err := book.Section(heading)
				Expect(err).NotTo(HaveOccurred())
				transcript, err := env.Follow(ctx, section, page.Labels)
				Expect(err).NotTo(HaveOccurred())
				return transcript.String()
			}
			end := served.NotAfter.UTC().Format("Jan _2 15:04:05 2006 GMT")
			Expect(output("1. Check Certificate Expiration")).To(And(
				ContainSubstring("notAfter="+end), ContainSubstring("Certificate will expire")))
			Expect(output("2. Check Certificate Details")).To(And(
				ContainSubstring("Subject:"), ContainSubstring("DNS:"+stemedb.Domain), ContainSubstring("CN = "+served.Issuer.CommonName),
				ContainSubstring("Not After : "+end)))
			Expect(output("3. Check Certificate Source")).To(And(
				MatchRegexp("issuer=.*CN = "+served.Issuer.CommonName), ContainSubstring(c.source)))
			Expect(output("4. Check Renewal Automation")).To(And(
				ContainSubstring("Active: active (waiting)"), ContainSubstring("certbot -q renew")))
			env.Proved("CertificateExpiringSoon", "investigation, "+string(c.issuer), "showed what it says")
		})
	}
})
