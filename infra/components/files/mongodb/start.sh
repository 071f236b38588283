#!/bin/sh
# Becomes mongod: the first pod by way of the image's own first start, with users and scripts; the others at once, for
# they are filled by replication and must be empty.
set -eu

options="--dbpath /data/db --bind_ip_all --auth"
if [ -n "$REPLICA_SET" ]; then
  # mongod refuses a key that its group may read, and the files of a volume are.
  umask 077
  cat "$KEY_FILE" >"${TMPDIR:-/tmp}/keyfile"
  options="$options --replSet $REPLICA_SET --keyFile ${TMPDIR:-/tmp}/keyfile"
fi

if [ "${POD_NAME##*-}" = 0 ]; then
  exec docker-entrypoint.sh mongod $options
fi
exec mongod $options
