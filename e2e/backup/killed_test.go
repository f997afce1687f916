package backup

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var _ = Describe("Power that is lost at any moment", Label("BackupStale", "BackupUnverified", "BackupVerificationFailed", "WALArchiveLagging"), func() {
	env.It("leaves the previous backup usable, while the units run", func(ctx SpecContext) {
		Expect(env.Setting("STEMEDB_WAL_SEGMENT_BYTES=98304", "STEMEDB_WAL_SEGMENT_SECONDS=2", "STEMEDB_RATE_LIMIT_CREATE=0")(ctx)).To(Succeed())
		Expect(backedUp(ctx)).To(Succeed())
		load, err := env.Load(ctx, stemedb.Traffic{Writes: 20, Size: 2000, Connections: 2})
		Expect(err).NotTo(HaveOccurred())
		Expect(env.Script("kill-units.sh")(ctx)).To(Succeed())
		Expect(load.Lost(ctx)).To(BeEmpty())
		env.Proved("(backup)", "units killed at random moments, many times", "the newest backup could be restored each time")
	})

	env.It("leaves nothing half restored", func(ctx SpecContext) {
		Expect(env.Setting("STEMEDB_WAL_SEGMENT_BYTES=98304", "STEMEDB_RATE_LIMIT_CREATE=0")(ctx)).To(Succeed())
		Expect(backedUp(ctx)).To(Succeed())
		load, err := env.Load(ctx, stemedb.Traffic{Preload: 300, Size: 2000, Connections: 1})
		Expect(err).NotTo(HaveOccurred())
		load.Stop()
		Expect(env.Script("kill-restore.sh")(ctx)).To(Succeed())
		Eventually(ctx, load.Lost).Should(BeEmpty(), "what the backup held is back")
		env.Proved("(backup)", "stemedb-restore killed at random moments, many times", "what the backup held is back")
	})
})
