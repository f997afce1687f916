#!/usr/bin/env bash
# Starts a second stemedb-api on the host, and puts it behind the load balancer.
set -e
install -d -o stemedb -g stemedb /var/lib/stemedb-2 /var/backups/stemedb-2
systemd-run --quiet --unit stemedb-api-2 --uid stemedb --property Type=notify --property EnvironmentFile=/etc/stemedb/stemedb.env \
	env STEMEDB_LISTEN=127.0.0.1:18280 STEMEDB_METRICS_LISTEN=127.0.0.1:18281 STEMEDB_DATA_DIR=/var/lib/stemedb-2 \
	STEMEDB_WAL_ARCHIVE_DIR=/var/backups/stemedb-2 /usr/local/bin/stemedb-api
sed -i 's/^\tserver 127.0.0.1:18180 .*/&\n\tserver 127.0.0.1:18280 max_fails=1 fail_timeout=5s;/' /etc/nginx/stream.d/stemedb.conf
nginx -t
systemctl reload nginx
