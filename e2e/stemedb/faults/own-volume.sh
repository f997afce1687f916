#!/usr/bin/env bash
# Moves the data folder $1 to an ext4 file system of $2 bytes on a loop device.
set -e
systemctl stop stemedb-api
mkdir /srv/disk
mount --move "$1" /srv/disk
truncate --size "$2" /srv/disk/volume.img
mkfs.ext4 -q -m 0 /srv/disk/volume.img
mknod /dev/loop-control c 10 237
for number in $(seq 0 63); do mknod "/dev/loop$number" b 7 "$number"; done
mount -o loop /srv/disk/volume.img "$1"
rm -r "$1/lost+found"
find /srv/disk -mindepth 1 -maxdepth 1 ! -name volume.img -exec cp -a {} "$1"/ \;
chown stemedb:stemedb "$1"
chmod 750 "$1"
systemctl start stemedb-api
