#!/usr/bin/env bash
# Keeps one backup only, and makes three more. A backup is named after its second.
set -e
sed -i '/^STEMEDB_BACKUP_KEEP=/d' /etc/stemedb/backup.env
echo STEMEDB_BACKUP_KEEP=1 >> /etc/stemedb/backup.env
for _ in 1 2 3; do
	sleep 1.1
	systemctl reset-failed stemedb-backup 2>/dev/null || true
	systemctl start stemedb-backup
done
