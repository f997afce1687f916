package recovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
)

// disaster is how a scenario comes true.
type disaster struct {
	prepare drill.Action // the steady state before
	strike  drill.Action
	provide drill.Action // what people bring before the runbook can be followed

	says string // what the steps have to say, for it is part of the disaster

	// whole is when what was hit became whole again, where that is not the service.
	whole func(ctx context.Context, struck time.Time) (time.Time, error)
}

var disasters = map[string]disaster{
	"host-lost": {prepare: backedUp, provide: newHost,
		strike: env.LoseHost},
	"newest-backup-unusable": {prepare: stemedb.All(backedUp, env.OnHost("systemctl start stemedb-backup")), provide: newHost, says: "falling back to the backup before it",
		strike: func(ctx context.Context) error {
			if err := bucket.Damage(ctx, "backups/*.tar.age"); err != nil {
				return err
			}
			return env.LoseHost(ctx)
		}},
	"data-damaged":                 {prepare: backedUp, strike: env.Script("overwrite-data.sh")},
	"certificate-expired-key-gone": {prepare: backedUp, strike: stemedb.All(env.Expired, env.KeyGone)},
	"bucket-lost": {prepare: backedUp, whole: backedUpAgain,
		strike: stemedb.All(func(ctx context.Context) error { return bucket.Lose(ctx) }, env.OnHost("! systemctl start stemedb-wal-archive"))},
}

// backedUpAgain is when the host had a backup that was verified, for the first time since the disaster.
func backedUpAgain(ctx context.Context, struck time.Time) (time.Time, error) {
	said, err := env.Host().Output(ctx, `awk '$1 == "stemedb_backup_verify_success" { well = $2 }
		$1 == "stemedb_backup_verify_last_run_timestamp_seconds" { at = $2 } END { print well * at }' /var/lib/prometheus/node-exporter/*.prom`)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(said), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("when the newest backup was verified: %w", err)
	}
	if at := time.Unix(seconds, 0); at.After(struck) {
		return at, nil
	}
	return time.Time{}, errors.New("no backup has been verified since the disaster")
}

// bucket is where the host's backups go.
var bucket *stemedb.Bucket

// backedUp is a host whose backups go to a bucket by its timers.
func backedUp(ctx context.Context) (err error) {
	if bucket, err = env.Host().SetUpBackups(ctx); err != nil {
		return err
	}
	return env.Host().Run(ctx, "systemctl start stemedb-backup && systemctl start stemedb-verify")
}

func newHost(ctx context.Context) error {
	if err := env.ReplaceHost(ctx); err != nil {
		return err
	}
	return env.Host().DeliverRecoveryKit(ctx)
}
