#!/bin/sh
# Waits for a master to watch, writes this Sentinel's configuration and becomes it.
set -eu
umask 077
here=$(dirname "$0")
. "$here/common.sh"

config=$DATA_DIR/sentinel.conf
touch "$config"
master=$(sed -n "s/^sentinel monitor $MASTER_SET \([^ ]*\) \([0-9]*\) .*/\1:\2/p" "$config")
among "$master" "$REDIS_NODES" || master=

# Back after an outage, perhaps of everything: the master that it remembers gets time to come back too, for a failover
# now could promote a replica that missed the last writes.
patience=$DOWN_AFTER_MILLISECONDS
[ -z "$master" ] || patience=$((MASTER_WAIT_SECONDS * 1000))

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
  echo "sentinel down-after-milliseconds $MASTER_SET $patience"
  echo "sentinel failover-timeout $MASTER_SET $FAILOVER_TIMEOUT_MILLISECONDS"
  echo "sentinel parallel-syncs $MASTER_SET 1"
  # Votes and failovers that it took part in, so that it neither votes twice nor follows a master of the past.
  grep -E '^sentinel (current|config|leader)-epoch ' "$config" || true
  # One that was scaled away would count as a voter who never votes.
  for node in $SENTINEL_NODES; do
    grep "^sentinel known-sentinel $MASTER_SET ${node%:*} ${node##*:} " "$config" || true
  done
  # A master that is already gone can tell nobody who its replicas are.
  for node in $REDIS_NODES; do
    [ "$node" = "$master" ] || echo "sentinel known-replica $MASTER_SET ${node%:*} ${node##*:}"
  done
} >"$config.new"
mv "$config.new" "$config"

if [ "$patience" != "$DOWN_AFTER_MILLISECONDS" ]; then
  (
    sleep "$MASTER_WAIT_SECONDS"
    cli "127.0.0.1:${SELF##*:}" SENTINEL SET "$MASTER_SET" down-after-milliseconds "$DOWN_AFTER_MILLISECONDS" >/dev/null
  ) &
fi
echo "watching $master" >&2
exec redis-server "$config" --sentinel
