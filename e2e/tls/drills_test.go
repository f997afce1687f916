package tls

import (
	"context"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/world"
	. "github.com/stemedb/firedrill/e2e/world/match"
)

// drill is one branch of one runbook: what breaks, and what else is to be seen when the branch has been followed.
type drill struct {
	alert, branch string
	// fault breaks something real, so that the alert's condition holds from then on.
	fault func(context.Context, *world.Host) error
	// instead, where it is set, is a branch that the operator follows first, and that this fault makes fail.
	instead string
	// selfSigned says that the branch ends with a certificate that clients do not trust, as it says itself.
	selfSigned bool
	// restarts says that the branch restarts the service, which drops connections, as it says itself.
	restarts bool
}

// drills are all branches of all runbooks about rules/tls.yml.
var drills = []drill{
	{alert: "CertificateExpiringSoon", branch: "If Using Let's Encrypt", fault: expiring(world.LetsEncrypt, 6*day)},
	{alert: "CertificateExpiringSoon", branch: "If Using Custom CA", fault: expiring(world.CustomCA, 6*day)},
	{alert: "CertificateExpiringSoon", branch: "If Renewal Fails", fault: all(
		expiring(world.LetsEncrypt, 6*day),
		onHost(`sed -i 's/listen 80 default_server/listen 127.0.0.1:80 default_server/' /etc/nginx/conf.d/stemedb.conf && systemctl restart nginx`),
	), instead: "If Using Let's Encrypt"},
	{alert: "CertificateExpiringSoon", branch: "If Certificate Already Expired", fault: expired},

	{alert: "CertificateExpiringWarning", branch: "If Using Let's Encrypt", fault: all(
		expiring(world.LetsEncrypt, 20*day), onHost("systemctl disable --now certbot.timer"))},
	{alert: "CertificateExpiringWarning", branch: "If Using Custom CA", fault: expiring(world.CustomCA, 20*day)},

	{alert: "CertificateExpired", branch: "If Let's Encrypt Answers", fault: expired},
	{alert: "CertificateExpired", branch: "If No Authority Answers", fault: expired, selfSigned: true},

	{alert: "CertificateExpiryUnknown", branch: "If The Service Is Down", restarts: true,
		fault: onHost("systemctl stop stemedb-api")},
	{alert: "CertificateExpiryUnknown", branch: "If The Metrics Cannot Be Reached", restarts: true,
		fault: onHost(`sed -i 's/^STEMEDB_METRICS_LISTEN=.*/STEMEDB_METRICS_LISTEN=127.0.0.1:18181/' /etc/stemedb/stemedb.env && systemctl restart stemedb-api`)},
}

// expiring is a certificate that has so long left.
func expiring(issuer world.Issuer, left time.Duration) func(context.Context, *world.Host) error {
	return func(ctx context.Context, host *world.Host) error {
		certificate, err := w.Issue(ctx, issuer, left)
		if err != nil {
			return err
		}
		return host.Install(ctx, certificate)
	}
}

