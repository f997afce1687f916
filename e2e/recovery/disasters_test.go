package recovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// disaster is how a scenario comes true.
type disaster struct {
	prepare drill.Fault // the steady state before
	strike  drill.Fault
	provide func(context.Context) error // what people bring before the runbook can be followed

	says string // what the steps have to say, for it is part of the disaster

	// whole is when what was hit became whole again, where that is not the service.
	whole func(ctx context.Context, struck time.Time) (time.Time, error)
}

var disasters = map[string]disaster{
	"host-lost": {prepare: backedUp, provide: newHost,
		strike: func(ctx context.Context, _ *world.Host) error { return w.LoseHost(ctx) }},
	"newest-backup-unusable": {prepare: drill.All(backedUp, drill.OnHost("systemctl start stemedb-backup")), provide: newHost, says: "falling back to the backup before it",
		strike: func(ctx context.Context, _ *world.Host) error {
			if err := bucket.Damage(ctx, "backups/*.tar.age"); err != nil {
				return err
			}
			return w.LoseHost(ctx)
		}},
	"data-damaged":                 {prepare: backedUp, strike: drill.OnHost(overwritten)},
	"certificate-expired-key-gone": {prepare: backedUp, strike: drill.All(drill.Expired, drill.KeyGone)},
	"bucket-lost": {prepare: backedUp, whole: backedUpAgain,
		strike: drill.All(func(ctx context.Context, _ *world.Host) error { return bucket.Lose(ctx) }, drill.OnHost("! systemctl start stemedb-wal-archive"))},
}

// overwritten is the data directory after some other program took it for its own, and the service killed.
const overwritten = `
find /var/lib/stemedb /var/backups/stemedb/wal -xdev -type f -size +0 -exec sh -c '
	dd if=/dev/urandom of="$1" bs=4096 count=$((($(stat --format %s "$1") + 4095) / 4096)) conv=notrunc status=none' sh {} \;
systemctl kill --signal KILL stemedb-api
`

// backedUpAgain is when the host had a backup that was verified, for the first time since the disaster.
func backedUpAgain(ctx context.Context, struck time.Time) (time.Time, error) {
	said, err := w.Host().Output(ctx, `awk '$1 == "stemedb_backup_verify_success" { well = $2 }
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
var bucket *world.Bucket

// backedUp is a host whose backups go to a bucket by its timers.
func backedUp(ctx context.Context, host *world.Host) (err error) {
	if bucket, err = host.BackUp(ctx); err != nil {
		return err
	}
	return host.Run(ctx, "systemctl start stemedb-backup && systemctl start stemedb-verify")
}

func newHost(ctx context.Context) error {
	if err := w.NewHost(ctx); err != nil {
		return err
	}
	return w.Host().BringKit(ctx)
}
