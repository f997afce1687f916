#!/usr/bin/env bash
# Overwrites the data and the archived log, as another program does that takes the folder for its own, and kills the service.
find /var/lib/stemedb /var/backups/stemedb/wal -xdev -type f -size +0 -exec sh -c '
	dd if=/dev/urandom of="$1" bs=4096 count=$((($(stat --format %s "$1") + 4095) / 4096)) conv=notrunc status=none' sh {} \;
systemctl kill --signal KILL stemedb-api