// expired is a certificate of Let's Encrypt that has run out while it was served. The service is restarted on its last
// seconds: it would refuse to reload a certificate that ran out on the way.
func expired(ctx context.Context, host *world.Host) error {
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

func onHost(script string) func(context.Context, *world.Host) error {
	return func(ctx context.Context, host *world.Host) error { return host.Run(ctx, script) }
}

func all(faults ...func(context.Context, *world.Host) error) func(context.Context, *world.Host) error {
	return func(ctx context.Context, host *world.Host) error {
		for _, fault := range faults {
			if err := fault(ctx, host); err != nil {
				return err
			}
		}
		return nil
	}
}

// receivers says whom an alert of the severity reaches, as fixtures/alertmanager routes it.
var receivers = map[string]string{"critical": "page", "warning": "ticket"}

// fire breaks the world, gives the alert the time that its rule asks for, and returns it firing, with what reached
// the on-call.
func fire(ctx SpecContext, name string, fault func(context.Context, *world.Host) error) (*world.Alert, world.Notification) {
	GinkgoHelper()
	alert, err := w.Alert(name)
	Expect(err).NotTo(HaveOccurred())
	Eventually(ctx, alert.Observe).Should(BeQuiet(), "before anything is broken")

	step("breaking something real")
	Expect(fault(ctx, w.Host())).To(Succeed())
	if alert.For > 0 {
		Eventually(ctx, alert.Observe).Should(BePending())
		step("lasting as long as the rule asks: " + alert.For.String())
		Expect(w.Leap(ctx, alert.For)).To(Succeed())
	}
	Eventually(ctx, alert.Observe).Should(BeFiring())

	step("reaching the on-call")
	page, err := w.Page(ctx, alert)
	Expect(err).NotTo(HaveOccurred())
	Expect(page.Receiver).To(Equal(receivers[alert.Labels["severity"]]))
	Expect(page.Labels).To(HaveKeyWithValue("team", "infrastructure"))
	for _, annotation := range []string{"summary", "description"} {
		Expect(page.Annotations).To(HaveKeyWithValue(annotation, Not(Or(BeEmpty(), ContainSubstring("<no value>"), ContainSubstring("{{"), ContainSubstring("<error")))))
	}
	Expect(page.Annotations["runbook_url"]).To(HaveSuffix("/runbooks/" + name + ".md"))
	return alert, page
}

var _ = Describe("Each branch of each runbook", func() {
	for _, d := range drills {
		It(fmt.Sprintf("clears %s: %s", d.alert, d.branch), Label(d.alert), func(ctx SpecContext) {
			host := w.Host()
			began := time.Now()
			alert, page := fire(ctx, d.alert, d.fault)
			book, err := alert.Runbook()
			Expect(err).NotTo(HaveOccurred())
			before, err := w.Firing(ctx)
			Expect(err).NotTo(HaveOccurred())

			step("investigating")
			investigation, err := book.Section("Investigation Steps")
			Expect(err).NotTo(HaveOccurred())
			transcript, err := host.Follow(ctx, investigation, page.Labels)
			Expect(err).NotTo(HaveOccurred())
			GinkgoWriter.Println(transcript)

			if d.instead != "" {
				step("following first the branch that cannot help: " + d.instead)
				branch, err := book.Branch(d.instead)
				Expect(err).NotTo(HaveOccurred())
				transcript, err := host.Follow(ctx, branch, page.Labels)
				GinkgoWriter.Println(transcript)
				Expect(err).To(MatchError(ContainSubstring(d.instead)), "the fault is there to make it fail")
				Expect(transcript).To(HaveLen(1), "it fails at its rehearsal, before anything is changed")
				Eventually(ctx, alert.Observe).Should(BeFiring())
			}

			var served world.Served
			var client *world.Client
			if !d.restarts {
				served, err = host.Certificate(ctx)
				Expect(err).NotTo(HaveOccurred())
				client, err = host.Connect(ctx)
				Expect(err).NotTo(HaveOccurred())
				DeferCleanup(client.Close)
				Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred())
			}

			step("following the branch, knowing only what the alert says")
			branch, err := book.Branch(d.branch)
			Expect(err).NotTo(HaveOccurred())
			transcript, err = host.Follow(ctx, branch, page.Labels)
			GinkgoWriter.Println(transcript)
			Expect(err).NotTo(HaveOccurred())

			step("clearing, and not by falling silent")
			Eventually(ctx, alert.Observe).Should(BeCleared())
			Eventually(ctx, w.Notifications).Should(HaveResolved(page.Receiver, alert))
			beyond := time.Since(began) - w.Followed()
			Expect(w.Firing(ctx)).To(Or(BeEmpty(), HaveEach(BeElementOf(before))), "no alert fires that did not fire before")

			step("serving what a client trusts")
			now, err := host.Certificate(ctx)
			Expect(err).NotTo(HaveOccurred())
			if d.selfSigned {
				Expect(now.Unverified).To(HaveOccurred())
			} else {
				Expect(now.Unverified).NotTo(HaveOccurred())
			}
			Expect(now.Left()).To(BeNumerically(">", 30*day))
			Expect(host.Get(ctx, "/readyz")).Error().NotTo(HaveOccurred())
			if client != nil {
				Expect(now.Serial()).NotTo(Equal(served.Serial()), "the certificate is a new one")
				Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred(), "the connection that was open was not dropped")
			}
			provedIn(beyond, d.alert, d.branch, "fired, was followed, cleared")
		})
	}

	It("has a drill here", func() {
		var drilled []string
		for _, d := range drills {
			drilled = append(drilled, d.alert+": "+d.branch)
		}
		alerts, err := w.Alerts("tls.yml")
		Expect(err).NotTo(HaveOccurred())
		var written []string
		for _, alert := range alerts {
			book, err := alert.Runbook()
			Expect(err).NotTo(HaveOccurred())
			for _, branch := range book.Branches() {
				written = append(written, alert.Name+": "+branch.Name)
			}
		}
		Expect(drilled).To(ConsistOf(written), "a branch that nobody follows is not proven")
	})
})
