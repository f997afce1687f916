package backup

import (
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/stemedb"
)

var _ = Describe("Backups", Label("BackupStale", "BackupUnverified", "BackupVerificationFailed"), func() {
	env.It("bring back what there was at a chosen moment, and overwrite nothing unasked", func(ctx SpecContext) {
		host := env.Host()
		Expect(env.Setting("STEMEDB_RATE_LIMIT_CREATE=0")(ctx)).To(Succeed())
		Expect(backedUp(ctx)).To(Succeed())
		load, err := env.Load(ctx, stemedb.Traffic{Preload: 50, Connections: 1})
		Expect(err).NotTo(HaveOccurred())
		load.Stop()
		moment := time.Now()
		Expect(load.Fill(ctx, 50)).To(Succeed())
		Expect(host.Run(ctx, "systemctl start stemedb-backup && systemctl stop stemedb-wal-archive.timer")).To(Succeed())
		Expect(host.Output(ctx, "stemedb-restore 2>&1 || echo exit $?")).To(And(ContainSubstring("stopped first"), ContainSubstring("exit 2")), "beside a running server")
		Expect(host.Output(ctx, "systemctl stop stemedb-api; stemedb-restore 2>&1 || echo exit $?")).To(And(ContainSubstring("--force"), ContainSubstring("exit 2")), "over data that is there")
		Expect(host.Run(ctx, fmt.Sprintf("stemedb-restore --force --until %s && systemctl start stemedb-api && stemedb-admin verify", moment.UTC().Format(time.RFC3339Nano)))).To(Succeed())
		var lost []stemedb.Acknowledged
		Eventually(ctx, func() (err error) { lost, err = load.Lost(ctx); return err }).Should(Succeed())
		Expect(lost).To(HaveLen(50))
		Expect(lost).To(HaveEach(HaveField("At", BeTemporally(">", moment))), "what came after that moment, and nothing else")
		env.Proved("(backup)", "stemedb-restore --until", "what there was at that moment")
	})

	env.It("go when they are too old, but never the last that was verified", func(ctx SpecContext) {
		host := env.Host()
		Expect(backedUp(ctx)).To(Succeed())
		// backups are the times of those that are whole.
		backups := func() (times []string) {
			GinkgoHelper()
			objects, err := bucket.Objects(ctx)
			Expect(err).NotTo(HaveOccurred())
			for _, name := range objects {
				if name, ok := strings.CutSuffix(name, ".manifest"); ok && slices.Contains(objects, name+".tar.age") {
					times = append(times, strings.SplitN(strings.TrimPrefix(name, "backups/"), "-", 2)[0])
				}
			}
			return times
		}
		verified := backups()
		Expect(verified).To(HaveLen(1))
		Expect(env.Script("keep-one.sh")(ctx)).To(Succeed())
		now := backups()
		Expect(now).To(HaveLen(2), "the newest, and the one that was verified")
		Expect(now[0]).To(Equal(verified[0]))
		Expect(host.Run(ctx, "systemctl start stemedb-verify && sleep 1.1 && systemctl start stemedb-backup")).To(Succeed())
		after := backups()
		Expect(after).To(HaveLen(2))
		Expect(after[0]).To(Equal(now[1]), "a newer one was verified: the old one is gone")
		env.Proved("(backup)", "retention", "keeps the newest, and the last that was verified")
	})
})
