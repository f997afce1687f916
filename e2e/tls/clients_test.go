package tls

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

const clients = "/etc/stemedb/clients/"

// onlyKnownClients is a production whose clients have certificates: the reporter, and the prober, whose part the
// harness takes as well when it looks at the service.
func onlyKnownClients(ctx context.Context, host *world.Host) error {
	authority, err := w.ClientAuthority(ctx)
	if err != nil {
		return err
	}
	prober, err := w.IssueClient(ctx, "prober", 90*day)
	if err != nil {
		return err
	}
	return errors.Join(
		host.Put(ctx, "/etc/stemedb/tls/clients.pem", authority),
		host.Put(ctx, "/etc/prometheus/probe.pem", prober.Chain),
		host.Put(ctx, "/etc/prometheus/probe-key.pem", prober.Key),
		giveReporter(ctx, host, 90*day),
		host.Show(prober),
		drill.Setting("STEMEDB_TLS_CLIENT_CA=/etc/stemedb/tls/clients.pem")(ctx, host),
		host.Run(ctx, `set -e
chown prometheus /etc/prometheus/probe-key.pem
sed -i 's/# cert_file/cert_file/; s/# key_file/key_file/' /etc/prometheus/blackbox.yml
systemctl restart prometheus-blackbox-exporter
systemctl start stemedb-reporter`))
}

// giveReporter gives the reporter a certificate of the present authority.
func giveReporter(ctx context.Context, host *world.Host, left time.Duration) error {
	certificate, err := w.IssueClient(ctx, "reporter", left)
	if err != nil {
		return err
	}
	return errors.Join(
		host.Put(ctx, clients+"reporter.pem", certificate.Chain),
		host.Put(ctx, clients+"reporter-key.pem", certificate.Key))
}

// authorityRotated is clients that have certificates of a new authority, which the server does not know.
func authorityRotated(ctx context.Context, host *world.Host) error {
	if err := w.RotateClientAuthority(ctx); err != nil {
		return err
	}
	return giveReporter(ctx, host, 90*day)
}

// reporterAnswered is the client being answered, and a client without a certificate not.
func reporterAnswered(_ SpecContext, host *world.Host) func(SpecContext) {
	return func(ctx SpecContext) {
		const ask = "curl --silent --show-error --fail --output /dev/null 'https://" + world.Domain + "/v1/assertions?limit=1'"
		Expect(host.Run(ctx, ask+" --cert "+clients+"reporter.pem --key "+clients+"reporter-key.pem")).To(Succeed())
		Expect(host.Run(ctx, ask)).NotTo(Succeed())
	}
}
