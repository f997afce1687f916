package backup

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

var _ = Describe("Power that is lost at any moment", Label("BackupStale", "BackupUnverified", "BackupVerificationFailed", "WALArchiveLagging"), func() {
	It("leaves the previous backup usable, while the units run", func(ctx SpecContext) {
		host := w.Host()
		Expect(drill.Setting("STEMEDB_WAL_SEGMENT_BYTES=98304", "STEMEDB_WAL_SEGMENT_SECONDS=2", "STEMEDB_RATE_LIMIT_CREATE=0")(ctx, host)).To(Succeed())
		Expect(backedUp(ctx, host)).To(Succeed())
		load, err := w.Load(ctx, world.Traffic{Writes: 20, Size: 2000, Connections: 2})
		Expect(err).NotTo(HaveOccurred())
		Expect(host.Output(ctx, `
killed=0
for round in $(seq 6); do
	for unit in stemedb-backup stemedb-wal-archive stemedb-verify; do
		systemctl start --no-block $unit
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		if systemctl is-active --quiet $unit || [ "$(systemctl is-active $unit)" = activating ]; then
			systemctl kill --signal KILL $unit
			killed=$((killed + 1))
		fi
		until [[ "$(systemctl is-active $unit)" =~ ^(inactive|failed)$ ]]; do sleep 0.05; done
		systemctl reset-failed $unit 2>/dev/null || true
	done
	systemctl start stemedb-verify || { journalctl -u stemedb-verify -u stemedb-backup -u stemedb-wal-archive --no-pager --lines 20; exit 1; }
done
echo "killed $killed times"
[ $killed -ge 6 ]`)).To(ContainSubstring("killed"))
		Expect(load.Lost(ctx)).To(BeEmpty())
		drill.Proved("(backup)", "units killed at random moments, many times", "the newest backup could be restored each time")
	})

	It("leaves nothing half restored", func(ctx SpecContext) {
		host := w.Host()
		Expect(drill.Setting("STEMEDB_WAL_SEGMENT_BYTES=98304", "STEMEDB_RATE_LIMIT_CREATE=0")(ctx, host)).To(Succeed())
		Expect(backedUp(ctx, host)).To(Succeed())
		load, err := w.Load(ctx, world.Traffic{Stock: 300, Size: 2000, Connections: 1})
		Expect(err).NotTo(HaveOccurred())
		load.Stop()
		Expect(host.Run(ctx, `set -e
systemctl start stemedb-backup
systemctl stop stemedb-wal-archive.timer
systemctl stop stemedb-api
for round in $(seq 8); do
	systemd-run --quiet --unit restoring-$round stemedb-restore --force
	sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
	systemctl kill --signal KILL restoring-$round 2>/dev/null || true
	until [[ "$(systemctl is-active restoring-$round)" =~ ^(inactive|failed)$ ]]; do sleep 0.05; done
done
stemedb-restore --force
systemctl start stemedb-api
stemedb-admin verify`)).To(Succeed())
		Eventually(ctx, load.Lost).Should(BeEmpty(), "what the backup held is back")
		drill.Proved("(backup)", "stemedb-restore killed at random moments, many times", "what the backup held is back")
	})
})
