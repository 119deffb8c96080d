# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start a stack after a reboot, with one systemd unit that waits for the disks of its data.

Restart policies alone are not enough. Rootful Podman has no daemon that would apply them. Docker applies them before a
late disk is mounted, and then the containers write into the empty directory below. The unit stops the containers at
shutdown and records which ran, so that it starts only these: a service that was stopped stays stopped.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import jobs, process
from ansible_collections.onebox.stack.plugins.module_utils.core.files import make_directories, replace

_TIMEOUT = 600.0

_SCRIPT = (
    """#!/bin/sh
# Made by onebox.stack.compose_stack; do not edit. Brings the stack {project} back after a boot.
engine={engine}
ran={ran}
{environment}label=com.docker.compose.project={project}
containers() {{ "$engine" ps --quiet --no-trunc --filter "label=$label" "$@"; }}
case "$1" in
start)
  tries=0
  until "$engine" version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || {{ echo "$engine does not answer" >&2; exit 1; }}
    sleep 1
  done
  if [ -f "$ran" ]; then
    ids=$(cat "$ran")
  else
    # No clean shutdown. Docker starts by itself what has a restart policy and """
    + "nobody stopped; Podman has nobody who\n"  # style: keep nobody: the script on users' disks keeps its bytes
    + """    # would: what started after it last ended was running.
    ids=$([ "$engine" = docker ] || for id in $(containers --all); do
      set -- $("$engine" inspect --format \
        '{{{{.HostConfig.RestartPolicy.Name}}}} {{{{.State.StartedAt.Unix}}}} {{{{.State.FinishedAt.Unix}}}}' "$id")
      case "$1" in always | unless-stopped) [ "$3" -ge "$2" ] || echo "$id" ;; esac
    done)
  fi
  ids=$(echo $ids)
  while [ -n "$ids" ]; do
    left=
    for id in $ids; do
      # One that was replaced since is not missed.
      "$engine" inspect "$id" >/dev/null 2>&1 || continue
      "$engine" start "$id" || left="${{left:+$left }}$id"
    done
    # One that lives in another's network starts only when that one runs, whatever the order they were listed in.
    [ "$left" != "$ids" ] || exit 1
    ids=$left
  done
  rm -f "$ran"
  ;;
stop)
  # An engine that does not answer has not said that nothing runs.
  ids=$(containers) || exit 1
  printf '%s\\n' "$ids" >"$ran.new" && mv "$ran.new" "$ran"
  [ -z "$ids" ] || exec "$engine" stop {grace}$ids
  ;;
esac
"""
)


@dataclass(frozen=True)
class Host:
    """The paths of systemd.

    Attributes:
        run: starts a process.
        systemd: a directory that exists when systemd runs this host.
        units: the directory for units of the administrator.
        user: whether it is the user's own systemd.
        linger: a file that exists when the user's systemd starts at boot; "" for root.
        env: the environment of systemctl; None for that of this process.
    """

    run: process.Runner
    systemd: str
    units: str
    user: bool
    linger: str
    env: t.Mapping[str, str] | None = None

    @classmethod
    def here(cls, run: process.Runner, uid: int, user: str, environ: t.Mapping[str, str]) -> Host:
        """This host, for a user."""
        if uid == 0:
            return cls(run, "/run/systemd/system", "/etc/systemd/system", False, "")
        runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
        # sudo and become do not set the variable, without which systemctl does not find the user's systemd.
        env = {**environ, "XDG_RUNTIME_DIR": runtime}
        home = environ.get("HOME") or os.path.expanduser("~")
        units = os.path.join(home, ".config/systemd/user")
        return cls(run, os.path.join(runtime, "systemd"), units, True, f"/var/lib/systemd/linger/{user}", env)

    def systemctl(self, *words: str, check: bool = True) -> process.Result:
        """Call systemctl for the right systemd."""
        argv = ["systemctl", *(["--user"] if self.user else []), *words]
        try:
            return self.run(argv, timeout=_TIMEOUT, check=check, env=self.env)
        except process.CommandError as error:
            raise ComposeError(f"cannot set up the start of the stack at boot: {error}") from error


