#!/usr/bin/env bash
# Kills stemedb-restore at random moments, many times, and then lets it come to its end.
set -e
systemctl start stemedb-backup
systemctl stop stemedb-wal-archive.timer
systemctl stop stemedb-api
for round in $(seq 8); do
	systemd-run --quiet --unit "restoring-$round" stemedb-restore --force
	sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
	systemctl kill --signal KILL "restoring-$round" 2>/dev/null || true
	until [[ "$(systemctl is-active "restoring-$round")" =~ ^(inactive|failed)$ ]]; do sleep 0.05; done
done
stemedb-restore --force
systemctl start stemedb-api
stemedb-admin verify
