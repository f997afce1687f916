package drill

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

// Fault breaks something real on the host, so that an alert's condition holds from then on.
type Fault func(context.Context, *world.Host) error

// OnHost is what a script does to the host, as root.
func OnHost(script string) Fault {
	return func(ctx context.Context, host *world.Host) error { return host.Run(ctx, script) }
}

// VolumeOf is data on a volume of its own, of that many bytes.
func VolumeOf(bytes int64) Fault {
	return func(ctx context.Context, host *world.Host) error { return host.OwnVolume(ctx, bytes) }
}

// All is one fault after the other.
func All(faults ...Fault) Fault {
	return func(ctx context.Context, host *world.Host) error {
		for _, fault := range faults {
			if err := fault(ctx, host); err != nil {
				return err
			}
		}
		return nil
	}
}

// Expiring is a certificate that has so long left.
func Expiring(issuer world.Issuer, left time.Duration) Fault {
	return func(ctx context.Context, host *world.Host) error {
		certificate, err := w.Issue(ctx, issuer, left)
		if err != nil {
			return err
		}
		return host.Install(ctx, certificate)
	}
}

// Expired is a certificate of Let's Encrypt that has run out while it was served. The service is restarted on its last
// seconds: it would refuse to reload a certificate that ran out on the way.
func Expired(ctx context.Context, host *world.Host) error {
	certificate, err := w.Issue(ctx, world.LetsEncrypt, 2*time.Second)
	if err != nil {
		return err
	}
	if err := host.Place(ctx, certificate); err != nil {
		return err
	}
	if err := host.Run(ctx, "systemctl restart stemedb-api"); err != nil {
		return err
	}
	select {
	case <-time.After(time.Until(certificate.Leaf.NotAfter)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// KeyGone is the certificate's private key gone, where the service reads it and where certbot does.
var KeyGone = OnHost("rm /etc/stemedb/tls/key.pem /etc/letsencrypt/live/*/privkey.pem /etc/letsencrypt/archive/*/privkey*.pem")

// Receivers says whom an alert of the severity reaches, as fixtures/alertmanager routes it.
var Receivers = map[string]string{"critical": "page", "warning": "ticket"}

// Fire breaks the world, gives the alert the time that its rule asks for, and returns it firing, with what reached the
// on-call.
func Fire(ctx SpecContext, name string, fault Fault) (*world.Alert, world.Notification) {
	GinkgoHelper()
	alert, err := w.Alert(name)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, alert.Observe).Should(BeQuiet(), "before anything is broken")

	Step("breaking something real")
	Expect(fault(ctx, w.Host())).To(Succeed())
	switch {
	case alert.Window() > 0: // a rate over minutes is not seen in seconds
		Expect(w.Steady(ctx)).To(Succeed())
		Step(fmt.Sprintf("lasting as long as the rule looks back, and as it asks: %s and %s", alert.Window(), alert.For))
		Expect(w.Leap(ctx, alert.Window()+alert.For)).To(Succeed())
	case alert.For > 0:
		Eventually(ctx, alert.Observe).Should(BePending())
		Step("lasting as long as the rule asks: " + alert.For.String())
		Expect(w.Leap(ctx, alert.For)).To(Succeed())
	}
	Eventually(ctx, alert.Observe).Should(BeFiring())

	Step("reaching the on-call")
	page, err := w.Page(ctx, alert)
	Expect(err).NotTo(HaveOccurred())
	Expect(page.Receiver).To(Equal(Receivers[alert.Labels["severity"]]))
	Expect(page.Labels).To(HaveKeyWithValue("team", alert.Labels["team"]))
	for _, annotation := range []string{"summary", "description"} {
		Expect(page.Annotations).To(HaveKeyWithValue(annotation, Not(Or(BeEmpty(), ContainSubstring("<no value>"), ContainSubstring("{{"), ContainSubstring("<error")))))
	}
	Expect(page.Annotations["runbook_url"]).To(HaveSuffix("/runbooks/" + name + ".md"))
	return alert, page
}
