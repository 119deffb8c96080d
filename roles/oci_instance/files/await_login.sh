#!/bin/sh
# await_login.sh SECONDS ssh ARGUMENT…: wait until a new machine can be logged in to and its first boot is over.
# While cloud-init is at work it holds the package database, and what comes next would fail on that.
# Ends with 0; with 3 when the machine shows another host key than before; when the time is up with 4, or with 5 where only
# the first boot is not over. What ssh said last is on standard output.
set -u
until=$(($(date +%s) + $1))
shift
while :; do
    said=$("$@" 'test ! -d /run/cloud-init || test -e /run/cloud-init/result.json' 2>&1 </dev/null)
    code=$? # 255 is ssh's own; else it is that of the command on the machine
    [ "$code" -ne 0 ] || exit 0
    # Waiting would not change this.
    case $said in
        *'HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'*) printf '%s\n' "$said"; exit 3 ;;
    esac
    if [ "$(date +%s)" -ge "$until" ]; then
        printf '%s\n' "$said"
        [ "$code" -eq 255 ] && exit 4
        exit 5
    fi
    sleep 2
done
