#!/usr/bin/env bash
# Remounts the data volume read-only, as the kernel does after an error of the disk.
set -e
systemctl stop stemedb-api
mount -o remount,ro /var/lib/stemedb
systemctl start stemedb-api
