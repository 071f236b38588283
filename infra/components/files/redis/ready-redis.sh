#!/bin/sh
# Ready: it answers, and a replica holds all of its master's data.
. "$(dirname "$0")/common.sh"
case $(cli "127.0.0.1:${SELF##*:}" ROLE | paste -s -d ' ' -) in
master*) ;;
"slave "*" connected "*) ;;
*) exit 1 ;;
esac
