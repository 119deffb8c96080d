#!/bin/sh
# await_login.sh SECONDS ssh ARGUMENT…: wait until a new machine can be logged in to and its first boot is over.
# While cloud-init is at work it holds the package database, and what comes next would fail on that.
# Ends with 0; with 3 when the machine shows another host key than before; with 4 when the time is up.
# What ssh said last is on standard output.
set -u
until=$(($(date +%s) + $1))
shift
while :; do
    if said=$("$@" 'test ! -d /run/cloud-init || test -e /run/cloud-init/result.json' 2>&1 </dev/null); then
        exit 0
    fi
    # Waiting would not change this.
    case $said in
        *'HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'*) printf '%s\n' "$said"; exit 3 ;;
    esac
    if [ "$(date +%s)" -ge "$until" ]; then
        printf '%s\n' "${said:-it answers, and cloud-init is still at work}"
        exit 4
    fi
    sleep 2
done
