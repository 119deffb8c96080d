# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage a Colima profile: edit its file, and restart its VM if that is allowed and needed.

``colima start`` with flags on a running profile only saves the flags, so that file and VM differ without a message. A
list of mounts replaces the default, so that adding a disk would remove the home directory. This file avoids both: it
edits the settings file, compares it with the copy from Colima's last start, and applies it by stop and start.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm import sizes
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import settings, yaml_text
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima.yaml_text import Document, Mount
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

# Colima discards changes of these with a warning.
FIXED = {"arch": "arch", "runtime": "runtime", "vm_type": "vmType", "mount_type": "mountType"}
SIZES = {"cpus": "cpu", "memory_gib": "memory", "disk_gib": "disk"}


@dataclass(frozen=True)
class Wanted:
    """The requested settings, None for those that are not set. Sizes in CPUs and GiB."""

    profile: str = "default"
    state: str = "present"
    cpus: int | None = None
    memory_gib: float | None = None
    disk_gib: int | None = None
    mounts: tuple[Mount, ...] = ()
    arch: str | None = None
    runtime: str | None = None
    vm_type: str | None = None
    mount_type: str | None = None
    allow_restart: bool = False


@dataclass
class Outcome:
    """The changes, planned and made. ``text`` is the file's new content, None without a change."""

    profile: dict[str, t.Any]
    text: str | None = None
    restart_required: bool = False
    steps: list[tuple[str, ...]] = field(default_factory=list)
    refusal: str = ""
    before: dict[str, t.Any] = field(default_factory=dict)
    after: dict[str, t.Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def status(text: str, profile: str) -> str:
    """A profile's status in ``colima list --json``: Running, Stopped, Broken…, "" if it was never started.

    Colima prints one object for each line.
    """
    for line in text.splitlines():
        if line.strip():
            row = json.loads(line)
            if row.get("name") == profile:
                return str(row.get("status") or "")
    return ""


def plan(
    wanted: Wanted,
    config: Document,
    applied: Document | None,
    word: str,
    home: str,
    socket: str,
    free_gib: int | None = None,
) -> Outcome:
    """The plan. Changes only ``config``, in place.

    Args:
        wanted: the requested settings.
        config: the settings file, which users edit.
        applied: the file that Colima wrote after its last start, None without one.
        word: Colima's status, "" if it was never started.
        home: the user's home directory.
        socket: the docker socket.
        free_gib: GiB free in the home directory, None if unknown.
    """
    result = Outcome({}, refusal=_refusal(wanted, config, applied, home, free_gib))
    before_text = config.text
    if not result.refusal:
        _edit(wanted, config, home, result)
    if config.text != before_text:
        result.text = config.text
    running = word == "Running"
    drift = applied is not None and _differs(config, applied)
    result.restart_required = running and drift
    if not result.refusal:
        _steps(wanted, word, drift, result)
    result.profile = _shown(config, wanted.profile, word, socket)
    return result


def first(wanted: Wanted, path: str, home: str, socket: str, free_gib: int | None = None) -> Outcome:
    """The plan for a profile without a file: its first start gets all settings as flags, and Colima writes the file."""
    empty = Document("", path)
    result = Outcome(_shown(empty, wanted.profile, "", socket), refusal=_refusal(wanted, empty, None, home, free_gib))
    if wanted.state != "started":
        result.refusal = result.refusal or (
            f"{path} does not exist, so the profile {wanted.profile} was never started. Set state: started."
        )
    words = ["start", "--profile", wanted.profile]
    flags = {"cpus": "--cpu", "memory_gib": "--memory", "disk_gib": "--disk", "arch": "--arch"}
    flags.update({"runtime": "--runtime", "vm_type": "--vm-type", "mount_type": "--mount-type"})
    for option, flag in flags.items():
        value = getattr(wanted, option)
        if value is not None:
            words += [flag, str(yaml_text.shown(value) if option in SIZES else value)]
            result.after[option] = value
    added = [one for one in wanted.mounts if not _visible(settings.expand(one.location, home), home)]
    for mount in [settings.HOME, *added] if added else ():
        words += ["--mount", settings.expand(mount.location, home) + (":w" if mount.writable else "")]
        result.after[settings.expand(mount.location, home)] = _mode(mount)
    result.before["state"], result.after["state"] = "absent", "Running"
    result.steps.append(tuple(words))
    return result


def _visible(location: str, known: str) -> bool:
    return location == known or location.startswith(known.rstrip("/") + "/")


def _refusal(wanted: Wanted, config: Document, applied: Document | None, home: str, free_gib: int | None) -> str:
    for option, key in FIXED.items():
        value = getattr(wanted, option)
        now = (applied or config).scalar(key)
        if value is not None and applied is not None and now is not None and now != value:
            return (
                f"{option}: {now} was fixed at the first start of the profile, and colima would discard {value} with a "
                f"warning. Save your data, then run colima delete {wanted.profile} and start it again."
            )
    disk = yaml_text.number((applied or config).scalar("disk"))
    if wanted.disk_gib is not None and applied is not None and disk is not None and wanted.disk_gib < disk:
        return f"disk_gib: {wanted.disk_gib} is less than the {yaml_text.shown(disk)} GiB now, and a disk only grows"
    too_large = sizes.disk(wanted.disk_gib, disk or 0, free_gib)
    if too_large:
        return too_large
    there = settings.effective(config)
    for mount in wanted.mounts:
        problem = _mount_refusal(mount, there, home)
        if problem:
            return problem
    return ""


def _mount_refusal(mount: Mount, there: t.Sequence[Mount], home: str) -> str:
    location = settings.expand(mount.location, home)
    if not location.startswith("/"):
        return f"mounts: {mount.location!r} must be an absolute path or begin with ~/"
    if " " in location:
        return (
            f"mounts: Colima cannot share {location!r}: a path with a space is an empty directory up to 0.10.3, and an "
            "error later. Possible fixes, best first: move the project to an APFS path without a space (~/Projects/…); "
            f"rename the disk (diskutil rename '{'/'.join(location.split('/')[:3])}' NAME); or use Podman 5.5 or "
            "later, which shares such paths"
        )
    for other in there:
        known = settings.expand(other.location, home)
        if _visible(location, known):
            continue  # the same directory, or shared already
        if known.startswith(location) or location.startswith(known):
            return (
                f"mounts: {location} and {known} overlap for Colima, which compares them as text and refuses both: "
                "rename one, or share a directory above them"
            )
    return ""


def _edit(wanted: Wanted, config: Document, home: str, result: Outcome) -> None:
    for option, key in {**SIZES, **FIXED}.items():
        value = getattr(wanted, option)
        if value is None:
            continue
        now = config.scalar(key)
        same = yaml_text.number(now) == float(value) if option in SIZES else now == value
        if not same:
            result.before[option], result.after[option] = now, value
            config.set_scalar(key, str(yaml_text.shown(float(value))) if option in SIZES else str(value))
    for mount in wanted.mounts:
        _edit_mount(mount, config, home, result)


def _edit_mount(mount: Mount, config: Document, home: str, result: Outcome) -> None:
    location = settings.expand(mount.location, home)
    there = settings.effective(config)
    for other in there:
        known = settings.expand(other.location, home)
        if known == location:
            if other.writable != mount.writable and config.mounts():
                config.set_writable(other.location, mount.writable)
                result.before[location], result.after[location] = _mode(other), _mode(mount)
            return
        if _visible(location, known):
            if mount.writable and not other.writable:
                result.warnings.append(f"{location} is visible through {known}, which is not writable")
            return
    if config.mounts() == []:
        config.add_mount(settings.HOME)  # a list replaces the default, so the home directory must be in it
    config.add_mount(mount)
    result.before[location], result.after[location] = "not shared", _mode(mount)


def _mode(mount: Mount) -> str:
    return "writable" if mount.writable else "read-only"


def _differs(config: Document, applied: Document) -> bool:
    for key in SIZES.values():
        ours, theirs = yaml_text.number(config.scalar(key)), yaml_text.number(applied.scalar(key))
        if ours is not None and ours != theirs:
            return True
    return set(settings.effective(config)) != set(settings.effective(applied))


def _steps(wanted: Wanted, word: str, drift: bool, result: Outcome) -> None:
    name = ("--profile", wanted.profile)
    if word not in ("", "Running", "Stopped"):
        if wanted.state == "present":
            result.warnings.append(f"the profile {wanted.profile} is {word}")
        elif not wanted.allow_restart:
            result.refusal = (
                f"the profile {wanted.profile} is {word}: set allow_restart to stop it by force, which ends its "
                "containers as a power cut does"
            )
        else:
            result.steps.append(("stop", *name, "--force"))
            result.steps += [("start", *name)] if wanted.state == "started" else []
        return
    running = word == "Running"
    if wanted.state == "stopped" and running:
        result.steps.append(("stop", *name))
    elif wanted.state == "started" and not running:
        result.steps.append(("start", *name))
    elif running and drift and wanted.allow_restart:
        result.steps += [("stop", *name), ("start", *name)]
    elif running and drift:
        result.warnings.append(
            f"the profile {wanted.profile} runs with other settings than its file. They apply after the next colima "
            "stop and start; with allow_restart this task does both"
        )


def _shown(config: Document, profile: str, word: str, socket: str) -> dict[str, t.Any]:
    size = {option: yaml_text.shown(yaml_text.number(config.scalar(key))) for option, key in SIZES.items()}
    fixed = {option: config.scalar(key) or "" for option, key in FIXED.items()}
    return {
        "name": profile,
        "state": word or "absent",
        "config_path": config.path,
        **size,
        **fixed,
        "mounts": [
            {"location": one.location, "mount_point": one.mount_point, "writable": one.writable}
            for one in settings.effective(config)
        ],
        "socket": socket,
        "docker_host": f"unix://{socket}",
    }


class Colima:
    """The command, with a time limit for each call. ``actions`` collects the commands."""

    def __init__(self, executable: str, env: t.Mapping[str, str], timeout: float, world: World) -> None:
        self._executable = executable
        self._env = env
        self._timeout = timeout
        self._world = world
        self.actions: list[list[str]] = []

    def status(self, profile: str) -> str:
        """See :func:`status`. Raises MachineError if Colima is missing or its answer cannot be parsed."""
        try:
            done = self._world.run([self._executable, "list", "--json"], timeout=30.0, env=self._env)
            return status(done.stdout, profile)
        except process.CommandMissing as error:
            raise MachineError(f"{error}. Install it with: brew install colima docker") from error
        except (process.CommandError, ValueError, AttributeError) as error:
            raise MachineError(f"the answer of colima list --json cannot be parsed: {error}") from error

    def change(self, words: t.Sequence[str]) -> None:
        """``stop`` or ``start``. Raises MachineError if it fails or takes too long."""
        self.actions.append(["colima", *words])
        try:
            self._world.run([self._executable, *words], timeout=self._timeout, env=self._env)
        except process.CommandError as error:
            raise MachineError(str(error)) from error
