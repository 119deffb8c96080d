# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as its configuration file and ``podman machine inspect`` describe it, in every version of podman."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.volumes import Volume

PROVIDERS = ("applehv", "libkrun", "qemu", "wsl", "hyperv")

# The time that podman writes for a machine that never ran.
NEVER = "0001-01-01T00:00:00Z"


@dataclass(frozen=True)
class ConfigFile:
    """The content of ``<config>/machine/<provider>/<name>.json``. Sizes: MiB for memory and swap, GiB for the disk.

    ``version`` 0 is a file of podman 4, which podman 5 cannot use. ``age`` is the seconds since the last write.
    """

    provider: str
    name: str
    path: str
    version: int
    age: float
    cpus: int
    memory_mib: int
    disk_gib: int
    swap_mib: int | None
    rootful: bool
    starting: bool
    volumes: tuple[Volume, ...]
    image_path: str
    username: str
    pid_files: tuple[str, ...]


@dataclass(frozen=True)
class Machine:
    """One machine. ``state`` is podman's word for it; ``healthy`` is whether its API answers, which decides.

    ``clock_drift`` is guest minus host in seconds, None when the guest does not answer.
    """

    config: ConfigFile
    state: str
    healthy: bool
    starting: bool
    cpus: int
    memory_mib: int
    disk_gib: int
    rootful: bool
    socket: str
    ssh_port: int
    ssh_identity: str
    last_up: str
    default: bool
    podman_client: str
    podman_server: str
    clock_drift: float | None
    image_there: bool

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def provider(self) -> str:
        return self.config.provider

    @property
    def stopped(self) -> bool:
        return self.state == "stopped"

    @property
    def connection(self) -> str:
        """The name of the podman system connection to the store in use."""
        return self.name + "-root" if self.rootful else self.name

    def as_dict(self) -> dict[str, t.Any]:
        """The machine as the modules return it."""
        config = self.config
        return {
            "name": self.name,
            "provider": self.provider,
            "state": self.state,
            "healthy": self.healthy,
            "starting": self.starting,
            "cpus": self.cpus,
            "memory_mib": self.memory_mib,
            "disk_gib": self.disk_gib,
            "swap_mib": config.swap_mib,
            "rootful": self.rootful,
            "volumes": [volume.text for volume in config.volumes],
            "socket": self.socket,
            "docker_host": f"unix://{self.socket}" if self.socket else "",
            "connection": self.connection,
            "default_connection": self.default,
            "ssh": {"port": self.ssh_port, "identity": self.ssh_identity, "username": config.username},
            "config_path": config.path,
            "last_up": "" if self.last_up == NEVER else self.last_up,
            "podman_client": self.podman_client,
            "podman_server": self.podman_server,
            "clock_drift": self.clock_drift,
        }


def parse_config(data: t.Mapping[str, t.Any], provider: str, path: str, age: float) -> ConfigFile:
    """Read a configuration file of podman 4, 5 or 6. ``data`` is the decoded JSON.

    Raises:
        KeyError: it is not the configuration of a machine.
    """
    # podman 4 has the same names one level higher, and no version.
    resources = data.get("Resources") or data
    host_user = data.get("HostUser") or data
    ssh = data.get("SSH") or data
    pid_files = []
    qemu = data.get("QEMUHypervisor") or {}
    pid_files += [_path(qemu.get("QEMUPidPath")), _path((data.get("GvProxy") or {}).get("PidFile"))]
    return ConfigFile(
        provider=provider,
        name=str(data["Name"]),
        path=path,
        version=int(data.get("Version") or 0),
        age=age,
        cpus=int(resources["CPUs"]),
        memory_mib=int(resources["Memory"]),
        disk_gib=int(resources["DiskSize"]),
        swap_mib=None if data.get("Swap") is None else int(data["Swap"]),
        rootful=bool(host_user.get("Rootful")),
        starting=bool(data.get("Starting")),
        volumes=parse_volumes(data),
        image_path=_path(data.get("ImagePath")),
        username=str(ssh.get("RemoteUsername") or ""),
        pid_files=tuple(path for path in pid_files if path),
    )


def parse_volumes(data: t.Mapping[str, t.Any]) -> tuple[Volume, ...]:
    """The shared directories of a configuration file. Raises KeyError when one has no source or target."""
    return tuple(
        Volume(mount["Source"], mount["Target"], bool(mount.get("ReadOnly"))) for mount in data.get("Mounts") or ()
    )


def _path(value: t.Any) -> str:
    """A path that may be a string or podman's ``{"Path": …}``."""
    if isinstance(value, dict):
        return str(value.get("Path") or "")
    return str(value or "")


@dataclass(frozen=True)
class Inspected:
    """The values that only ``podman machine inspect`` has."""

    name: str
    state: str
    cpus: int
    memory_mib: int
    disk_gib: int
    rootful: bool
    socket: str
    ssh_port: int
    ssh_identity: str
    last_up: str


def parse_inspect(row: t.Mapping[str, t.Any]) -> Inspected:
    """Parse one entry of ``podman machine inspect``. Raises KeyError if it is not one."""
    resources, ssh = row["Resources"], row.get("SSHConfig") or {}
    return Inspected(
        name=str(row["Name"]),
        state=str(row["State"]).lower(),
        cpus=int(resources["CPUs"]),
        memory_mib=int(resources["Memory"]),
        disk_gib=int(resources["DiskSize"]),
        rootful=bool(row.get("Rootful")),
        socket=_path((row.get("ConnectionInfo") or {}).get("PodmanSocket")),
        ssh_port=int(ssh.get("Port") or 0),
        ssh_identity=str(ssh.get("IdentityPath") or ""),
        last_up=str(row.get("LastUp") or ""),
    )


def config_path(row: t.Mapping[str, t.Any]) -> str:
    """The configuration file of one entry of ``podman machine inspect``. Raises KeyError if it is not one."""
    return os.path.join(_path(row["ConfigDir"]), f"{row['Name']}.json")


@dataclass(frozen=True)
class Listed:
    """One entry of ``podman machine list``; its sizes are bytes as decimal strings, in every version."""

    name: str
    provider: str
    running: bool
    starting: bool
    default: bool
    cpus: int
    memory_mib: int
    disk_gib: int


def parse_list(row: t.Mapping[str, t.Any]) -> Listed:
    """Parse one entry of ``podman machine list --format json``. Raises KeyError if it is not one."""
    return Listed(
        name=str(row["Name"]),
        provider=str(row.get("VMType") or ""),
        running=bool(row.get("Running")),
        starting=bool(row.get("Starting")),
        default=bool(row.get("Default")),
        cpus=int(row["CPUs"]),
        memory_mib=int(row["Memory"]) // 2**20,
        disk_gib=int(row["DiskSize"]) // 2**30,
    )
