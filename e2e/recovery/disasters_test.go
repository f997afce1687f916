package recovery

import (
	"context"
	"time"

	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// disaster is how a scenario comes true.
type disaster struct {
	prepare drill.Fault // the steady state before
	strike  drill.Fault
	provide func(context.Context) error // what people bring before the runbook can be followed

	// whole is when what was hit became whole again, where that is not the service.
	whole func(context.Context) (time.Time, error)
}

var disasters = map[string]disaster{
	"host-lost": {prepare: backedUp, provide: newHost,
		strike: func(ctx context.Context, _ *world.Host) error { return w.LoseHost(ctx) }},
	"newest-backup-unusable": {prepare: drill.All(backedUp, drill.OnHost("systemctl start stemedb-backup")), provide: newHost,
		strike: func(ctx context.Context, _ *world.Host) error {
			if err := bucket.Damage(ctx, "backups/*.tar.age"); err != nil {
				return err
			}
			return w.LoseHost(ctx)
		}},
}

// bucket is where the host's backups go.
var bucket *world.Bucket

// backedUp is a host whose backups go to a bucket by its timers.
func backedUp(ctx context.Context, host *world.Host) (err error) {
	if bucket, err = w.Bucket(ctx); err != nil {
		return err
	}
	if err := host.BackUp(ctx, bucket); err != nil {
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
