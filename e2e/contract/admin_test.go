package contract

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var _ = Describe("stemedb-admin", Label("contract"), func() {
	env.It("archives beside a running service, and nothing is lost", func(ctx SpecContext) {
		host := env.Host()
		Expect(env.Setting("STEMEDB_WAL_SEGMENT_BYTES=98304", "STEMEDB_RATE_LIMIT_CREATE=0")(ctx)).To(Succeed())
		load, err := env.Load(ctx, stemedb.Traffic{Preload: 300, Size: 1000, Writes: 50, Connections: 2})
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Run(ctx, "systemctl start stemedb-wal-archive.service && ls /var/backups/stemedb/wal/00000000 && ! ls /var/lib/stemedb/wal/00000000")).To(Succeed())
		Expect(host.Run(ctx, "stemedb-admin verify")).To(Succeed())
		Expect(load.Lost(ctx)).To(BeEmpty())
		Expect(host.Run(ctx, "systemctl stop stemedb-api && rm /var/lib/stemedb/index.db && systemctl start stemedb-api")).To(Succeed())
		Eventually(ctx, load.Lost).Should(BeEmpty(), "the index is rebuilt from log and archive")
		env.Proved("(contract)", "stemedb-admin archive", "moved segments, lost nothing")
	})

	env.It("rebuilds the index, and only when no server uses it", func(ctx SpecContext) {
		host := env.Host()
		load, err := env.Load(ctx, stemedb.Traffic{Preload: 100, Reads: 1, Connections: 1})
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Output(ctx, "stemedb-admin reindex 2>&1 || echo exit $?")).To(ContainSubstring("exit 2"))
		Expect(host.Run(ctx, "systemctl stop stemedb-api && echo garbage > /var/lib/stemedb/index.db && ! stemedb-admin verify && stemedb-admin reindex && stemedb-admin verify && systemctl start stemedb-api")).To(Succeed())
		Eventually(ctx, load.Lost).Should(BeEmpty())
		env.Proved("(contract)", "stemedb-admin reindex", "rebuilt the index")
	})

	env.It("restores from a backup that was taken beside a running service", func(ctx SpecContext) {
		host := env.Host()
		load, err := env.Load(ctx, stemedb.Traffic{Preload: 100, Reads: 1, Connections: 1})
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Run(ctx, `set -e
stemedb-admin backup /var/backups/stemedb/now.backup
systemctl stop stemedb-api
rm -r /var/lib/stemedb/* /var/backups/stemedb/wal/* 2>/dev/null || true
stemedb-admin restore /var/backups/stemedb/now.backup
systemctl start stemedb-api
stemedb-admin verify`)).To(Succeed())
		Eventually(ctx, load.Lost).Should(BeEmpty())
		env.Proved("(contract)", "stemedb-admin backup, restore", "brought everything back")
	})
})
