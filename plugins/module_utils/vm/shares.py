# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of virtual machine for containers on a Mac: their commands, and the directories that they share."""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import settings
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima.yaml_text import Document
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import model, paths

# File systems of shared directories in a guest. Any other is the guest's own disk.
SHARE_TYPES = ("virtiofs", "9p", "fuse.sshfs", "fuse.grpcfuse", "fuse.osxfs", "osxfs", "fakeowner", "vboxsf", "prl_fs")
KINDS = ("none", "podman", "colima", "docker_desktop")
_DEFAULT_NAMES = {"podman": "podman-machine-default", "colima": "default", "docker_desktop": ""}


@dataclass(frozen=True)
class Machine:
    """One virtual machine.

    Args:
        kind: podman, colima or docker_desktop.
        name: of the Podman machine or the Colima profile; "" is the default one.
        image: for Docker Desktop, an image with nsenter and sh.
        provider: of a Podman machine; before podman 6, one of another provider than the default does not exist for it.
    """

    kind: str
    name: str
    image: str = "busybox"
    provider: str = ""

    @classmethod
    def of(cls, kind: str, name: str = "", image: str = "busybox", *, environ: t.Mapping[str, str]) -> Machine:
        """The machine of that kind and name. ``environ`` is the environment of its user."""
        known = name or _DEFAULT_NAMES[kind]
        return cls(kind, known, image, podman_provider(known, environ) if kind == "podman" else "")

    def podman(self, *words: str) -> list[str]:
        """``podman machine`` with the provider that has this machine."""
        told = ["env", f"CONTAINERS_MACHINE_PROVIDER={self.provider}"] if self.provider else []
        return [*told, "podman", "machine", *words]

    def command(self, script: str) -> list[str]:
        """The command that runs a shell script in the guest, as a user with access to containers."""
        if self.kind == "podman":
            return self.podman("ssh", self.name, script)
        if self.kind == "colima":
            return ["colima", "ssh", "--profile", self.name, "--", "sh", "-c", script]
        words = ["docker", "run", "--rm", "--privileged", "--pid=host", "--network=none", self.image]
        return [*words, "nsenter", "-t", "1", "-m", "--", "sh", "-c", script]

    def ask(self, script: str, world: World, seconds: float) -> str:
        """Run a script in the guest. Raises :class:`MachineError`."""
        try:
            return world.run(self.command(script), timeout=seconds).stdout
        except process.CommandError as error:
            said = process.last_words(error.result.stderr) or str(error)
            raise MachineError(f"{self.title} does not answer ({said}). Start it with `{self.start}`.") from error

    @property
    def title(self) -> str:
        return {"podman": f"the Podman machine {self.name}", "colima": f"Colima ({self.name})"}.get(
            self.kind, "Docker Desktop"
        )

    @property
    def start(self) -> str:
        starts = {"podman": f"podman machine start {self.name}", "colima": f"colima start {self.name}"}
        return starts.get(self.kind, "open -a Docker")

    def how_to_share(self, path: str) -> str:
        """The way to share a directory of the host with the guest."""
        place = shown(path)
        if self.kind == "podman":
            return (
                f"Volumes of a Podman machine cannot change: create it again with `--volume {place}:{place}` "
                f"in addition to its current ones (as onebox.stack.podman_machine does)"
            )
        if self.kind == "colima":
            if " " in path:
                return (
                    f"Colima cannot share {place}, because of the space in it: rename the volume or folder, or use "
                    f"a Podman machine"
                )
            return (
                f"Add it to `mounts:` of the Colima profile {self.name} with `writable: true`, and your home too, "
                f"which is only shared while that list is empty; then `colima restart`"
            )
        return "Add it in Docker Desktop under Settings, Resources, File sharing"


def shares(machine: Machine, world: World, seconds: float) -> list[tuple[str, str]] | None:
    """Pairs of host and guest directory in the machine's configuration, None if it cannot be read."""
    try:
        if machine.kind == "podman":
            rows = json.loads(world.run(machine.podman("inspect", machine.name), timeout=seconds).stdout)
            return podman_shares(_read(model.config_path(rows[0])))
        if machine.kind == "colima":
            applied = settings.paths(settings.root({**world.environ, "HOME": world.home}), machine.name)[1]
            return colima_shares(_read(applied), world.home)
        return docker_desktop_shares(
            _read(os.path.join(world.home, "Library", "Group Containers", "group.com.docker", "settings-store.json"))
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, MachineError, process.CommandError):
        return None  # only for details: the guest's own mounts decide


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def podman_provider(name: str, environ: t.Mapping[str, str]) -> str:
    """The provider whose folder has the machine's configuration, "" if none or several have it."""
    root = paths.config_root(environ)
    found = [one for one in model.PROVIDERS if os.path.isfile(os.path.join(root, one, f"{name}.json"))]
    return found[0] if len(found) == 1 else ""


def podman_shares(config: str) -> list[tuple[str, str]]:
    """Parse a machine's configuration file. Raises ValueError or KeyError if it is not one."""
    return [(volume.source, volume.target) for volume in model.parse_volumes(json.loads(config))]


def colima_shares(config: str, home: str) -> list[tuple[str, str]]:
    """Parse the colima.yaml of a started profile. Raises MachineError if it cannot be parsed."""
    return settings.shared(settings.effective(Document(config, "colima.yaml")), home)


def docker_desktop_shares(settings: str) -> list[tuple[str, str]]:
    """Parse settings-store.json; without the key, Docker Desktop's defaults. Raises ValueError if it is not JSON."""
    defaults = ["/Users", "/Volumes", "/private", "/tmp", "/var/folders"]
    told = json.loads(settings)
    places = told.get("FilesharingDirectories") or told.get("filesharingDirectories") or defaults
    return [(place, place) for place in places]


def host_path(guest_path: str, shared: t.Sequence[tuple[str, str]] | None) -> str:
    """The host's path of a path in the guest."""
    path = guest_path[len("/host_mnt") :] if guest_path.startswith("/host_mnt/") else guest_path
    for host, guest in shared or ():
        if path == guest or path.startswith(guest.rstrip("/") + "/"):
            return host.rstrip("/") + path[len(guest.rstrip("/")) :] or "/"
    return path
