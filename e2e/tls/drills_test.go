package tls

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// The branches of all runbooks about rules/tls.yml.
var _ = drill.Branches("tls.yml", []drill.Drill{
	{Alert: "CertificateExpiringSoon", Branch: "If Using Let's Encrypt", Well: renewed, Fault: drill.Expiring(world.LetsEncrypt, 6*day)},
	{Alert: "CertificateExpiringSoon", Branch: "If Using Custom CA", Alone: true, Well: renewed, Fault: drill.Expiring(world.CustomCA, 6*day)},
	{Alert: "CertificateExpiringSoon", Branch: "If Renewal Fails", Well: renewed, Fault: drill.All(
		drill.Expiring(world.LetsEncrypt, 6*day),
		drill.OnHost(`sed -i 's/listen 80 default_server/listen 127.0.0.1:80 default_server/' /etc/nginx/conf.d/stemedb.conf && systemctl restart nginx`),
	), Instead: "If Using Let's Encrypt"},
	{Alert: "CertificateExpiringSoon", Branch: "If Certificate Already Expired", Well: renewed, Fault: drill.Expired, Also: []string{"CertificateExpired"}},

	{Alert: "CertificateExpiringWarning", Branch: "If Using Let's Encrypt", Well: renewed, Fault: drill.All(
		drill.Expiring(world.LetsEncrypt, 20*day), drill.OnHost("systemctl disable --now certbot.timer"))},
	{Alert: "CertificateExpiringWarning", Branch: "If Using Custom CA", Alone: true, Long: true, Well: renewed, Fault: drill.Expiring(world.CustomCA, 20*day)},

	{Alert: "CertificateExpired", Branch: "If Let's Encrypt Answers", Alone: true, Well: renewed, Fault: drill.Expired, Also: []string{"CertificateExpiringSoon"}},
	{Alert: "CertificateExpired", Branch: "If The Key Is Gone", Well: renewed, Fault: drill.All(drill.Expired, drill.KeyGone)},
	{Alert: "CertificateExpired", Branch: "If No Authority Answers", Well: selfSigned, Fault: drill.Expired},

	{Alert: "CertificateExpiryUnknown", Branch: "If The Service Is Down", Alone: true, Well: restarted, Also: []string{"StemeDBDown", "LoadBalancerUpstreamDown"},
		Fault: drill.OnHost("systemctl stop stemedb-api")},
	{Alert: "CertificateExpiryUnknown", Branch: "If The Metrics Cannot Be Reached", Well: restarted, Also: []string{"StemeDBDown"},
		Fault: drill.OnHost(`sed -i 's/^STEMEDB_METRICS_LISTEN=.*/STEMEDB_METRICS_LISTEN=127.0.0.1:18181/' /etc/stemedb/stemedb.env && systemctl restart stemedb-api`)},

	{Alert: "TLSHandshakeFailures", Branch: "If The Chain Is Incomplete", Alone: true, Long: true, Well: drill.Answered,
		Before: drill.Under(world.Traffic{Lists: 4, Connections: 2, Anew: true}),
		Fault:  drill.OnHost("openssl x509 -in /etc/letsencrypt/live/" + world.Domain + "/cert.pem -out /etc/stemedb/tls/cert.pem && systemctl reload stemedb-api")},

	{Alert: "ClientAuthenticationErrors", Branch: "If The Client Authority Was Rotated", Alone: true, Long: true, Well: reporterAnswered,
		Before: onlyKnownClients, Fault: authorityRotated},
	{Alert: "ClientAuthenticationErrors", Branch: "If One Client's Certificate Ran Out", Long: true, Well: reporterAnswered,
		Before: onlyKnownClients, Fault: func(ctx context.Context, host *world.Host) error { return giveReporter(ctx, host, -30*time.Second) }},
})

// renewed is a new certificate that clients trust, and no connection dropped for it.
func renewed(ctx SpecContext, host *world.Host) func(SpecContext) {
	kept := keptOpen(ctx, host)
	return func(ctx SpecContext) {
		restarted(ctx, host)(ctx)
		kept(ctx)
	}
}

// selfSigned is a new certificate that clients do not trust, as the branch says itself, and no connection dropped for it.
func selfSigned(ctx SpecContext, host *world.Host) func(SpecContext) {
	kept := keptOpen(ctx, host)
	return func(ctx SpecContext) {
		now := served(ctx, host)
		Expect(now.Unverified).To(HaveOccurred())
		Expect(now.Left()).To(BeNumerically(">", 30*day))
		kept(ctx)
	}
}

// restarted is a certificate that clients trust; a restart drops connections, as the branch says itself.
func restarted(_ SpecContext, host *world.Host) func(SpecContext) {
	return func(ctx SpecContext) {
		now := served(ctx, host)
		Expect(now.Unverified).NotTo(HaveOccurred())
		Expect(now.Left()).To(BeNumerically(">", 30*day))
	}
}

func keptOpen(ctx SpecContext, host *world.Host) func(SpecContext) {
	before := served(ctx, host)
	client, err := host.Connect(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(client.Close)
	Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred())
	return func(ctx SpecContext) {
		Expect(served(ctx, host).Serial()).NotTo(Equal(before.Serial()), "the certificate is a new one")
		Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred(), "the connection that was open was not dropped")
	}
}

func served(ctx SpecContext, host *world.Host) world.Served {
	GinkgoHelper()
	now, err := host.Certificate(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(host.Get(ctx, "/readyz")).Error().NotTo(HaveOccurred())
	return now
}
