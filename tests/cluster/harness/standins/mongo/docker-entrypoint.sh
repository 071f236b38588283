#!/bin/sh
# As the official image's: the first start makes the users, then the server is what was asked for.
exec "$@"
