#!/bin/sh
# Writes this node's configuration, finds its role and becomes the server.
set -eu
umask 077
here=$(dirname "$0")
. "$here/common.sh"

config=$DATA_DIR/redis.conf

has_data() {
  [ -e "$DATA_DIR/dump.rdb" ] || [ -d "$DATA_DIR/appendonlydir" ]
}

# A copy put here by hand becomes the data: a base file of the append-only log is nothing but an RDB file.
restore() {
  [ -e "$DATA_DIR/restore.rdb" ] || return 1
  redis-check-rdb "$DATA_DIR/restore.rdb" >/dev/null
  rm -rf "$DATA_DIR/appendonlydir"
  if [ "$APPEND_ONLY" = yes ]; then
    mkdir "$DATA_DIR/appendonlydir"
    mv "$DATA_DIR/restore.rdb" "$DATA_DIR/appendonlydir/appendonly.aof.1.base.rdb"
    echo 'file appendonly.aof.1.base.rdb seq 1 type b' >"$DATA_DIR/appendonlydir/appendonly.aof.manifest"
  else
    mv "$DATA_DIR/restore.rdb" "$DATA_DIR/dump.rdb"
  fi
  echo 'restored from restore.rdb' >&2
}

# An empty node that is still called master would wipe its replicas: it waits until they have a better one.
wait_for_failover() {
  tries=0
  while [ "$master" = "$SELF" ] && [ "$tries" -lt "$FAILOVER_WAIT_SECONDS" ]; do
    sleep 1
    tries=$((tries + 1))
    master=$(sentinel_master) || return 0
  done
}

# A node that has been here before may have missed a failover: it lets the Sentinels start before it trusts its memory.
wait_for_sentinels() {
  tries=0
  until master=$(sentinel_master); do
    [ -e "$config" ] && [ "$tries" -lt "$SENTINEL_WAIT_SECONDS" ] || return 1
    tries=$((tries + 1))
    sleep 1
  done
}

# Who is master: the Sentinels say, else a living peer is, else what this node was told last, else the first node.
find_master() {
  if wait_for_sentinels; then
    has_data || wait_for_failover
  elif ! master=$(peer_master "$SELF"); then
    if [ -e "$config" ]; then
      master=$(sed -n 's/^replicaof //p' "$config" | tr ' ' :)
      master=${master:-$SELF}
    fi
    among "$master" "$REDIS_NODES" || master=${REDIS_NODES%% *}
  fi
}

master=$SELF
if ! restore && [ -n "$SENTINEL_NODES" ]; then
  find_master
fi

{
  cat "$here/redis.conf"
  echo "port ${SELF##*:}"
  echo "dir $DATA_DIR"
  echo "maxmemory $MAX_MEMORY"
  echo "appendonly $APPEND_ONLY"
  [ "$APPEND_ONLY" = yes ] || echo 'save ""'
  authentication redis
  if [ -n "$SENTINEL_NODES" ]; then
    echo "replica-announce-ip ${SELF%:*}"
    echo "replica-announce-port ${SELF##*:}"
    # A master cut off from all its replicas stops taking writes that a failover would lose.
    echo "min-replicas-to-write $MIN_REPLICAS"
    echo 'min-replicas-max-lag 10'
    [ "$master" = "$SELF" ] || echo "replicaof ${master%:*} ${master##*:}"
  fi
} >"$config.new"
mv "$config.new" "$config"

echo "starting as $([ "$master" = "$SELF" ] && echo master || echo "replica of $master")" >&2
exec redis-server "$config"
