package tls

import (
	"context"
	"errors"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
)

const clients = "/etc/stemedb/clients/"

// demandClientCertificates has the host ask its clients for certificates. They have them: the reporter, and the prober,
// whose certificate this process presents too.
func demandClientCertificates(ctx context.Context) error {
	authority, err := env.ClientAuthority(ctx)
	if err != nil {
		return err
	}
	prober, err := env.IssueClient(ctx, "prober", 90*day)
	if err != nil {
		return err
	}
	host := env.Host()
	return errors.Join(
		host.Put(ctx, "/etc/stemedb/tls/clients.pem", authority),
		host.Put(ctx, "/etc/prometheus/probe.pem", prober.Chain),
		host.Put(ctx, "/etc/prometheus/probe-key.pem", prober.Key),
		giveReporter(ctx, 90*day),
		host.PresentCertificate(prober),
		env.Setting("STEMEDB_TLS_CLIENT_CA=/etc/stemedb/tls/clients.pem")(ctx),
		env.Script("demand-client-certificates.sh")(ctx))
}

// giveReporter gives the reporter a certificate of the present authority.
func giveReporter(ctx context.Context, left time.Duration) error {
	certificate, err := env.IssueClient(ctx, "reporter", left)
	if err != nil {
		return err
	}
	return errors.Join(
		env.Host().Put(ctx, clients+"reporter.pem", certificate.Chain),
		env.Host().Run(ctx, "install -o stemedb -g stemedb -m 600 /dev/null "+clients+"reporter-key.pem"),
		env.Host().Put(ctx, clients+"reporter-key.pem", certificate.Key))
}

// clientAuthorityRotated is clients that have certificates of a new authority, which the server does not know.
func clientAuthorityRotated(ctx context.Context) error {
	if err := env.RotateClientAuthority(ctx); err != nil {
		return err
	}
	return giveReporter(ctx, 90*day)
}

// reporterAnswered wants the reporter answered, and a client without a certificate refused.
func reporterAnswered(context.Context) (drill.Action, error) {
	return func(ctx context.Context) error {
		const ask = "curl --silent --show-error --fail --output /dev/null 'https://" + stemedb.Domain + "/v1/assertions?limit=1'"
		if err := env.Host().Run(ctx, ask+" --cert "+clients+"reporter.pem --key "+clients+"reporter-key.pem"); err != nil {
			return err
		}
		if env.Host().Run(ctx, ask) == nil {
			return errors.New("a client without a certificate is answered")
		}
		return nil
	}, nil
}
