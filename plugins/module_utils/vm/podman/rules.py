# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that refuse settings before podman runs, and rules for warnings. Each returns its text, or "".

podman validates little, and late: it accepts zero CPUs, an impossible disk size and a share over ``/home``, and fails
only after it has stopped the machine.
"""

from __future__ import annotations

import re

from ansible_collections.onebox.stack.plugins.module_utils.vm import sizes
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import PROVIDERS, Machine
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Host, Wanted

_NAME = re.compile(r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
_NAME_LENGTH = 30
_LEAST_MEMORY_MIB = 512
_GROWING_GUEST_UNSURE = ("applehv", "libkrun")


def name(text: str) -> str:
    """podman's own rule for names, checked before any change."""
    if not _NAME.match(text):
        return f"name: {text!r} must match [a-zA-Z0-9][a-zA-Z0-9_.-]*"
    if len(text) > _NAME_LENGTH:
        return f"name: {text!r} has {len(text)} characters, podman allows {_NAME_LENGTH}"
    if text in PROVIDERS:
        return f"name: {text!r} is the name of a provider, which podman does not allow"
    return ""


def request(wanted: Wanted, host: Host) -> str:
    """Settings that are wrong for every machine."""
    problem = name(wanted.name)
    if problem:
        return problem
    if wanted.provider == "libkrun" and host.version < (5, 2, 0):
        return f"provider: libkrun requires podman 5.2, this is {_dotted(host)}"
    if wanted.cpus is not None and wanted.cpus < 1:
        return f"cpus: {wanted.cpus} is too few: podman accepts it, but the machine does not start"
    if wanted.cpus is not None and host.version >= (6, 0, 0) and wanted.cpus > host.cpus:
        return f"cpus: {wanted.cpus} is more than this host's {host.cpus}; podman {_dotted(host)} refuses that"
    if wanted.memory_mib is not None and wanted.memory_mib < _LEAST_MEMORY_MIB:
        return f"memory_mib: {wanted.memory_mib} MiB is too little for a guest. Set at least {_LEAST_MEMORY_MIB} MiB"
    if wanted.memory_mib is not None and host.memory_mib is not None and wanted.memory_mib > host.memory_mib:
        return f"memory_mib: {wanted.memory_mib} MiB is more than this host's {host.memory_mib} MiB"
    if wanted.disk_gib is not None and wanted.disk_gib < 1:
        return f"disk_gib: {wanted.disk_gib} GiB is not a disk. Set at least 1"
    if wanted.swap_mib and host.version < (5, 6, 0):
        return f"swap_mib: swap requires podman 5.6, this is {_dotted(host)}"
    return _volumes(wanted, host)


def _volumes(wanted: Wanted, host: Host) -> str:
    targets: dict[str, str] = {}
    for volume in wanted.volumes or ():
        if volume.target in targets:
            return f"volumes: {volume.target} is the target of both {targets[volume.target]} and {volume.source}"
        targets[volume.target] = volume.source
        if " " in volume.source + volume.target and host.version < (5, 5, 0):
            return (
                f"volumes: podman {_dotted(host)} does not mount paths with spaces ({volume.text!r}): use podman 5.5 "
                "or later, or rename the directory or disk (diskutil rename)"
            )
    return ""


def creation(wanted: Wanted, host: Host) -> str:
    """Settings that are wrong for a new machine."""
    for volume in wanted.volumes or ():
        if not host.exists(volume.source):
            return f"volumes: {volume.source} does not exist on this host, and the machine would not start"
    return disk_size(wanted, 0, host)


def disk_size(wanted: Wanted, has_gib: int, host: Host) -> str:
    """Implausible sizes that cannot be changed later: a disk never shrinks, swap is fixed at the creation."""
    disk_gib = wanted.disk_gib or has_gib
    if wanted.swap_mib and disk_gib and wanted.swap_mib >= disk_gib * 1024:
        return (
            f"swap_mib: {wanted.swap_mib} MiB does not fit on the disk of {disk_gib} GiB. It cannot be changed later: "
            "write it in MiB"
        )
    return sizes.disk(wanted.disk_gib, has_gib, host.free_disk_gib)


def difference(wanted: Wanted, current: Machine, host: Host) -> str:
    """Changes that an existing machine cannot get, or that cannot be undone."""
    if wanted.disk_gib is not None and wanted.disk_gib < current.disk_gib:
        return (
            f"disk_gib: {wanted.disk_gib} GiB is less than the {current.disk_gib} GiB of {current.name}, and a "
            f"machine's disk can only grow: set {current.disk_gib} or more, or remove the machine (state: absent) "
            "and create a smaller one"
        )
    return disk_size(wanted, current.disk_gib, host)


def warnings(wanted: Wanted, current: Machine | None, host: Host) -> list[str]:
    """Valid settings with unexpected effects. ``current`` is None for a new machine."""
    found = []
    if wanted.cpus is not None and wanted.cpus > host.cpus:
        found.append(f"cpus: {wanted.cpus} is more than this host's {host.cpus}")
    if wanted.disk_gib is not None and host.free_disk_gib is not None:
        grows = wanted.disk_gib - (current.disk_gib if current else 0)
        if grows > host.free_disk_gib:
            found.append(
                f"disk_gib: the disk may grow by {grows} GiB, but this host has only {host.free_disk_gib} GiB left"
            )
    if current is None and wanted.volumes is not None and not _shares_home(wanted, host):
        found.append(
            f"volumes: your list replaces podman's defaults, so the home directory {host.home} is not shared: "
            "a bind mount from there will be an empty directory inside the machine"
        )
    grown = current is not None and wanted.disk_gib is not None and wanted.disk_gib > current.disk_gib
    if current is not None and grown and current.provider in _GROWING_GUEST_UNSURE:
        found.append(
            f"disk_gib: the file grows, but the guest's file system often does not follow (podman issues 20564 "
            f"and 25890): check with podman machine ssh {current.name} df -h /"
        )
    return found


def _shares_home(wanted: Wanted, host: Host) -> bool:
    home = host.home.rstrip("/") + "/"
    return any(home.startswith(volume.source.rstrip("/") + "/") for volume in wanted.volumes or ())


def _dotted(host: Host) -> str:
    return ".".join(str(part) for part in host.version)
