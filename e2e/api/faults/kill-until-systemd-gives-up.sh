#!/usr/bin/env bash
# Kills stemedb-api, as the kernel does when memory runs out, until systemd starts it no more.
until [ "$(systemctl show --property Result --value stemedb-api)" = start-limit-hit ] || [ "$(systemctl is-active stemedb-api)" = failed ]; do
	systemctl kill --signal KILL stemedb-api
	sleep 0.1
done
