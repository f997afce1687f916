package contract

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("The service", Label("contract"), func() {
	// on runs a script on the host and returns what it printed, without the last line's end.
	on := func(ctx context.Context, script string) string {
		GinkgoHelper()
		output, err := env.Host().Output(ctx, script)
		Expect(err).NotTo(HaveOccurred())
		return strings.TrimSpace(output)
	}

	env.It("is the unit of the contract", func(ctx SpecContext) {
		Expect(on(ctx, "systemctl show --property Type --property User --property Group --property ActiveState stemedb-api")).To(And(
			ContainSubstring("Type=notify"), ContainSubstring("User=stemedb"), ContainSubstring("Group=stemedb"), ContainSubstring("ActiveState=active")))
		Expect(strings.Split(on(ctx, "/usr/local/bin/stemedb-api --version"), "\n")).To(HaveLen(1))
		env.Proved("(contract)", "unit and programs", "as the contract says")
	})

	env.It("keeps its files where the contract says", func(ctx SpecContext) {
		client, err := env.Host().Connect(ctx)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(client.Close)
		Expect(create(ctx, client, "disk", "holds", `1`).Status).To(Equal(201))
		Expect(on(ctx, "stat --format '%n %U' /var/lib/stemedb/wal/00000000 /var/backups/stemedb/wal")).To(Equal(
			"/var/lib/stemedb/wal/00000000 stemedb\n/var/backups/stemedb/wal stemedb"))
		Expect(on(ctx, "systemctl stop stemedb-api && stat --format %U /var/lib/stemedb/index.db /etc/stemedb/stemedb.env.example")).To(Equal("stemedb\nroot"))
		env.Proved("(contract)", "paths", "as the contract says")
	})

	env.It("answers what is under way when it is told to stop", func(ctx SpecContext) {
		host := env.Host()
		body := `{"subject": "s", "predicate": "p", "object": 1}`
		// A client that sends its body once the service, which has asked for it, has been told to stop.
		on(ctx, fmt.Sprintf(`
mkfifo /tmp/request
systemd-run --quiet --unit slow-client bash -c "openssl s_client -quiet -connect localhost:18180 -servername stemedb.example.com < /tmp/request > /tmp/answer 2>/dev/null"
exec 3> /tmp/request
printf 'POST /v1/assertions HTTP/1.1\r\nHost: stemedb.example.com\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n' >&3
until grep -q '100 Continue' /tmp/answer; do sleep 0.1; done
systemctl kill --signal TERM stemedb-api
until journalctl -u stemedb-api --no-pager | grep -q 'shutting down'; do sleep 0.1; done
printf '%%s' '%s' >&3
exec 3>&-
while systemctl is-active --quiet stemedb-api; do sleep 0.1; done
`, len(body), body))
		Expect(on(ctx, "cat /tmp/answer")).To(ContainSubstring("HTTP/1.1 201"))
		Expect(on(ctx, "systemctl show --property ExecMainStatus --property Result stemedb-api")).To(And(
			ContainSubstring("ExecMainStatus=0"), ContainSubstring("Result=success")))
		Expect(host.Run(ctx, "systemctl start stemedb-api")).To(Succeed())
		env.Proved("(contract)", "SIGTERM", "answered what was under way, exit 0")
	})

	env.It("takes all that a reload brings, or nothing", func(ctx SpecContext) {
		host := env.Host()
		client, err := host.Connect(ctx)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(client.Close)
		Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred())
		limit := func() string {
			return on(ctx, `curl --silent http://localhost:18181/metrics | grep '^stemedb_rate_limit_requests_per_second{endpoint="list"}' | cut -d ' ' -f 2`)
		}
		before := limit()

		Expect(host.Run(ctx, "sed -i 's/^STEMEDB_RATE_LIMIT_LIST=.*/STEMEDB_RATE_LIMIT_LIST=77/' /etc/stemedb/stemedb.env && systemctl reload stemedb-api")).To(Succeed())
		Expect(limit()).To(And(Equal("77"), Not(Equal(before))))

		Expect(host.Run(ctx, "sed -i 's/^STEMEDB_RATE_LIMIT_LIST=.*/STEMEDB_RATE_LIMIT_LIST=33/; s/^STEMEDB_RATE_LIMIT_GET=.*/STEMEDB_RATE_LIMIT_GET=fast/' /etc/stemedb/stemedb.env")).To(Succeed())
		Expect(host.Run(ctx, "systemctl reload stemedb-api")).NotTo(Succeed(), "one setting is wrong")
		Expect(limit()).To(Equal("77"), "and so the other is not taken either")
		Expect(on(ctx, "journalctl -u stemedb-api --no-pager --lines 5")).To(And(ContainSubstring("STEMEDB_RATE_LIMIT_GET"), ContainSubstring("fast")))
		Expect(client.Get(ctx, "/healthz")).Error().NotTo(HaveOccurred(), "the open connection goes on")
		env.Proved("(contract)", "SIGHUP", "took all or nothing, dropped nothing")
	})

	env.It("does not start with a wrong setting, and says why in one line", func(ctx SpecContext) {
		Expect(env.Host().Run(ctx, "systemctl stop stemedb-api && cp -p /etc/stemedb/stemedb.env /etc/stemedb/stemedb.env.good")).To(Succeed())
		for setting, wrong := range map[string]string{
			"STEMEDB_LISTEN": "18180", "STEMEDB_METRICS_LISTEN": "nowhere", "STEMEDB_TLS_DOMAIN": "not a domain",
			"STEMEDB_MAX_BODY_BYTES": "64K", "STEMEDB_RATE_LIMIT_CREATE": "-1", "STEMEDB_CACHE_ENTRIES": "many",
			"STEMEDB_WAL_SEGMENT_BYTES": "1000", "STEMEDB_WAL_BATCH_RECORDS": "0", "STEMEDB_CASHE_ENTRIES": "",
		} {
			By(setting + "=" + wrong)
			Expect(env.Host().Run(ctx, fmt.Sprintf(`cp -p /etc/stemedb/stemedb.env.good /etc/stemedb/stemedb.env
sed -i '/^%[1]s=/d' /etc/stemedb/stemedb.env
echo '%[1]s=%[2]s' >> /etc/stemedb/stemedb.env
systemctl reset-failed stemedb-api
date +@%%s.%%6N > /run/since`, setting, wrong))).To(Succeed())
			Expect(env.Host().Run(ctx, "systemctl start stemedb-api")).NotTo(Succeed())
			// By its name alone: of a process that ends at once, the journal may not come to know anything else.
			said := on(ctx, `journalctl --sync && journalctl --quiet --output cat --since $(cat /run/since) --identifier stemedb-api`)
			Expect(strings.Split(said, "\n")).To(HaveLen(1))
			Expect(said).To(And(ContainSubstring(setting), ContainSubstring(wrong)))
			Expect(on(ctx, "systemctl show --property ExecMainStatus --property ActiveState --property NRestarts stemedb-api")).To(And(
				ContainSubstring("ExecMainStatus=2"), ContainSubstring("ActiveState=failed"), ContainSubstring("NRestarts=0")))
		}
		env.Proved("(contract)", "wrong settings", "each refused, in one line")
	})
})
