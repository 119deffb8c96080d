# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Query the virtual machine: one shell script for all mounts, and the parser of its output.

The guest of a Podman machine has no Python, so this is plain sh with cat, stat, readlink, sed and, for the access
of the application, nsenter and setpriv of util-linux. Paths are quoted for the shell. The output has
numbers, the C locale's words for errors, and mount tables in the kernel's own escapes.
"""

from __future__ import annotations

import errno
import os
import shlex
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Row, Table
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import INITS
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.syscalls import Node

# inspect NUMBER PID SOURCE DESTINATION TOKEN MODE NAME... searches the NAMEs below the destination. A descriptor's
# mount id identifies the row in effect. Only files that open without waiting or harm are opened. resolve PID PATH
# follows the links of the image, none of which leads out of it: $found. become PID derives, once for each container,
# the command to act as its application: $as. try PLACE NAME MODE runs it: the file it creates has a random name and
# is removed at once.
_FUNCTIONS = r"""
export LC_ALL=C
if [ "$(id -u)" = 0 ]; then echo root; fi
inspect() {
  resolve "$2" "$4"
  at=/proc/$2/root$found
  echo "mount $1"
  echo "guest $(stat -L -c '%d %i %f %u %g %h %s %Y' -- "$3" 2>/dev/null)"
  echo "real $(readlink -f -- "$3" | tr '\n' '\001')"
  echo "place $(printf %s "$found" | tr '\n' '\001')"
  echo "inside $(stat -L -c '%d %i %f %u %g %h %s %Y' -- "$at" 2>/dev/null)"
  if [ -d "$at" ] || [ -f "$at" ]; then echo "row $(sed -n 's/^mnt_id:[^0-9]*//p' /proc/self/fdinfo/9 9<"$at")"; fi
  if [ -n "$5" ] && [ -e "$3/$5" ]; then echo "token guest"; fi
  if [ -n "$5" ] && [ -e "$at/$5" ]; then echo "token inside"; fi
  if [ -n "$6" ]; then
    if [ "$known" != "$2" ]; then known=$2; become "$(application "$2")"; fi
    echo "user $user"
    try "$at" "$5-app" "$6"
  fi
  shift 6
  for name in "$@"; do
    above=$at/${name%/*}
    if [ -e "$at/$name" ] || [ -L "$at/$name" ]; then continue; fi
    if [ ! -d "$above" ] || { [ -r "$above" ] && [ -x "$above" ]; }; then
      echo "lost $(printf %s "$name" | tr '\n' '\001')"
    fi
  done
}
resolve() {
  found='' rest=$2/ hops=0
  while [ -n "$rest" ]; do
    part=${rest%%/*} rest=${rest#*/}
    case $part in ''|.) continue ;; ..) found=${found%/*}; continue ;; esac
    if [ $hops -lt 40 ] && [ -L "/proc/$1/root$found/$part" ]; then
      link=$(readlink "/proc/$1/root$found/$part") hops=$((hops + 1))
      case $link in /*) found='' ;; esac
      rest=$link/$rest
    else
      found=$found/$part
    fi
  done
}
application() {
  case $(cat "/proc/$1/comm") in
    @INITS@) set -- "$1" $(cat "/proc/$1/task/$1/children"); if [ $# = 2 ]; then shift; fi ;;
  esac
  echo "$1"
}
field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"; }
inner() {
  while read -r in out count; do
    if [ "$2" -ge "$out" ] && [ "$2" -lt $((out + count)) ]; then echo $((in + $2 - out)); return; fi
  done <"/proc/$1"
  echo 65534
}
become() {
  pid=$1 groups=$(field "$1" Groups) mask=$(field "$1" CapEff)
  set -- $(field "$1" Uid) $(field "$1" Gid)
  uid=$4 gid=$8 user="$4 $8" as=''
  keep='' own=''
  if [ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]; then
    own="nsenter --user=/proc/$pid/ns/user" user="$user own"
    uid=$(inner "$pid/uid_map" "$uid") gid=$(inner "$pid/gid_map" "$gid")
    if [ "$(cat "/proc/$pid/setgroups")" = deny ]; then  # it maps one user only: keep the groups we enter with
      as="setpriv $(in_groups $groups)" keep=--keep-groups
    else
      set --; for group in $groups; do set -- "$@" "$(inner "$pid/gid_map" "$group")"; done; groups=$*
    fi
  fi
  bounds=-all bit=0
  while [ $bit -le 40 ]; do
    if [ $((0x$mask >> bit & 1)) = 1 ]; then bounds=$bounds,+cap_$bit; fi
    bit=$((bit + 1))
  done
  as="$as $own setpriv --reuid=$uid --regid=$gid --bounding-set=$bounds --inh-caps=-all ${keep:-$(in_groups $groups)}"
}
in_groups() { if [ $# -gt 0 ]; then echo "--groups=$(echo "$*" | tr ' ' ,)"; else echo --clear-groups; fi; }
try() {
  if [ -d "$1" ]; then said=$(cd -P "$1" && $as sh -c "$directory" sh "$2" "$3" 2>&1)
  elif [ -f "$1" ]; then said=$(cd -P "${1%/*}" && $as sh -c "$file" sh "${1##*/}" "$3" 2>&1)
  else said="try done"; fi
  # The last line counts: a shell in a directory of another mount namespace complains first that it has no name for it.
  said=$(echo "$said" | tail -n 1)
  case $said in "try "*) echo "$said" ;; *) echo "try self $said" ;; esac
}
directory='
  if ! [ -r . ] || ! [ -x . ]; then echo "try read Permission denied"; exit; fi
  if [ "$2" = write ]; then
    set -C
    said=$({ head -c 4096 /dev/zero >"./$1"; } 2>&1) || { echo "try write $said"; rm -f "./$1"; exit; }
    rm -f "./$1"
  fi
  echo "try done"'
