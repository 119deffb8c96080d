#!/bin/sh
# await_login.sh SECONDS ssh ARGUMENT…: wait for a login to a new machine and for the end of its first boot.
# While cloud-init runs, it locks the package database, and later tasks would fail.
# Exit codes: 0 for success, 3 if the machine shows another host key than before, 4 if no login succeeded in time, 5 if only
# the first boot did not end in time. The last output of ssh is on standard output.
set -u
until=$(($(date +%s) + $1))
shift
while :; do
    said=$("$@" 'test ! -d /run/cloud-init || test -e /run/cloud-init/result.json' 2>&1 </dev/null)
    code=$? # 255 is ssh's own; any other is that of the command on the machine
    [ "$code" -ne 0 ] || exit 0
    # Waiting does not change this.
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
