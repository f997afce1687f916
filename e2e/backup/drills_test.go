package backup

import (
	"context"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
)

// The branches of all runbooks about rules/backup.yml.
var _ = env.Drills("backup.yml", []drill.Drill{
	{
		Alert: "BackupStale", Branch: "If The Timer Is Disabled", StaysFiring: true,
		Prepare: backedUp,
		Fault:   stemedb.All(env.Script("run-long-ago.sh", "26 hours", "stemedb-backup"), env.OnHost("systemctl disable --now stemedb-backup.timer")),
	},
	{
		Alert: "BackupStale", Branch: "If The Credentials Were Rotated",
		Prepare: backedUp,
		Fault: stemedb.All(env.Script("run-long-ago.sh", "26 hours", "stemedb-backup"),
			rotated, env.OnHost("! systemctl start stemedb-backup")),
	},
	{
		Alert: "BackupVerificationFailed", Branch: "If An Object In The Bucket Is Damaged", StaysFiring: true,
		Prepare: backedUp,
		Fault:   stemedb.All(damaged, env.OnHost("! systemctl start stemedb-verify")),
	},
	{
		Alert: "BackupUnverified", Branch: "If The Timer Is Disabled", StaysFiring: true,
		Prepare: backedUp,
		Fault:   stemedb.All(env.Script("run-long-ago.sh", "50 hours", "stemedb-verify"), env.OnHost("systemctl disable --now stemedb-verify.timer")),
	},
	{
		Alert: "WALArchiveLagging", Branch: "If The Bucket Was Unreachable", StaysFiring: true,
		Prepare: backedUp,
		Fault: stemedb.All(env.Script("run-long-ago.sh", "15 minutes", "stemedb-wal-archive"), stopped,
			env.OnHost("! systemctl start stemedb-wal-archive && systemctl disable --now stemedb-wal-archive.timer")),
		Also:   []string{"BackupBucketUnreachable"},
		Verify: reachableAgain,
	},
	{
		Alert: "BackupBucketUnreachable", Branch: "If The Provider Is Down", StaysFiring: true,
		Prepare: backedUp,
		Fault:   stemedb.All(stopped, env.OnHost("! systemctl start stemedb-wal-archive")),
	},
	{
		Alert: "BackupBucketUnreachable", Branch: "If The Endpoint Is Wrong Here",
		Prepare: backedUp,
		Fault: env.OnHost(`sed -i 's/^STEMEDB_BACKUP_ENDPOINT=.*/STEMEDB_BACKUP_ENDPOINT=https:\/\/s4.example.com/' /etc/stemedb/backup.env
			! systemctl start stemedb-wal-archive`),
	},
})

// bucket is where the host's backups go.
var bucket *stemedb.Bucket

// backedUp is a host whose backups go to a bucket, and whose last one was verified.
func backedUp(ctx context.Context) (err error) {
	if bucket, err = env.Host().SetUpBackups(ctx); err != nil {
		return err
	}
	load, err := env.Load(ctx, stemedb.Traffic{Preload: 20, Connections: 1})
	if err != nil {
		return err
	}
	load.Stop()
	return env.Host().Run(ctx, "systemctl start stemedb-wal-archive && systemctl start stemedb-backup && systemctl start stemedb-verify")
}

// reachableAgain is a bucket whose provider has been called, by those who got the alert on that.
func reachableAgain(ctx context.Context) (drill.Action, error) {
	return func(context.Context) error { return nil }, bucket.Restart(ctx)
}

func rotated(ctx context.Context) error { return bucket.Rotate(ctx) }

func stopped(ctx context.Context) error { return bucket.Stop(ctx) }

func damaged(ctx context.Context) error { return bucket.Damage(ctx, "backups/*.tar.age") }
