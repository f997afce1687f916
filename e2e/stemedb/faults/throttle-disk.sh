#!/usr/bin/env bash
# Lets stemedb-api write 4 kB a second to its data volume, and shows that the kernel does so.
set -e
systemctl set-property stemedb-api "IOWriteBandwidthMax=/var/lib/stemedb 4K"
group=$(systemctl show --property ControlGroup --value stemedb-api)
limits=$(cat "/sys/fs/cgroup/blkio$group/blkio.throttle.write_bps_device" "/sys/fs/cgroup$group/io.max" 2>/dev/null || true)
if ! grep -q '[ =]4000\b' <<< "$limits"; then
	echo "the kernel has no limit for the unit ($group has \"$limits\"): its io controller is missing" >&2
	exit 1
fi
