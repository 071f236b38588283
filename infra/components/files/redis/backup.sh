#!/bin/sh
# Copies the data of one node to BACKUP_DIR, checks the copy, and keeps the newest RETENTION of them.
set -eu
umask 077
. "$(dirname "$0")/common.sh"

# A replica that is up to date spares the master the work.
source_node() {
  for node in $REDIS_NODES; do
    case $(cli "$node" ROLE | paste -s -d ' ' -) in
    "slave "*" connected "*)
      echo "$node"
      return
      ;;
    esac
  done
  peer_master
}

node=$(source_node) || {
  echo "none of $REDIS_NODES answers as master or as a replica in sync: nothing was copied" >&2
  exit 1
}
rm -f "$BACKUP_DIR"/*.partial
copy=$BACKUP_DIR/redis-$(date -u +%Y%m%dT%H%M%SZ).rdb
redis-cli -h "${node%:*}" -p "${node##*:}" --rdb "$copy.partial" >/dev/null
redis-check-rdb "$copy.partial" >/dev/null
mv "$copy.partial" "$copy"
echo "copied $node to $copy"

ls -1 "$BACKUP_DIR"/redis-*.rdb | sort -r | tail -n "+$((RETENTION + 1))" | while read -r old; do
  rm -f -- "$old"
  echo "removed $old"
done
