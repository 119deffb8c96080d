#!/bin/sh
# What the public image does: options alone are the server's, and the data belongs to the user it then runs as.
set -eu
case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$(id -u)" = 0 ]; then
    user=redis
    if id -u valkey >/dev/null 2>&1; then user=valkey; fi
    chown -R "$user" /data
    exec setpriv --reuid="$user" --regid="$user" --init-groups "$0" "$@"
fi
cd /data
umask 077
exec "$@"
