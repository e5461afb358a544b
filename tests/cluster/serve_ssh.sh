#!/bin/sh
# serve_ssh.sh KEY: let root in who has the private part of KEY, on port 22 of this machine, until it is ended.
set -eu
mkdir -p /run/sshd
echo "$1" > /run/authorized_keys
ssh-keygen -q -t ed25519 -N '' -f /run/host_key
exec /usr/sbin/sshd -D -e -o HostKey=/run/host_key -o AuthorizedKeysFile=/run/authorized_keys -o StrictModes=no \
    -o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o UsePAM=no -o UseDNS=no -o PidFile=none
