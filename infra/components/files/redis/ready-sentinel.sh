#!/bin/sh
# Ready: it answers and names a master.
. "$(dirname "$0")/common.sh"
cli "127.0.0.1:${SELF##*:}" SENTINEL GET-MASTER-ADDR-BY-NAME "$MASTER_SET" | address 1 2 >/dev/null
