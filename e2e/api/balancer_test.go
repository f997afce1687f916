package api

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var _ = Describe("The load balancer", Label("LoadBalancerUpstreamDown"), func() {
	env.It("leaves out a server that is not well", func(ctx SpecContext) {
		host := env.Host()
		env.Step("having two servers")
		Expect(env.Script("second-server.sh")(ctx)).To(Succeed())
		// went are the servers that connections were sent to, a line each, since the log was emptied.
		went := func() string {
			GinkgoHelper()
			log, err := host.Output(ctx, `sed -n 's/.*upstream=\(.*\) received=.*/\1/p' /var/log/nginx/stemedb-stream.log`)
			Expect(err).NotTo(HaveOccurred())
			return log
		}
		load, err := env.Load(ctx, stemedb.Traffic{Lists: 40, Connections: 4, NewConnections: true})
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, went).Should(And(ContainSubstring("127.0.0.1:18180\n"), ContainSubstring("127.0.0.1:18280\n")), "both are asked")

		env.Step("losing one")
		load.Stop()
		Expect(host.Run(ctx, "systemctl kill --signal KILL stemedb-api-2 && until ! ss -Htnl | grep -q :18280; do sleep 0.1; done && : > /var/log/nginx/stemedb-stream.log")).To(Succeed())
		load, err = env.Load(ctx, stemedb.Traffic{Lists: 40, Connections: 4, NewConnections: true})
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, func() int { return load.Answers()["ok"] }).Should(BeNumerically(">", 100))
		// The prober may have been the first to find it gone, before the log was emptied: then nginx tries it again after its
		// fail_timeout of 5 seconds.
		Eventually(ctx, went).Should(And(ContainSubstring("127.0.0.1:18280, 127.0.0.1:18180\n"), ContainSubstring("\n127.0.0.1:18180\n")),
			"it was tried, and its connections went to the other")
		load.Stop()
		Expect(load.Answers()).To(HaveLen(1), "every request was answered")
		env.Proved("LoadBalancerUpstreamDown", "one server of two killed", "left out, every request answered")
	})

	env.It("drops nothing while the certificate behind it is renewed", func(ctx SpecContext) {
		host := env.Host()
		load, err := env.Load(ctx, stemedb.Traffic{Writes: 20, Reads: 20, Connections: 4})
		Expect(err).NotTo(HaveOccurred())
		fresh, err := env.Load(ctx, stemedb.Traffic{Lists: 10, Connections: 2, NewConnections: true})
		Expect(err).NotTo(HaveOccurred())
		before, err := host.Certificate(ctx)
		Expect(err).NotTo(HaveOccurred())
		for range 3 {
			answered := load.Answers()["ok"]
			renewed, err := env.Issue(ctx, stemedb.LetsEncrypt, 90*24*time.Hour)
			Expect(err).NotTo(HaveOccurred())
			Expect(host.Install(ctx, renewed)).To(Succeed())
			Eventually(ctx, func() int { return load.Answers()["ok"] }).Should(BeNumerically(">", answered+40))
		}
		now, err := host.Certificate(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(now.Serial()).NotTo(Equal(before.Serial()))
		load.Stop()
		fresh.Stop()
		Expect(load.Answers()).To(HaveLen(1), "every request on a connection that was open was answered")
		Expect(fresh.Answers()).To(HaveLen(1), "every request on a new connection was answered")
		env.Proved("LoadBalancerUpstreamDown", "certificate renewed behind it, three times", "nothing dropped")
	})
})
