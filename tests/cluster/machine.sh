#!/bin/sh
# machine.sh NAME FOLDER... -- COMMAND: run COMMAND as the first process of a machine, within new namespaces.
# What a machine has to itself is empty there; the rest of the file system is as outside, and so is each FOLDER.
set -eu
hostname "$1"
shift
mount -t tmpfs tmpfs /run
number=0
for argument in "$@"; do
    [ "$argument" = -- ] && break
    number=$((number + 1))
    mkdir -p "/run/kept/$number"
    mount --bind "$argument" "/run/kept/$number"
done
for folder in /tmp /root /dev/shm; do
    mount -t tmpfs -o mode=1777 tmpfs "$folder"
done
chmod 700 /root
number=0
while [ "$1" != -- ]; do
    number=$((number + 1))
    mkdir -p "$1"
    mount --bind "/run/kept/$number" "$1"
    shift
done
shift
exec "$@"
