# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the settings that Podman needs to really run a container here.

An engine that answers may still be unable to start anything: on a machine without systemd, with a restricted set of
capabilities or with mixed cgroups, Podman's defaults fail in ways that a few lines of containers.conf fix. So a probe
is run. If it fails, the settings that match its error are tried first, then the others, then all together.
"""

from __future__ import annotations

import itertools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

Probe = t.Callable[[t.Sequence["Setting"]], str]


class PreflightError(OneboxError):
    """The engine cannot run a container here. Lists all attempts and their errors."""


@dataclass(frozen=True)
class Setting:
    """One setting of containers.conf.

    Attributes:
        name: for the report.
        table: the table of the file.
        key: of two settings with one key only one applies.
        value: as written in the file.
        speaks: pattern of the errors that suggest it.
    """

    name: str
    table: str
    key: str
    value: str
    speaks: str

    @property
    def line(self) -> str:
        return f"{self.key} = {self.value}"


@dataclass(frozen=True)
class Attempt:
    """One run of the probe: its settings and its error ("" if it worked)."""

    settings: tuple[str, ...]
    error: str


def candidates(runtimes: t.Sequence[str], backends: t.Sequence[str], nofile: int, nproc: int) -> list[Setting]:
    """The settings worth trying on this host, the likeliest first.

    Args:
        runtimes: OCI runtimes that are installed.
        backends: network backends that are installed.
        nofile: the hard limit of open files.
        nproc: the hard limit of processes.
    """
    # Podman requests more than the hard limit, which only CAP_SYS_RESOURCE may raise. The errors of runtimes differ.
    limits = f'["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]'
    found = [
        Setting("ulimits", "containers", "default_ulimits", limits, r"(?i)rlimit"),
        Setting("cgroupfs", "engine", "cgroup_manager", '"cgroupfs"', r"systemd|dbus|sd-bus|cgroup manager|adding pid"),
        Setting("events in a file", "engine", "events_logger", '"file"', r"journal|event"),
    ]
    # crun refuses cgroup v1 mixed with v2, runc accepts it.
    for name in ("runc", "crun"):
        if name in runtimes:
            found.append(Setting(name, "engine", "runtime", f'"{name}"', r"(?i)cgroup|crun|oci runtime"))
    for name in ("netavark", "cni"):
        if name in backends:
            speaks = r"(?i)netavark|cni|network|nft|iptables"
            found.append(Setting(name, "network", "network_backend", f'"{name}"', speaks))
    return found


def render(settings: t.Sequence[Setting]) -> str:
    """The drop-in file for ``settings``, "" for none."""
    if not settings:
        return ""
    tables: dict[str, list[str]] = {}
    for setting in settings:
        tables.setdefault(setting.table, []).append(setting.line)
    text = "# Written by onebox.stack.container_engine: what this host needs for a container to start.\n"
    for table, lines in tables.items():
        text += f"\n[{table}]\n" + "".join(f"{line}\n" for line in lines)
    return text


def names_in(text: str) -> list[str]:
    """The settings of a drop-in, as the report shows them: ``key=value``, limits by their key alone."""
    found = []
    for key, value in re.findall(r"^(\w+) = (.+)$", text, re.M):
        found.append(key if value.startswith("[") else f"{key}={value.strip(chr(34))}")
    return found


def settle(probe: Probe, choices: t.Sequence[Setting]) -> list[Setting]:
    """Return the fewest settings found to make ``probe`` work.

    Args:
        probe: runs a container with the given settings; returns the error, "" for none.
        choices: settings to try, the likeliest first.

    Raises:
        PreflightError: no setting helps.
    """
    attempts: list[Attempt] = []

    def run(settings: t.Sequence[Setting]) -> str:
        error = probe(settings)
        attempts.append(Attempt(tuple(setting.name for setting in settings), error))
        return error

    used: list[Setting] = []
    doubted: list[Setting] = []
    left = list(choices)
    error = run(used)
    while error and left:
        fitting = [setting for setting in left if re.search(setting.speaks, error)]
        setting = (fitting or left)[0]
        left.remove(setting)
        now = run(_with(used, setting))
        # A setting stays if it fixes or at least changes the error. Others are dropped.
        if not now or _gist(now) != _gist(error):
            used = _with(used, setting)
            if not fitting:
                doubted.append(setting)
            error = now
    if error:
        # A search by single steps misses two settings that only work together.
        used = doubted = _together(run, choices, attempts)
    for setting in doubted:
        without = [other for other in used if other is not setting]
        if setting in used and not run(without):
            used = without
    return used


def _together(
    run: t.Callable[[t.Sequence[Setting]], str], choices: t.Sequence[Setting], attempts: t.Sequence[Attempt]
) -> list[Setting]:
    by_key: dict[str, list[Setting]] = {}
    for setting in choices:
        by_key.setdefault(setting.key, []).append(setting)
    tried = {frozenset(one.settings) for one in attempts}
    for combination in itertools.product(*by_key.values()):
        if frozenset(setting.name for setting in combination) not in tried and not run(combination):
            return list(combination)
    raise PreflightError(failure(attempts))


def _with(settings: t.Sequence[Setting], added: Setting) -> list[Setting]:
    return [*(other for other in settings if other.key != added.key), added]


def failure(attempts: t.Sequence[Attempt]) -> str:
    """All attempts in words. Equal errors appear once."""
    by_error: dict[str, list[Attempt]] = {}
    for one in attempts:
        by_error.setdefault(_gist(one.error), []).append(one)
    tried = "; ".join(
        f"with {', or '.join(' + '.join(one.settings) or 'its defaults' for one in same)}: {same[0].error}"
        for same in by_error.values()
    )
    return (
        f"Podman cannot run a container on this host. Tried {tried}. "
        "Fix the cause in the last lines (often a missing capability or cgroup), use a virtual machine or a less "
        "restricted host, or choose another engine with container_engine_name."
    )


def _gist(error: str) -> str:
    # Container ids, process ids and times differ from run to run; the error does not.
    return re.sub(r"[0-9a-f]{12,}|\d{3,}|\d\d:\d\d:\d\d\S*", "#", error)
