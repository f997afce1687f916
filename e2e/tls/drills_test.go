package tls

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
	"github.com/stemedb/firedrill/tools/testbed"
)

// The branches of all runbooks about rules/tls.yml.
var _ = env.Drills("tls.yml", []drill.Drill{
	{
		Alert: "CertificateExpiringSoon", Branch: "If Using Let's Encrypt",
		Fault:  env.Expiring(stemedb.LetsEncrypt, 6*day),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpiringSoon", Branch: "If Using Custom CA", StaysFiring: true,
		Fault:  env.Expiring(stemedb.CustomCA, 6*day),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpiringSoon", Branch: "If Renewal Fails", WrongBranch: "If Using Let's Encrypt",
		Fault: stemedb.All(env.Expiring(stemedb.LetsEncrypt, 6*day),
			env.OnHost(`sed -i 's/listen 80 default_server/listen 127.0.0.1:80 default_server/' /etc/nginx/conf.d/stemedb.conf && systemctl restart nginx`)),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpiringSoon", Branch: "If Certificate Already Expired",
		Fault:  env.Expired,
		Also:   []string{"CertificateExpired"},
		Verify: renewed,
	},
	{
		Alert: "CertificateExpiringWarning", Branch: "If Using Let's Encrypt",
		Fault:  stemedb.All(env.Expiring(stemedb.LetsEncrypt, 20*day), env.OnHost("systemctl disable --now certbot.timer")),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpiringWarning", Branch: "If Using Custom CA", StaysFiring: true,
		Fault:  env.Expiring(stemedb.CustomCA, 20*day),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpired", Branch: "If Let's Encrypt Answers", StaysFiring: true,
		Fault:  env.Expired,
		Also:   []string{"CertificateExpiringSoon"},
		Verify: renewed,
	},
	{
		Alert: "CertificateExpired", Branch: "If The Key Is Gone",
		Fault:  stemedb.All(env.Expired, env.KeyGone),
		Verify: renewed,
	},
	{
		Alert: "CertificateExpired", Branch: "If No Authority Answers",
		Fault:  env.Expired,
		Verify: selfSigned,
	},
	{
		Alert: "CertificateExpiryUnknown", Branch: "If The Service Is Down", StaysFiring: true,
		Fault:  env.OnHost("systemctl stop stemedb-api"),
		Also:   []string{"StemeDBDown", "LoadBalancerUpstreamDown"},
		Verify: restarted,
	},
	{
		Alert: "CertificateExpiryUnknown", Branch: "If The Metrics Cannot Be Reached",
		Fault:  env.OnHost(`sed -i 's/^STEMEDB_METRICS_LISTEN=.*/STEMEDB_METRICS_LISTEN=127.0.0.1:18181/' /etc/stemedb/stemedb.env && systemctl restart stemedb-api`),
		Also:   []string{"StemeDBDown"},
		Verify: restarted,
	},
	{
		Alert: "TLSHandshakeFailures", Branch: "If The Chain Is Incomplete", StaysFiring: true,
		Prepare: env.UnderLoad(stemedb.Traffic{Lists: 4, Connections: 2, NewConnections: true}),
		Fault:   env.OnHost("openssl x509 -in /etc/letsencrypt/live/" + stemedb.Domain + "/cert.pem -out /etc/stemedb/tls/cert.pem && systemctl reload stemedb-api"),
		Verify:  env.AllAnswered,
	},
	{
		Alert: "ClientAuthenticationErrors", Branch: "If The Client Authority Was Rotated", StaysFiring: true,
		Prepare: demandClientCertificates,
		Fault:   clientAuthorityRotated,
		Verify:  reporterAnswered,
	},
	{
		Alert: "ClientAuthenticationErrors", Branch: "If One Client's Certificate Ran Out",
		Prepare: demandClientCertificates,
		Fault:   func(ctx context.Context) error { return giveReporter(ctx, -30*time.Second) },
		Verify:  reporterAnswered,
	},
})

// renewed is a new certificate that clients trust, and no connection dropped for it.
func renewed(ctx context.Context) (drill.Action, error) { return keptOpen(ctx, trusted) }

// selfSigned is a new certificate that clients do not trust, as the branch says, and no connection dropped for it.
func selfSigned(ctx context.Context) (drill.Action, error) {
	return keptOpen(ctx, func(served stemedb.Served) error {
		if served.Unverified == nil {
			return errors.New("a client trusts the certificate, and it is to be self-signed: " + served.String())
		}
		return lasting(served)
	})
}

// restarted is a certificate that clients trust; a restart drops connections, as the branch says.
func restarted(context.Context) (drill.Action, error) {
	return func(ctx context.Context) error {
		served, err := served(ctx)
		if err != nil {
			return err
		}
		return trusted(served)
	}, nil
}

func trusted(served stemedb.Served) error {
	if served.Unverified != nil {
		return fmt.Errorf("a client that trusts Let's Encrypt and the custom CA refuses the certificate (%s; the server sends %d certificates): %w", served, served.Sent, served.Unverified)
	}
	return lasting(served)
}

func lasting(served stemedb.Served) error {
	if served.Left() <= 30*day {
		return fmt.Errorf("the certificate has %s left, and more than 30 days are wanted: %s", testbed.Rough(served.Left()), served)
	}
	return nil
}

// keptOpen opens a connection, and wants it to be answered in the end, where a new certificate is served that is as wanted.
func keptOpen(ctx context.Context, wanted func(stemedb.Served) error) (drill.Action, error) {
	before, err := served(ctx)
	if err != nil {
		return nil, err
	}
	client, err := env.Host().Connect(ctx)
	if err != nil {
		return nil, err
	}
	env.Cleanup(func(context.Context) error { client.Close(); return nil })
	if _, err := client.Get(ctx, "/healthz"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		now, err := served(ctx)
		if err != nil {
			return err
		}
		if now.Serial() == before.Serial() {
			return fmt.Errorf("the certificate is the old one: %s", now)
		}
		if _, err := client.Get(ctx, "/healthz"); err != nil {
			return fmt.Errorf("the connection that was open was dropped: %w", err)
		}
		return wanted(now)
	}, nil
}

// served is the certificate of a service that is ready.
func served(ctx context.Context) (stemedb.Served, error) {
	now, err := env.Host().Certificate(ctx)
	if err == nil {
		_, err = env.Host().Get(ctx, "/readyz")
	}
	return now, err
}
