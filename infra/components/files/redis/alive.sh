#!/bin/sh
# Alive: it answers at all, be it that it is still loading.
. "$(dirname "$0")/common.sh"
case $(cli "127.0.0.1:${SELF##*:}" PING) in
PONG | LOADING* | MASTERDOWN*) ;;
*) exit 1 ;;
esac
