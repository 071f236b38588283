# Functions of the other scripts. A node is host:port; REDIS_NODES, SENTINEL_NODES and SELF are given by the pod.
# The password is in REDISCLI_AUTH, which redis-cli reads by itself: it is in no argument list.

cli() {
  node=$1
  shift
  timeout 3 redis-cli -h "${node%:*}" -p "${node##*:}" "$@" 2>/dev/null
}

# The first line of ROLE: master, slave or sentinel; nothing when the node does not answer.
role() {
  cli "$1" ROLE | sed -n 1p
}

# The second and third lines of an answer, as host:port.
address() {
  sed -n "$1p;$2p" | paste -s -d : - | grep -E '^[^:]+:[0-9]+$'
}

# What most of the answering Sentinels call the master.
sentinel_master() {
  for sentinel in $SENTINEL_NODES; do
    [ "$sentinel" = "${1:-}" ] || cli "$sentinel" SENTINEL GET-MASTER-ADDR-BY-NAME "$MASTER_SET" | address 1 2 || true
  done | sort | uniq -c | sort -rn | sed -n '1s/^ *[0-9]* //p' | grep .
}

# A node other than $1 that is a master.
peer_master() {
  for peer in $REDIS_NODES; do
    if [ "$peer" != "${1:-}" ] && [ "$(role "$peer")" = master ]; then
      echo "$peer"
      return 0
    fi
  done
  return 1
}

# The master that the replicas still know, though it does not answer itself.
remembered_by_replicas() {
  for peer in $REDIS_NODES; do
    if [ "$(role "$peer")" = slave ]; then
      cli "$peer" ROLE | address 2 3
      return
    fi
  done
  return 1
}

# Whether $1 is one of the words of $2.
among() {
  case " $2 " in *" ${1:-nothing} "*) ;; *) return 1 ;; esac
}

# A value as a double-quoted word of a configuration file.
quoted() {
  printf '"%s"' "$(printf '%s' "$1" | sed 's/["\\]/\\&/g')"
}

# Both directions of authentication, or nothing where there is no password.
authentication() {
  if [ -n "${REDISCLI_AUTH:-}" ]; then
    printf 'requirepass %s\n' "$(quoted "$REDISCLI_AUTH")"
    if [ "$1" = sentinel ]; then
      printf 'sentinel auth-pass %s %s\n' "$MASTER_SET" "$(quoted "$REDISCLI_AUTH")"
    else
      printf 'masterauth %s\n' "$(quoted "$REDISCLI_AUTH")"
    fi
  fi
}
