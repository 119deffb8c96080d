#!/bin/sh
# What the public image does, as far as a stack can tell: POSTGRES_USER, _DB, _PASSWORD (or _PASSWORD_FILE) and PGDATA are
# obeyed, files of /docker-entrypoint-initdb.d run once, the local socket trusts, other connections ask for the password.
set -eu
: "${PGDATA:=/var/lib/postgresql/data}"
export PGDATA
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /run/postgresql
    chown -R postgres "$PGDATA" /run/postgresql
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
    user=${POSTGRES_USER:-postgres}
    db=${POSTGRES_DB:-$user}
    pw=$(mktemp)
    printf %s "${POSTGRES_PASSWORD:?}" >"$pw"
    initdb -U "$user" --pwfile="$pw" --auth-host=scram-sha-256 --auth-local=trust \
        --encoding=UTF8 --locale=C.UTF-8 >/dev/null
    rm -f "$pw"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    pg_ctl -w -o "-c listen_addresses=''" start >/dev/null
    if [ "$db" != postgres ]; then createdb -U "$user" --maintenance-db=postgres "$db"; fi
    for file in /docker-entrypoint-initdb.d/*.sql; do
        if [ -e "$file" ]; then psql -qX -v ON_ERROR_STOP=1 -U "$user" -d "$db" -f "$file"; fi
    done
    pg_ctl -m fast -w stop >/dev/null
fi
exec "$@"
