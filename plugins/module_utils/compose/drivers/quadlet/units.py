# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units of one stack in the directory that Podman's generator reads, and the systemd that runs them."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

BOOTED = "/run/systemd/system"
LINGER = "/var/lib/systemd/linger"
_SUFFIXES = (".container", ".network", ".volume", ".env", ".labels")
# Files with values that a compose file does not show.
_PRIVATE = (".env", ".labels")
_TIMEOUT = 600.0
# Podman's generator lets each service of a user wait up to 90 s for the system's network-online.target.
_WAIT = "podman-user-wait-network-online.service"
_ONLINE = "network-online.target"
_PROPERTIES = "Id,ActiveState,SubState,Result,NRestarts"


class Units:
    """The units of one stack.

    Args:
        project: its name.
        world: processes, user and home directory.
        folder: the directory of units; "" for that of the user.
    """

    def __init__(self, project: str, world: World, *, folder: str = "") -> None:
        self._world = world
        self._user = not world.is_root
        self._head = f"# Stack {project}, made by onebox.stack.compose_stack; do not edit.\n"
        usual = os.path.join(world.home, ".config/containers/systemd") if self._user else "/etc/containers/systemd"
        self.folder = folder or usual

    def missing(self) -> str:
        """Why this host cannot run units at boot; "" when it can."""
        if not os.path.isdir(BOOTED):
            return "systemd does not run this host, and quadlets need it. Set the provider to podman-compose."
        if not self._user:
            return ""
        if not os.path.exists(os.path.join(LINGER, self._world.account)):
            return (
                "this user's services do not start at boot and end with the last session. As root, run: loginctl "
                f"enable-linger {self._world.account}"
            )
        if self._waits_in_vain():
            return (
                f"each service of this user would wait 90 s for {_ONLINE}, which nothing on this host starts. As root, "
                f"run: systemctl add-wants multi-user.target {_ONLINE} && systemctl start {_ONLINE}"
            )
        return ""

    def _waits_in_vain(self) -> bool:
        waits = self.systemctl("show", "--property=LoadState", "--value", _WAIT, check=False).stdout.strip()
        if waits != "loaded":
            return False
        online = self._world.run(["systemctl", "is-active", "--quiet", _ONLINE], timeout=_TIMEOUT, check=False)
        return online.rc != 0

    def installed(self) -> dict[str, str]:
        """Name -> text of each file of the stack."""
        found = {name: self._read(name) for name in self._names()}
        return {name: text for name, text in found.items() if text.startswith(self._head)}

    def contents(self) -> dict[str, str]:
        """Name -> text of each file of the stack, as rendered."""
        return {name: text[len(self._head) :] for name, text in self.installed().items()}

    def taken(self, rendered: t.Sequence[File]) -> list[str]:
        """The paths of rendered files at which a file of somebody else is."""
        own = self.installed()
        return [self.path(each.path) for each in rendered if each.path in self._names() and each.path not in own]

    def path(self, name: str) -> str:
        """The path of a file."""
        return os.path.join(self.folder, name)

    def differ(self, rendered: t.Sequence[File]) -> list[str]:
        """Names of files that are not as rendered, and of those that are no longer rendered."""
        own = self.installed()
        wanted = {each.path: self._head + each.content for each in rendered}
        return sorted(name for name in {*own, *wanted} if own.get(name) != wanted.get(name))

    def write(self, rendered: t.Sequence[File]) -> list[str]:
        """Write the files that differ. Returns their names.

        Raises:
            FileError: one cannot be written.
        """
        differing = set(self.differ(rendered))
        written = [each for each in rendered if each.path in differing]
        if written:
            files.make_directories(self.folder, 0o755)
        for each in written:
            mode = 0o600 if each.path.endswith(_PRIVATE) else 0o644
            text = (self._head + each.content).encode("utf-8", "surrogateescape")
            files.replace(self.path(each.path), text, mode, durable=True)
        return [each.path for each in written]

    def stop(self, names: t.Iterable[str]) -> None:
        """Stop the services of files.

        Raises:
            ComposeError: one cannot be stopped.
        """
        services = [service_of(name) for name in names if service_of(name)]
        if services:
            self.systemctl("stop", *services)

    def remove(self, names: t.Iterable[str]) -> None:
        """Remove files, and let systemd forget their services.

        Raises:
            FileError: one cannot be removed.
        """
        gone = [name for name in names if files.remove(self.path(name))]
        if gone:
            self.systemctl("daemon-reload")
            services = [service_of(name) for name in gone if service_of(name)]
            if services:
                # A unit that failed stays in the list of failed units after its file is gone.
                self.systemctl("reset-failed", *services, check=False)

    def states(self, services: t.Sequence[str]) -> dict[str, dict[str, str]]:
        """The properties of services of systemd, by name."""
        text = self.systemctl("show", f"--property={_PROPERTIES}", *services).stdout if services else ""
        found = {}
        for block in text.split("\n\n"):
            state = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            found[state.get("Id", "")] = state
        return found

    def journal(self, service: str) -> str:
        """The last lines that a service of systemd and its container printed."""
        words = ["journalctl", *self._scope(), "--unit", service, "--lines", "8", "--no-pager", "--output", "cat"]
        try:
            return self._world.run(words, timeout=30.0, env=self._environ(), check=False).stdout.strip()
        except process.CommandError:
            return ""

    def systemctl(self, *words: str, check: bool = True) -> process.Result:
        """Call systemctl.

        Raises:
            ComposeError: it failed.
        """
        argv = ["systemctl", *self._scope(), *words]
        try:
            return self._world.run(argv, timeout=_TIMEOUT, env=self._environ(), check=check)
        except process.CommandError as error:
            raise ComposeError(f"cannot change the quadlets in {self.folder}: {error}") from error

    def _scope(self) -> list[str]:
        return ["--user"] if self._user else []

    def _environ(self) -> dict[str, str]:
        environ = dict(self._world.environ)
        if self._user:
            environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{self._world.uid}")
        return environ

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.folder) if name.endswith(_SUFFIXES))
        except OSError:
            return []

    def _read(self, name: str) -> str:
        try:
            with files.open_regular(self.path(name)) as stream:
                return stream.read().decode("utf-8", "surrogateescape")
        except OSError:
            return ""


def service_of(name: str) -> str:
    """The service of systemd that Podman's generator makes of a file; "" for other files."""
    stem, suffix = os.path.splitext(name)
    made = {".container": f"{stem}.service", ".network": f"{stem}-network.service"}
    return made.get(suffix, f"{stem}-volume.service" if suffix == ".volume" else "")
