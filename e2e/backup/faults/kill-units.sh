#!/usr/bin/env bash
# Kills the units of the backups at random moments, many times. After each round the newest backup can be restored.
killed=0
for _ in $(seq 6); do
	for unit in stemedb-backup stemedb-wal-archive stemedb-verify; do
		systemctl start --no-block $unit
		sleep "0.$((RANDOM % 10))$((RANDOM % 10))"
		if systemctl is-active --quiet $unit || [ "$(systemctl is-active $unit)" = activating ]; then
			systemctl kill --signal KILL $unit
			killed=$((killed + 1))
		fi
		until [[ "$(systemctl is-active $unit)" =~ ^(inactive|failed)$ ]]; do sleep 0.05; done
		systemctl reset-failed $unit 2>/dev/null || true
	done
	systemctl start stemedb-verify || { journalctl -u stemedb-verify -u stemedb-backup -u stemedb-wal-archive --no-pager --lines 20 >&2; exit 1; }
done
echo "killed $killed times" >&2
[ $killed -ge 6 ]
