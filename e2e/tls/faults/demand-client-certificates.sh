#!/usr/bin/env bash
# Has the prober present its certificate, and starts the reporter.
set -e
chown prometheus /etc/prometheus/probe-key.pem
sed -i 's/# cert_file/cert_file/; s/# key_file/key_file/' /etc/prometheus/blackbox.yml
systemctl restart prometheus-blackbox-exporter
systemctl start stemedb-reporter
