package backup

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// The branches of all runbooks about rules/backup.yml.
var _ = drill.Branches("backup.yml", []drill.Drill{
	{Alert: "BackupStale", Branch: "If The Timer Is Disabled", Alone: true,
		Before: backedUp,
		Fault:  drill.OnHost(longAgo("26 hours", "stemedb-backup") + "systemctl disable --now stemedb-backup.timer")},
	{Alert: "BackupStale", Branch: "If The Credentials Were Rotated",
		Before: backedUp,
		Fault:  drill.All(drill.OnHost(longAgo("26 hours", "stemedb-backup")), rotated, drill.OnHost("! systemctl start stemedb-backup")),
		Also:   []string{"WALArchiveLagging"}},
	{Alert: "BackupVerificationFailed", Branch: "If An Object In The Bucket Is Damaged", Alone: true,
		Before: backedUp,
		Fault:  drill.All(damaged, drill.OnHost("! systemctl start stemedb-verify"))},
	{Alert: "BackupUnverified", Branch: "If The Timer Is Disabled", Alone: true,
		Before: backedUp,
		Fault:  drill.OnHost(longAgo("50 hours", "stemedb-verify") + "systemctl disable --now stemedb-verify.timer")},
	{Alert: "WALArchiveLagging", Branch: "If The Bucket Was Unreachable", Alone: true, Well: reachableAgain,
		Before: backedUp,
		Fault: drill.All(drill.OnHost(longAgo("15 minutes", "stemedb-wal-archive")), stopped,
			drill.OnHost("! systemctl start stemedb-wal-archive && systemctl disable --now stemedb-wal-archive.timer")),
		Also: []string{"BackupBucketUnreachable"}},
	{Alert: "BackupBucketUnreachable", Branch: "If The Provider Is Down", Alone: true, Long: true,
		Before: backedUp,
		Fault:  drill.All(stopped, drill.OnHost("! systemctl start stemedb-wal-archive"))},
	{Alert: "BackupBucketUnreachable", Branch: "If The Endpoint Is Wrong Here",
		Before: backedUp,
		Fault: drill.OnHost(`sed -i 's/^STEMEDB_BACKUP_ENDPOINT=.*/STEMEDB_BACKUP_ENDPOINT=https:\/\/s4.example.com/' /etc/stemedb/backup.env
! systemctl start stemedb-wal-archive`)},
})

// bucket is where the host's backups go.
var bucket *world.Bucket

// backedUp is a host whose backups go to a bucket, and whose last one was verified.
func backedUp(ctx context.Context, host *world.Host) (err error) {
	if bucket, err = host.BackUp(ctx); err != nil {
		return err
	}
	load, err := w.Load(ctx, world.Traffic{Stock: 20, Connections: 1})
	if err != nil {
		return err
	}
	load.Stop()
	return host.Run(ctx, "systemctl start stemedb-wal-archive && systemctl start stemedb-backup && systemctl start stemedb-verify")
}

// longAgo runs a script as if that long had almost gone by since: it becomes so old, to the second, before our eyes.
func longAgo(age, script string) string {
	return `set -e
install -d /srv/then
printf '#!/bin/sh\nexec /bin/date --date "` + age + ` ago 5 seconds" "$@"\n' > /srv/then/date
chmod +x /srv/then/date
PATH=/srv/then:$PATH /usr/local/sbin/` + script + `
`
}

// reachableAgain is a bucket whose provider has been called, by whoever got the alert on that.
func reachableAgain(ctx SpecContext, _ *world.Host) func(SpecContext) {
	Expect(bucket.Restart(ctx)).To(Succeed())
	return func(SpecContext) {}
}

func rotated(ctx context.Context, _ *world.Host) error { return bucket.Rotate(ctx) }

func stopped(ctx context.Context, _ *world.Host) error { return bucket.Stop(ctx) }

func damaged(ctx context.Context, _ *world.Host) error {
	return bucket.Damage(ctx, "backups/*.tar.age")
}