class Boot:
    """The unit of one stack.

    Args:
        host: systemd's places.
        project: the stack's name.
        folder: the stack's state directory.
    """

    def __init__(self, host: Host, project: str, folder: str) -> None:
        self._host = host
        self._project = project
        self._script = os.path.join(folder, "boot.sh")
        self._ran = os.path.join(folder, "ran")
        self.unit = f"onebox-{project}.service"
        self._path = os.path.join(host.units, self.unit)

    def missing(self) -> str:
        """Why this host cannot start the stack at boot; "" when it can."""
        if not os.path.isdir(self._host.systemd):
            return (
                "systemd does not run this host. After a reboot, run the playbook again, or let the init system of the "
                "host start the stack"
            )
        if self._host.linger and not os.path.exists(self._host.linger):
            return (
                "this user's services do not start at boot. As root, run: loginctl enable-linger "
                + os.path.basename(self._host.linger)
            )
        return ""

    def ensure(
        self, engine: str, sources: t.Sequence[str], *, check: bool, socket: str = "", grace: int = 0
    ) -> dict[str, t.Any]:
        """Install the unit, enable and start it.

        Args:
            engine: docker or podman.
            sources: paths that must be mounted first.
            socket: of Docker, where it does not have its usual path.
            grace: seconds containers may take to stop; 0 for the stop timeout of each container.
            check: only report whether something would change.

        Returns:
            ``unit, enabled, changed, message``.
        """
        why = self.missing()
        if why:
            return {"unit": "", "enabled": False, "changed": False, "message": why}
        files = {self._script: self._script_text(engine, socket, grace), self._path: self._unit_text(engine, sources)}
        stale = [path for path, text in files.items() if _read(path) != text]
        on = self._host.systemctl("is-enabled", "--quiet", self.unit, check=False).rc == 0
        active = self._host.systemctl("is-active", "--quiet", self.unit, check=False).rc == 0
        changed = bool(stale) or not on or not active
        if changed and not check:
            for path in stale:
                make_directories(os.path.dirname(path), 0o750)
                replace(path, files[path].encode("utf-8", "surrogateescape"), 0o644, durable=True)
            if stale:
                self._host.systemctl("daemon-reload")
            if not on:
                self._host.systemctl("enable", self.unit)
            if not active:
                # The containers run already. Only an active unit stops them at shutdown and records them.
                self._host.systemctl("start", self.unit)
        message = f"{self.unit} starts the stack after a reboot"
        return {"unit": self.unit, "enabled": True, "changed": changed, "message": message}

    def remove(self, *, check: bool) -> bool:
        """Remove the unit and its script. Returns whether there was one."""
        there = [path for path in (self._path, self._script, self._ran) if os.path.exists(path)]
        if not there or check:
            return bool(there)
        if self._path in there and not self.missing():
            # To stop the unit would stop the containers, which quadlets may run by now.
            if self._script in there:
                replace(self._script, b"exit 0\n", 0o644, durable=False)
            self._host.systemctl("disable", "--now", self.unit, check=False)
        for path in (self._path, self._script, self._ran):
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ComposeError(f"cannot remove {path}: {error.strerror}") from error
        if not self.missing():
            self._host.systemctl("daemon-reload")
        return True

    def _script_text(self, engine: str, socket: str, grace: int) -> str:
        return _SCRIPT.format(
            project=shlex.quote(self._project),
            engine=shlex.quote(engine),
            ran=shlex.quote(self._ran),
            environment=f"export DOCKER_HOST={shlex.quote('unix://' + socket)}\n" if socket else "",
            grace=f"--time {grace} " if grace else "",
        )

    def _unit_text(self, engine: str, sources: t.Sequence[str]) -> str:
        shell = ["/bin/sh", self._script]
        sections: dict[str, list[jobs.Setting]] = {
            "Unit": [
                ("Description", f"Stack {self._project}"),
                ("Wants", "network-online.target"),
                ("After", ["network-online.target", f"{engine}.service", f"{engine}.socket"]),
                ("RequiresMountsFor", sorted({_without_dots(source) for source in sources})),
            ],
            "Service": [
                ("Type", "oneshot"),
                ("RemainAfterExit", "yes"),
                ("ExecStart", [*shell, "start"]),
                ("ExecStop", [*shell, "stop"]),
                ("TimeoutStartSec", "15min"),
                ("TimeoutStopSec", "5min"),
            ],
            "Install": [("WantedBy", "default.target" if self._host.user else "multi-user.target")],
        }
        try:
            return jobs.unit(sections, "Made by onebox.stack.compose_stack; do not edit.")
        except jobs.JobError as error:
            raise ComposeError(f"cannot set up the start of the stack at boot: {error}") from error


def _without_dots(path: str) -> str:
    """The path as the engine mounts it. systemd ignores a path with '..'."""
    return os.path.normpath(path) if ".." in path.split("/") else path


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except (OSError, UnicodeDecodeError):
        return None
