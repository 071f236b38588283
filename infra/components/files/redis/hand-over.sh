#!/bin/sh
# Before a master stops, a replica takes over: a roll-out or a drained node then loses no write that was acknowledged.
. "$(dirname "$0")/common.sh"
me=127.0.0.1:${SELF##*:}
[ "$(role "$me")" = master ] || exit 0

# Writers wait from here on, so that the replicas hold everything when one of them is promoted.
cli "$me" CLIENT PAUSE "$((FAILOVER_WAIT_SECONDS * 1000))" WRITE >/dev/null
for sentinel in $SENTINEL_NODES; do
  [ "$(cli "$sentinel" SENTINEL FAILOVER "$MASTER_SET")" = OK ] || continue
  tries=0
  while [ "$tries" -lt "$((FAILOVER_WAIT_SECONDS * 5))" ]; do
    master=$(cli "$sentinel" SENTINEL GET-MASTER-ADDR-BY-NAME "$MASTER_SET" | address 1 2)
    if among "$master" "$REDIS_NODES" && [ "$master" != "$SELF" ]; then
      # Sentinel would do it ten seconds from now; until then, what this node takes would be lost.
      cli "$me" REPLICAOF "${master%:*}" "${master##*:}" >/dev/null
      break
    fi
    sleep 0.2
    tries=$((tries + 1))
  done
  break
done
# Who waited is told that this is a replica now, and asks the Sentinels.
cli "$me" CLIENT UNPAUSE >/dev/null