file='
  said=$({ : <"./$1"; } 2>&1) || { echo "try read $said"; exit; }
  if [ "$2" = write ] && ! [ -w "./$1" ]; then echo "try write Permission denied"; exit; fi
  echo "try done"'
table() { echo "table $1"; cat "/proc/$1/mountinfo" 2>/dev/null; echo "end $1"; }
""".replace("@INITS@", "|".join(INITS))
# Messages of the C library in the C locale. Anything else is an I/O error.
_WORDS = {
    "Permission denied": errno.EACCES,
    "Operation not permitted": errno.EPERM,
    "Read-only file system": errno.EROFS,
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
}


@dataclass(frozen=True)
class Question:
    """One mount: the container's pid in the guest, source and destination there.

    ``token`` is a name to search for ("" none). ``mode`` is the access to try as the application (read, write or "").
    ``names`` are relative paths below the source.
    """

    pid: int
    source: str
    destination: str
    token: str = ""
    mode: str = ""
    names: tuple[str, ...] = ()


@dataclass
class Seen:
    """The objects of the guest at the source and of the container at the destination; None for none.

    ``size`` and ``changed`` (seconds since the epoch) are those of the source. ``token`` holds guest and inside.
    ``place`` is the destination without symbolic links; ``row`` is the id of the mount that is in effect there, 0 if
    unknown. ``user`` are uid, gid and whether in a user namespace of its own; ``tried`` are step and errno
    of the access tried, as in :class:`access.Outcome`, None when it was not tried; ``said`` is the
    error text. ``lost`` are names of the question that are not below the destination.
    """

    guest: Node | None = None
    inside: Node | None = None
    real: str = ""
    size: int = 0
    changed: int = 0
    token: set[str] = field(default_factory=set)
    place: str = ""
    row: int = 0
    user: tuple[int, int, bool] | None = None
    tried: tuple[str, int] | None = None
    said: str = ""
    lost: list[str] = field(default_factory=list)


@dataclass
class Report:
    """All answers of one script, whether root gave them, and the mount tables: "self" is the guest's own."""

    root: bool = False
    seen: dict[int, Seen] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)


def script(questions: t.Sequence[Question]) -> str:
    """The shell script that answers all questions, as root if possible."""
    calls = []
    for index, one in enumerate(questions):
        words = (str(index), str(one.pid), one.source, one.destination, one.token, one.mode, *one.names)
        calls.append("inspect " + " ".join(shlex.quote(word) for word in words))
    tables = [f"table {name}" for name in ["self", *sorted({str(one.pid) for one in questions})]]
    body = shlex.quote("\n".join([_FUNCTIONS.strip(), *calls, *tables]))
    return (
        'if [ "$(id -u)" = 0 ] || ! sudo -n true 2>/dev/null; then unset sudo; else sudo="sudo -n"; fi\n'
        f"$sudo sh -c {body}\n"
    )


def parse(text: str) -> Report:
    """Parse the output of the script. Foreign lines (a banner, a warning) are skipped."""
    report = Report()
    current: Seen | None = None
    rows: list[str] | None = None
    for line in text.split("\n"):
        word, _space, rest = line.partition(" ")
        if rows is not None:
            if word == "end" and rest in report.tables:
                report.tables[rest] = Table("\n".join(rows))
                rows = None
            elif line:
                rows.append(line)
        elif word == "root" and not report.seen:
            report.root = True
        elif word == "table":
            report.tables[rest] = Table("")
            rows = []
        elif word == "mount" and rest.isdigit():
            current = report.seen.setdefault(int(rest), Seen())
        elif current is not None:
            _take(current, word, rest)
    return report


def _take(seen: Seen, word: str, rest: str) -> None:
    if word in ("guest", "inside"):
        numbers = rest.split()
        if len(numbers) == 8:
            setattr(seen, word, _node(numbers))
            if word == "guest":
                seen.size, seen.changed = int(numbers[6]), int(numbers[7])
    elif word == "real":
        seen.real = rest.rstrip("\x01").replace("\x01", "\n")
    elif word == "place":
        seen.place = rest.replace("\x01", "\n")
    elif word == "token":
        seen.token.add(rest)
    elif word == "lost":
        seen.lost.append(rest.replace("\x01", "\n"))
    elif word == "row" and rest.isdigit():
        seen.row = int(rest)
    elif word == "user":
        numbers = rest.split()
        seen.user = (int(numbers[0]), int(numbers[1]), "own" in numbers)
    elif word == "try":
        step, _space, said = rest.partition(" ")
        number = 0 if step == "done" else _WORDS.get(said.rpartition(": ")[2], errno.EIO)
        seen.tried, seen.said = (step, number), said


def _node(numbers: t.Sequence[str]) -> Node:
    device, inode, mode, uid, gid, links = numbers[:6]
    return Node(
        device=int(device),
        inode=int(inode),
        mode=int(mode, 16),
        uid=int(uid),
        gid=int(gid),
        links=int(links),
        birth=None,
        mount_id=0,
        mount_root=False,
    )


def row_of(table: Table, path: str) -> Row | None:
    """The mount of a path, by its name: the longest mount point above it, and of several the last."""
    while True:
        rows = table.at(path)
        if rows:
            return rows[-1]
        if path in ("/", ""):
            return None
        path = os.path.dirname(path)
