package storage

import (
	"github.com/stemedb/firedrill/e2e/stemedb"
	"github.com/stemedb/firedrill/tools/drill"
)

// The branches of all runbooks about rules/storage.yml.
var _ = env.Drills("storage.yml", []drill.Drill{
	{
		Alert: "DataDiskLow", Branch: "If The Log Was Not Archived", StaysFiring: true,
		Prepare: stemedb.All(
			env.OwnVolume(96<<20),
			env.Setting("STEMEDB_WAL_SEGMENT_BYTES=1048576", "STEMEDB_RATE_LIMIT_CREATE=0"),
			env.OnHost("systemctl disable --now stemedb-wal-archive.timer"),
			env.UnderLoad(stemedb.Traffic{Size: 48 << 10, Writes: 1, Connections: 1})),
		Fault:  env.FillUntil(`test "$(df --output=pcent /var/lib/stemedb | tr --delete --complement 0-9)" -ge 87`),
		Verify: env.NothingLost,
	},
	{
		Alert: "WALFsyncFailing", Branch: "If The Volume Is Full", StaysFiring: true,
		Prepare: stemedb.All(
			env.OwnVolume(64<<20),
			env.UnderLoad(stemedb.Traffic{Preload: 2, Writes: 10, Reads: 10, Connections: 4}),
			env.WarmedUp),
		Fault:  env.OnHost(`! dd if=/dev/zero of=/var/lib/stemedb/core.4711 bs=64K`),
		Also:   []string{"HighErrorRate", "DataDiskLow"},
		Verify: env.NothingLost,
	},
	{
		Alert: "WALFsyncSlow", Branch: "If The Disk Is Throttled", StaysFiring: true,
		Prepare: stemedb.All(env.OwnVolume(64<<20), env.UnderLoad(stemedb.Traffic{Writes: 10, Connections: 8})),
		Fault:   env.ThrottleDisk,
		Also:    []string{"HighRequestLatency"},
		Verify:  env.NothingLost,
	},
	{
		Alert: "StorageFallbackActive", Branch: "If The Index Is Damaged", StaysFiring: true,
		Prepare: stemedb.All(env.UnderLoad(stemedb.Traffic{Preload: 4, Size: 16 << 10, Writes: 5, Reads: 20, Connections: 4}), env.WarmedUp),
		Fault:   env.OnHost(`dd if=/dev/urandom of=/var/lib/stemedb/index.db bs=4096 seek=4 count=$(($(stat --format %s /var/lib/stemedb/index.db) / 4096 - 4)) conv=notrunc`),
		Verify:  env.NothingLost,
	},
	{
		Alert: "IndexCacheHitRateLow", Branch: "If The Cache Is Too Small", StaysFiring: true,
		Prepare: env.UnderLoad(stemedb.Traffic{Preload: 30, Reads: 20, Connections: 4}),
		Fault:   env.Setting("STEMEDB_CACHE_ENTRIES=5"),
		Verify:  env.AllAnswered,
	},
})
