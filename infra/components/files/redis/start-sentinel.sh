#!/bin/sh
# Waits for a master to watch, writes this Sentinel's configuration and becomes it.
set -eu
umask 077
here=$(dirname "$0")
. "$here/common.sh"

config=$DATA_DIR/sentinel.conf
touch "$config"
master=$(sed -n "s/^sentinel monitor $MASTER_SET \([^ ]*\) \([0-9]*\) .*/\1:\2/p" "$config")

# On its first start: the other Sentinels know best, then a master that answers is it. Only when none came in a while,
# the one that the replicas miss.
tries=0
until [ -n "$master" ] || master=$(sentinel_master "$SELF") || master=$(peer_master) ||
  { [ "$tries" -ge "$MASTER_WAIT_SECONDS" ] && master=$(remembered_by_replicas); }; do
  tries=$((tries + 1))
  echo "no master yet among $REDIS_NODES" >&2
  sleep 1
done

{
  cat "$here/sentinel.conf"
  echo "port ${SELF##*:}"
  echo "dir $DATA_DIR"
  # The same identity after every restart, or the others would count this Sentinel once for each.
  echo "sentinel myid $(printf '%s' "$SELF" | sha1sum | cut -c 1-40)"
  echo "sentinel announce-ip ${SELF%:*}"
  echo "sentinel announce-port ${SELF##*:}"
  echo "sentinel monitor $MASTER_SET ${master%:*} ${master##*:} $QUORUM"
  authentication sentinel
  echo "sentinel down-after-milliseconds $MASTER_SET $DOWN_AFTER_MILLISECONDS"
  echo "sentinel failover-timeout $MASTER_SET $FAILOVER_TIMEOUT_MILLISECONDS"
  echo "sentinel parallel-syncs $MASTER_SET 1"
  # Votes and failovers that it took part in, so that it neither votes twice nor follows a master of the past.
  grep -E '^sentinel (current-epoch|(config-epoch|leader-epoch|known-sentinel) )' "$config" || true
  # A master that is already gone can tell nobody who its replicas are.
  for node in $REDIS_NODES; do
    [ "$node" = "$master" ] || echo "sentinel known-replica $MASTER_SET ${node%:*} ${node##*:}"
  done
} >"$config.new"
mv "$config.new" "$config"

echo "watching $master" >&2
exec redis-server "$config" --sentinel
