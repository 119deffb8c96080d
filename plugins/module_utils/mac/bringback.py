# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent that starts a stack after a login: machine, API, mounts, containers, in this order.

The agent does not rely on the guest. Podman's unit is not enabled there, supports only ``always`` before 5.8, and can
start containers before the shared directories are mounted, which then are empty. The script is plain sh, because an
agent has a minimal environment, and a Mac can be without a Python outside a virtual environment.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass

# Directories in which brew and the installer install podman. An agent's own PATH has none of them.
PATH = "/opt/homebrew/bin:/usr/local/bin:/opt/podman/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@dataclass(frozen=True)
class Stack:
    """The stack to start.

    Attributes:
        machine: name of the Podman machine.
        provider: its provider.
        connection: system connection of the store in use (``<name>`` or ``<name>-root``).
        project: compose project.
        sources: directories of the host that the containers bind.
        compose: the command that creates the project's containers.
        podman: the podman client.
        timeout: seconds each for machine, API and mounts.
    """

    machine: str
    provider: str
    connection: str
    project: str
    sources: tuple[str, ...]
    compose: tuple[str, ...]
    podman: str = "podman"
    timeout: int = 300


_SCRIPT = """\
#!/bin/sh
# Written by onebox.stack: starts the stack @PROJECT_NAME@ after a login. Changes here are overwritten.
set -u
PATH=@PATH@:${PATH:-}
export PATH CONTAINERS_MACHINE_PROVIDER=@PROVIDER@
# podman searches its sockets below TMPDIR. With another value it does not find the machine.
if [ -z "${TMPDIR:-}" ] && [ -x /usr/bin/getconf ]; then
  TMPDIR=$(/usr/bin/getconf DARWIN_USER_TEMP_DIR 2>/dev/null) && export TMPDIR
fi
podman=@PODMAN@
machine=@MACHINE@
connection=@CONNECTION@
project=@PROJECT@
limit=@TIMEOUT@

say() { echo "$(date '+%Y-%m-%d %H:%M:%S') $*"; }

# Run a command for at most $limit seconds: podman machine start waits forever for a guest that does not become ready.
bounded() {
  "$@" &
  child=$!
  (
    left=$limit
    while [ "$left" -gt 0 ] && kill -0 "$child" 2>/dev/null; do
      sleep 1
      left=$((left - 1))
    done
    if [ "$left" -le 0 ]; then
      kill -9 "$child" 2>/dev/null
    fi
  ) &
  watcher=$!
  wait "$child"
  result=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  return $result
}

# Try a command every second until it succeeds or $limit is over.
until_true() {
  left=$limit
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      return 1
    fi
    sleep 1
  done
}

state=$("$podman" machine inspect --format '{{.State}}' "$machine" 2>/dev/null)
if [ "$state" != running ]; then
  say "starting the machine $machine"
  bounded "$podman" machine start --quiet --no-info "$machine" </dev/null || say "podman machine start ended with $?"
fi
if ! until_true "$podman" --connection "$connection" info; then
  say "the machine $machine does not answer: run the playbook with podman_machine_recover=kill_stale"
  exit 1
fi

# A directory that is not shared with the machine yet would be empty in the container. Write a token and read it inside.
# $1 is the directory on the host, $2 the same quoted once more for the guest's shell.
visible() {
  token=.onebox-visible-$$
  if ! (umask 077 && echo $$ >"$1/$token") 2>/dev/null; then
    "$podman" machine ssh "$machine" test -e "$2" </dev/null
    return
  fi
  "$podman" machine ssh "$machine" test -e "$2/$token" </dev/null
  seen=$?
  rm -f "$1/$token"
  return $seen
}
@CHECKS@
# Containers that a user stopped stay down, the others start. A project without containers is deployed again.
all=$("$podman" --connection "$connection" ps --all --quiet --filter "label=com.docker.compose.project=$project")
other=$("$podman" --connection "$connection" ps --all --quiet --filter "label=io.podman.compose.project=$project")
all=$(printf '%s\\n%s\\n' "$all" "$other" | sort -u | sed '/^$/d')
if [ -z "$all" ]; then
  say "deploying the stack $project"
  DOCKER_HOST=unix://$("$podman" machine inspect --format '{{.ConnectionInfo.PodmanSocket.Path}}' "$machine")
  export DOCKER_HOST
  exec @COMPOSE@
fi
failed=0
for id in $all; do
  row=$("$podman" --connection "$connection" inspect --format \\
    '{{.State.Running}} {{.State.StoppedByUser}} {{.HostConfig.RestartPolicy.Name}}' "$id")
  case $row in
    "false false always" | "false false unless-stopped")
      say "starting $id"
      "$podman" --connection "$connection" start "$id" >/dev/null || failed=1
      ;;
  esac
done
exit $failed
"""

_CHECK = """\
if ! until_true visible @SOURCE@ @REMOTE@; then
  say @SOURCE@ "is not shared with the machine, so containers are not started"
  exit 1
fi
"""


def _filled(template: str, values: t.Mapping[str, str]) -> str:
    for key, value in values.items():
        template = template.replace(f"@{key}@", value)
    return template


def script(stack: Stack) -> str:
    """The script, with every value quoted for the shell."""
    checks = ""
    for source in stack.sources:
        quoted = shlex.quote(source)
        checks += _filled(_CHECK, {"SOURCE": quoted, "REMOTE": shlex.quote(quoted)})
    return _filled(
        _SCRIPT,
        {
            "CHECKS": checks,
            "PROJECT_NAME": "".join(one for one in stack.project if one.isprintable()),
            "PATH": shlex.quote(PATH),
            "PROVIDER": shlex.quote(stack.provider),
            "PODMAN": shlex.quote(stack.podman),
            "MACHINE": shlex.quote(stack.machine),
            "CONNECTION": shlex.quote(stack.connection),
            "PROJECT": shlex.quote(stack.project),
            "TIMEOUT": str(stack.timeout),
            "COMPOSE": " ".join(shlex.quote(word) for word in stack.compose),
        },
    )


def definition(script_path: str, log_path: str) -> dict[str, t.Any]:
    """The agent. AbandonProcessGroup keeps the machine, because launchd ends the processes of a job with the job.

    KeepAlive is not set, because it would repeatedly start a machine that its user stopped.
    """
    return {
        "ProgramArguments": ["/bin/sh", script_path],
        "RunAtLoad": True,
        "AbandonProcessGroup": True,
        "ProcessType": "Background",
        "StandardOutPath": log_path,
        "StandardErrorPath": log_path,
    }
