#!/bin/sh
# Before a master stops, a replica takes over: a roll-out or a drained node then costs no write and no wait.
. "$(dirname "$0")/common.sh"
me=127.0.0.1:${SELF##*:}
[ "$(role "$me")" = master ] || exit 0
for sentinel in $SENTINEL_NODES; do
  [ "$(cli "$sentinel" SENTINEL FAILOVER "$MASTER_SET")" = OK ] || continue
  tries=0
  while [ "$(role "$me")" = master ] && [ "$tries" -lt "$FAILOVER_WAIT_SECONDS" ]; do
    sleep 1
    tries=$((tries + 1))
  done
  exit 0
done
