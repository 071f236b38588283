#!/bin/sh
# Ready: primary, or secondary and not still copying; or not yet part of a set, which is for the initiation to change.
exec mongosh --quiet --norc --eval '
  const hello = db.hello();
  quit(hello.isWritablePrimary || hello.secondary || !hello.setName ? 0 : 1)
'
