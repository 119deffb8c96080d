#!/usr/bin/env bash
# Print a hash of each kind of data of the stack, read inside its containers: fingerprint.sh ENGINE
set -euo pipefail
engine=$1

inside() {
  local id service=$1
  shift
  id=$("$engine" ps -q --filter label=com.docker.compose.project=shop --filter "label=com.docker.compose.service=$service")
  "$engine" exec "$id" "$@"
}

show() {
  local sum name=$1
  shift
  sum=$(inside "$@" | grep -v '^.\(un\)\?restrict ' | sha256sum)
  echo "$name ${sum%% *}"
}

show rows db psql -XAtU shop -d shop -c 'SELECT id, what FROM orders ORDER BY id'
show schema db pg_dump -U shop --schema-only shop
# The image of the new server creates its first user with a salt of its own.
show roles db psql -XAtU shop -d shop -c \
  "SELECT rolname, rolcanlogin, CASE WHEN rolname <> 'shop' THEN rolpassword END FROM pg_authid ORDER BY 1"
show notes notes python3 -c '
import sqlite3
print("\n".join(sqlite3.connect("/state/notes.db").iterdump()))'
show files web sh -ec '
cd /app/data; find . -mindepth 1 -exec stat -c "%n %F %a %u %g %N" {} + | sort
find . -type f -exec sha256sum {} + | sort'
