package storage

import (
	"github.com/stemedb/firedrill/e2e/drill"
	"github.com/stemedb/firedrill/e2e/world"
)

// The branches of all runbooks about rules/storage.yml.
var _ = drill.Branches("storage.yml", []drill.Drill{
	{Alert: "DataDiskLow", Branch: "If The Log Was Not Archived", Alone: true, Well: drill.NothingLost,
		Before: drill.All(drill.VolumeOf(96<<20), drill.Setting("STEMEDB_WAL_SEGMENT_BYTES=1048576", "STEMEDB_RATE_LIMIT_CREATE=0"), drill.OnHost("systemctl disable --now stemedb-wal-archive.timer"),
			drill.Under(world.Traffic{Size: 48 << 10, Writes: 1, Connections: 1})),
		Fault: drill.FillUntil(`test "$(df --output=pcent /var/lib/stemedb | tr --delete --complement 0-9)" -ge 87`)},

	{Alert: "WALFsyncFailing", Branch: "If The Volume Is Full", Alone: true, Well: drill.NothingLost,
		Before: drill.All(drill.VolumeOf(64<<20), drill.Under(world.Traffic{Stock: 2, Writes: 10, Reads: 10, Connections: 4}), drill.Settled),
		Fault:  drill.OnHost(`! dd if=/dev/zero of=/var/lib/stemedb/core.4711 bs=64K`),
		Also:   []string{"HighErrorRate", "DataDiskLow"}},

	{Alert: "WALFsyncSlow", Branch: "If The Disk Is Throttled", Alone: true, Long: true, Well: drill.NothingLost,
		Before: drill.All(drill.VolumeOf(64<<20), drill.Under(world.Traffic{Writes: 10, Connections: 8})),
		Fault:  drill.OnHost(`systemctl set-property stemedb-api "IOWriteBandwidthMax=/var/lib/stemedb 4K"`),
		Also:   []string{"HighRequestLatency"}},

	{Alert: "StorageFallbackActive", Branch: "If The Index Is Damaged", Alone: true, Well: drill.NothingLost,
		Before: drill.All(drill.Under(world.Traffic{Stock: 4, Size: 16 << 10, Writes: 5, Reads: 20, Connections: 4}), drill.Settled),
		Fault:  drill.OnHost(`dd if=/dev/urandom of=/var/lib/stemedb/index.db bs=4096 seek=4 count=$(($(stat --format %s /var/lib/stemedb/index.db) / 4096 - 4)) conv=notrunc`)},

	{Alert: "IndexCacheHitRateLow", Branch: "If The Cache Is Too Small", Alone: true, Long: true, Well: drill.Answered,
		Before: drill.Under(world.Traffic{Stock: 30, Reads: 20, Connections: 4}),
		Fault:  drill.Setting("STEMEDB_CACHE_ENTRIES=5")},
})
