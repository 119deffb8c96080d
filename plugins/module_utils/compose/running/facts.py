# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts about a running compose project: its data, its ports for other machines, and its start after a reboot."""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import paths
from ansible_collections.onebox.stack.plugins.module_utils.compose.running.projects import Project
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, Mount

_ANONYMOUS = re.compile(r"[0-9a-f]{64}")
_LOOPBACK = ("127.", "::1", "localhost")


def data(project: Project) -> list[dict[str, t.Any]]:
    """The directories, files and volumes that the containers of a project mount, without parts of the system.

    Returns:
        Sorted by path: ``path, kind (bind | volume | anonymous), name, services, destination, read_only, exists,
        folder, uid, gid, mode``. The last four are of the host, empty if it does not exist.
    """
    found: dict[str, dict[str, t.Any]] = {}
    for container in project.containers:
        for mount in container.mounts:
            if mount.type not in ("bind", "volume") or (mount.type == "bind" and paths.of_the_host(mount.source)):
                continue
            row = found.setdefault(mount.source, _row(mount))
            row["services"] = sorted({*row["services"], container.service})
            row["read_only"] = row["read_only"] and not mount.read_write
    return [found[path] for path in sorted(found)]


def _row(mount: Mount) -> dict[str, t.Any]:
    kind = mount.type if mount.type == "bind" else "anonymous" if _ANONYMOUS.fullmatch(mount.name) else "volume"
    row: dict[str, t.Any] = {
        "path": mount.source,
        "kind": kind,
        "name": mount.name,
        "services": [],
        "destination": mount.destination,
        "read_only": True,
    }
    try:
        status = os.stat(mount.source)
    except OSError:
        return {**row, "exists": os.path.lexists(mount.source), "folder": False, "uid": "", "gid": "", "mode": ""}
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    owner = {"uid": str(status.st_uid), "gid": str(status.st_gid), "mode": mode}
    return {**row, "exists": True, "folder": stat.S_ISDIR(status.st_mode), **owner}


def public(project: Project) -> list[str]:
    """The ports of a project that other machines reach, one line each."""
    found = []
    for container in project.containers:
        if container.network_mode == "host":
            found.append(f"service {container.service}: each port it opens, as it uses the network of the host")
        for port in container.ports:
            if not port.host_ip.startswith(_LOOPBACK):
                where = "every address" if port.host_ip in ("0.0.0.0", "::", "") else port.host_ip
                number = port.host_port or "a free port"
                found.append(f"service {container.service}: {number}/{port.protocol} on {where}")
    return list(dict.fromkeys(found))


def not_backed_up(project: Project, mounts: t.Sequence[t.Mapping[str, t.Any]], world: World) -> list[str]:
    """The data of a project that no backup of this collection covers, one line each."""
    services, folders = _covered(project.name, world)
    running = {each.service: each for each in project.containers}
    found = []
    for name in sorted(running):
        if databases.is_database(running[name].image_ref) and name not in services:
            found.append(f"service {name} runs {running[name].image_ref}: its data is not backed up as a database")
    for row in mounts:
        kept = any(row["path"] == folder or row["path"].startswith(folder.rstrip("/") + "/") for folder in folders)
        if row["read_only"] or kept or any(databases.is_database(running[each].image_ref) for each in row["services"]):
            continue
        what = row["path"] if row["kind"] == "bind" else f"{row['kind']} volume {row['name'][:12]}"
        what = f"volume {row['name']}" if row["kind"] == "volume" else what
        found.append(f"{what} of service {', '.join(row['services'])}")
    return found


def _covered(name: str, world: World) -> tuple[set[str], list[str]]:
    """Services or containers, and directories, in the backup configuration of a stack."""
    below = "/etc" if world.is_root else os.path.join(world.home, ".config")
    try:
        with open(os.path.join(below, "onebox/backup", f"{name}.json"), encoding="utf-8") as stream:
            sources = [each for each in json.load(stream)["sources"] if isinstance(each, dict)]
    except (OSError, ValueError, KeyError, TypeError):
        return set(), []
    named = {str(each.get("service") or each.get("container") or "") for each in sources}
    return named, [str(each["path"]) for each in sources if each.get("path")]


@dataclass
class Boot:
    """The programs that start containers after a reboot of this host.

    Args:
        world: starts systemctl.
        systemd: a directory that exists if systemd runs this host.
        linger: the directory with a file for each user whose services start at boot.
    """

    world: World
    systemd: str = "/run/systemd/system"
    linger: str = "/var/lib/systemd/linger"

    def __post_init__(self) -> None:
        self._known: dict[tuple[str, ...], bool] = {}

    def of(self, project: Project) -> dict[str, t.Any]:
        """What a reboot does to a project.

        Returns:
            ``starts`` (yes, no, partly or unknown), ``services`` (of those that stay down -> the reason), ``message``.
        """
        if not os.path.isdir(self.systemd):
            message = "not known: systemd does not run this host"
            return {"starts": "unknown", "services": {}, "message": message}
        down = {}
        for container in project.containers:
            if container.running and (why := self._stays_down(project, container)):
                down[container.service] = why
        running = {each.service for each in project.containers if each.running}
        if not running:
            return {"starts": "no", "services": {}, "message": "no container of it runs now"}
        if not down:
            return {"starts": "yes", "services": {}, "message": "all its running services start again"}
        reasons = "; ".join(f"{why}: {', '.join(names)}" for why, names in _by_reason(down).items())
        starts = "no" if set(down) == running else "partly"
        return {"starts": starts, "services": down, "message": f"stay down: {reasons}"}

    def _stays_down(self, project: Project, container: Container) -> str:
        """Why a container does not run after a reboot; "" if it does."""
        own = container.labels.get("PODMAN_SYSTEMD_UNIT", "")
        units = [f"onebox-{project.name}.service", *([own] if own else [])]
        if any(self._enabled(unit) for unit in units):
            return "" if self._lingers() else self._no_linger()
        policy = container.restart_policy or "no"
        if policy not in ("always", "unless-stopped"):
            return f"restart policy {policy}"
        if project.engine == "docker":
            return "" if self._enabled("docker.service", "docker.socket") else "docker.service is not enabled"
        if not self._enabled("podman-restart.service"):
            return "Podman has no daemon, and podman-restart.service is not enabled"
        if policy != "always":
            return "podman-restart.service starts only containers with restart policy always"
        return "" if self._lingers() else self._no_linger()

    def _lingers(self) -> bool:
        return self.world.is_root or os.path.exists(os.path.join(self.linger, self.world.account))

    def _no_linger(self) -> str:
        return (
            f"services of user {self.world.account} start only at a login (loginctl enable-linger {self.world.account})"
        )

    def _enabled(self, *units: str) -> bool:
        if units not in self._known:
            words = ["systemctl", *([] if self.world.is_root or "docker.service" in units else ["--user"])]
            try:
                result = self.world.run([*words, "is-enabled", *units], timeout=10.0, check=False)
                self._known[units] = bool({"enabled", "generated", "static"} & set(result.stdout.split()))
            except process.CommandError:
                self._known[units] = False
        return self._known[units]


def _by_reason(down: t.Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for service in sorted(down):
        found.setdefault(down[service], []).append(service)
    return found
