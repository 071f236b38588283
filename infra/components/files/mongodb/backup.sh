#!/bin/sh
# Copies all databases to BACKUP_DIR, checks the copy, and keeps the newest RETENTION of them.
# The address and the password are in the file DUMP_CONFIG: they are in no argument list.
set -eu
umask 077

rm -f "$BACKUP_DIR"/*.partial
copy=$BACKUP_DIR/mongodb-$(date -u +%Y%m%dT%H%M%SZ).archive.gz
# In a replica set, what is written while copying comes along: the copy is of one moment.
if [ -n "$REPLICA_SET" ]; then
  mongodump --quiet --config "$DUMP_CONFIG" --gzip --archive="$copy.partial" --oplog
else
  mongodump --quiet --config "$DUMP_CONFIG" --gzip --archive="$copy.partial"
fi
[ -s "$copy.partial" ] || {
  echo "mongodump wrote nothing to $copy.partial" >&2
  exit 1
}
mv "$copy.partial" "$copy"
echo "copied to $copy"

ls -1 "$BACKUP_DIR"/mongodb-*.archive.gz | sort -r | tail -n "+$((RETENTION + 1))" | while read -r old; do
  rm -f -- "$old"
  echo "removed $old"
done
