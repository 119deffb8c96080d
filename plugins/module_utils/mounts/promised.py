# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a deploy: its services, their mounts, and the file systems of their sources.

A container that was created again without its volume has no mount to prove, and a service without a container is
invisible. A comparison with this file, which the deploy writes and every later check reads, detects both.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError

NAME = "promised.json"
# A file system in memory is another one after each boot.
_IN_MEMORY = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class Disk:
    """The file system of a source: where it is mounted, its type, and its id ("" if none survives a boot)."""

    point: str = ""
    fstype: str = ""
    identity: str = ""

    @classmethod
    def parse(cls, data: t.Any) -> Disk:
        """From JSON; missing keys are unknown."""
        row = data if isinstance(data, dict) else {}
        return cls(*(str(row.get(key) or "") for key in ("point", "fstype", "identity")))

    def differs(self, now: Disk) -> bool:
        """Whether the source lies on another file system ``now``."""
        if not self.point or not now.point:
            return False
        if self.point != now.point:
            return True
        known = self.identity and now.identity and now.fstype not in _IN_MEMORY
        return bool(known) and (self.fstype, self.identity) != (now.fstype, now.identity)


@dataclass(frozen=True)
class Mount:
    """One mount of a service. ``kind`` is file, dir, or "" if it was not checked."""

    service: str
    destination: str
    source: str
    type: str
    read_only: bool
    kind: str = ""
    disk: Disk = field(default_factory=Disk)


@dataclass(frozen=True)
class Service:
    """A service: how many containers of it there should be, and whether they may have ended."""

    count: int
    one_shot: bool


@dataclass(frozen=True)
class Promise:
    """The record of a deploy."""

    services: t.Mapping[str, Service] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()

    def expected(self) -> list[dict[str, t.Any]]:
        """The mounts as the option ``expected`` takes them. The source of a volume is the engine's to choose."""
        return [
            {
                "service": mount.service,
                "source": mount.source if mount.type == "bind" else "",
                "destination": mount.destination,
                "read_only": mount.read_only,
                "type": mount.kind if mount.kind in ("file", "dir") else "",
            }
            for mount in self.mounts
            if mount.service in self.services
        ]

    def mount(self, service: str, destination: str) -> Mount | None:
        """The promised mount of a service at a destination."""
        place = os.path.normpath(destination)
        for mount in self.mounts:
            if mount.service == service and os.path.normpath(mount.destination) == place:
                return mount
        return None


def place(project: str, world: World, state_dir: str = "") -> str:
    """The path of the record of a stack."""
    folder = state_dir or ("/var/lib/onebox" if world.is_root else os.path.join(world.home, ".local/state/onebox"))
    return os.path.join(folder, project, NAME)


class Damaged(CheckError):
    """The file is not what a deploy writes."""


def load(path: str) -> Promise | None:
    """The promise in a file; None when there is none.

    Raises:
        Damaged: it is not what a deploy writes.
        CheckError: it may not be read.
    """
    # Without it, a deploy cannot see that a disk came off, so it does not write a new one by itself.
    advice = f"Check with findmnt that its disks are mounted, type `rm {shown(path)}`, and deploy the stack"
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise CheckError(f"{shown(path)}: may not be read. Run the check as the user who deploys the stack") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Damaged(f"{shown(path)}: cannot be read: {error}. {advice}") from error
    try:
        services = {
            str(name): Service(int(row["count"]), bool(row["one_shot"])) for name, row in data["services"].items()
        }
        mounts = tuple(
            Mount(
                service=str(row["service"]),
                destination=str(row["destination"]),
                source=str(row["source"]),
                type=str(row["type"]),
                read_only=bool(row["read_only"]),
                kind=str(row.get("kind") or ""),
                disk=Disk.parse(row.get("disk")),
            )
            for row in data["mounts"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Damaged(f"{shown(path)}: is not the file of a deploy ({error!r}). {advice}") from error
    return Promise(services, mounts)


def save(path: str, promise: Promise) -> bool:
    """Write a promise where it differs from the present one. Returns whether it did.

    Raises:
        FileError: it cannot be written.
    """
    body = {
        "services": {name: vars(row) for name, row in sorted(promise.services.items())},
        "mounts": [{**vars(mount), "disk": vars(mount.disk)} for mount in promise.mounts],
    }
    content = (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()
    try:
        with open(path, "rb") as stream:
            if stream.read() == content:
                return False
    except OSError:
        pass
    files.make_directories(os.path.dirname(path), 0o750)
    files.replace(path, content, 0o640, durable=True)
    return True


def keep_memory(path: str) -> None:
    """Remove the services of a removed stack from its record, and keep its sources. A damaged record stays: the next
    deploy reports it.

    Raises:
        FileError: it cannot be written.
    """
    with contextlib.suppress(CheckError):
        promise = load(path)
        if promise is not None:
            save(path, Promise({}, promise.mounts))


def other_kind(mount: Mount, now: str) -> str:
    """The message about a source that is another kind of file than recorded."""
    was, found = ("directory" if kind == "dir" else kind for kind in (mount.kind, now))
    return (
        f"{shown(mount.source)} was a {was} when its stack was last proven, and is a {found} now (tools create "
        f"an empty directory if a file is missing). Remove it, restore the {was}"
    )


def changed(mount: Mount, now: Disk, path: str) -> str:
    """The message about a source on another file system than recorded."""
    source = shown(mount.source)
    was = f"the file system mounted at {shown(mount.disk.point)} ({mount.disk.fstype})"
    lies = f"the one at {shown(now.point)} ({now.fstype})"
    if mount.disk.point == now.point:
        was, lies = f"another file system than the one now mounted at {shown(now.point)}", "that one"
    return (
        f"{source} was on {was} when its stack was last proven, and is now on {lies}: the application's data is not "
        f"there. Mount the right disk, then restart the service. If the data was moved on purpose, remove "
        f"{shown(path)} and deploy again"
    )
