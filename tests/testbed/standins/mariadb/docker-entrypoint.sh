#!/bin/sh
# What the public images of MariaDB and MySQL do, as far as a stack can tell: MARIADB_ROOT_PASSWORD, _DATABASE, _USER and
# _PASSWORD (or MYSQL_…) are obeyed, and root needs its password on the local socket, too.
set -eu
data=/var/lib/mysql
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" /run/mysqld /var/lib/mysql-files
    chown -R mysql "$data" /run/mysqld /var/lib/mysql-files
    exec setpriv --reuid=mysql --regid=mysql --init-groups "$0" "$@"
fi
server=mysqld
client=mysql
admin=mysqladmin
if command -v mariadbd >/dev/null; then server=mariadbd client=mariadb admin=mariadb-admin; fi
case ${1:-} in
    -*) set -- "$server" "$@" ;;
esac
password=${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}
database=${MARIADB_DATABASE:-${MYSQL_DATABASE:-}}
user=${MARIADB_USER:-${MYSQL_USER:-}}
secret=${MARIADB_PASSWORD:-${MYSQL_PASSWORD:-}}
if [ ! -d "$data/mysql" ]; then
    : "${password:?MARIADB_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD is needed}"
    if [ "$server" = mariadbd ]; then
        mariadb-install-db --force --skip-test-db --datadir="$data" --auth-root-authentication-method=normal >/dev/null
    else
        mysqld --no-defaults --initialize-insecure --datadir="$data"
    fi
    "$server" --no-defaults --datadir="$data" --skip-networking --socket=/run/mysqld/first.sock &
    first=$!
    until "$admin" --no-defaults -uroot -S /run/mysqld/first.sock ping >/dev/null 2>&1; do
        kill -0 "$first"
        sleep 0.2
    done
    {
        echo "ALTER USER root@localhost IDENTIFIED BY '$password';"
        echo "CREATE USER root@'%' IDENTIFIED BY '$password'; GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        if [ -n "$database" ]; then echo "CREATE DATABASE \`$database\`;"; fi
        if [ -n "$user" ]; then echo "CREATE USER '$user'@'%' IDENTIFIED BY '$secret';"; fi
        if [ -n "$database" ] && [ -n "$user" ]; then echo "GRANT ALL ON \`$database\`.* TO '$user'@'%';"; fi
    } | "$client" --no-defaults -uroot -S /run/mysqld/first.sock
    kill "$first"
    wait "$first" || true
fi
exec "$@"
