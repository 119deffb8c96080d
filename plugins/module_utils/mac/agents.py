# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retire LaunchAgents and restore them, without losing one.

Retiring an agent disables it (so that it does not start at the next login), unloads it, waits, and moves its file to an
archive outside LaunchAgents. A manifest, written before the first step, allows to undo every step.
"""

from __future__ import annotations

import fnmatch
import json
import os
import plistlib
import shutil
import typing as t
import xml.parsers.expat
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import files, jobs, ps
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError
from ansible_collections.onebox.stack.plugins.module_utils.mac.launchd import Launchctl

MANIFEST = "manifest.json"
BINARY = b"bplist00"


@dataclass(frozen=True)
class AgentFile:
    """A property list in LaunchAgents. The label is that of its content, not its file name."""

    path: str
    label: str
    arguments: tuple[str, ...]
    binary: bool


def read_plist(path: str) -> tuple[dict[str, t.Any], bool]:
    """The property list, and whether it is binary.

    Raises:
        MacError: it cannot be read, or is not a property list.
    """
    try:
        with open(path, "rb") as file:
            raw = file.read()
        content = plistlib.loads(raw)
    except OSError as error:
        raise MacError(f"{path} cannot be read: {error.strerror}") from error
    except (plistlib.InvalidFileException, xml.parsers.expat.ExpatError, ValueError, IndexError) as error:
        raise MacError(f"{path} is not a property list ({error}). Inspect it with: plutil -lint '{path}'") from error
    if not isinstance(content, dict):
        raise MacError(f"{path} is a property list of {type(content).__name__}, not of an agent")
    return content, raw.startswith(BINARY)


def write_plist(path: str, content: t.Mapping[str, t.Any]) -> None:
    """Replace or create a property list in one step. A binary one stays binary.

    Raises:
        MacError: a value cannot be written to a property list; nothing was written.
    """
    binary = False
    if os.path.exists(path):
        with open(path, "rb") as old:
            binary = old.read(len(BINARY)) == BINARY
    try:
        data = jobs.plist(content, binary=binary)
    except jobs.JobError as error:
        raise MacError(f"{path} cannot be written: {error}") from error
    files.make_directories(os.path.dirname(path), 0o755)
    files.replace(path, data, 0o644, durable=True)  # launchd ignores agents that others can write


def discover(folder: str) -> tuple[list[AgentFile], list[str]]:
    """The agents of a folder, and the problems of its other files."""
    found, problems = [], []
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise MacError(f"{folder} cannot be read: {error.strerror}") from error
    for name in names:
        path = os.path.join(folder, name)
        if not name.endswith(".plist") or not os.path.isfile(path):
            continue
        try:
            content, binary = read_plist(path)
        except MacError as error:
            problems.append(str(error))
            continue
        if not content.get("Label"):
            problems.append(f"{path} has no Label, so launchd cannot have loaded it")
            continue
        arguments = content.get("ProgramArguments") or [content.get("Program") or ""]
        found.append(AgentFile(path, str(content["Label"]), tuple(str(word) for word in arguments), binary))
    return found, problems


def matches(label: str, patterns: t.Iterable[str], keep: t.Iterable[str]) -> bool:
    """Whether a label matches a pattern such as ``com.97layer.*``, and is not kept."""
    return any(fnmatch.fnmatchcase(label, one) for one in patterns) and not any(
        fnmatch.fnmatchcase(label, one) for one in keep
    )


@dataclass
class Result:
    """The changes, made or planned: one item for each agent, and warnings for the user."""

    changed: bool
    agents: list[dict[str, t.Any]]
    warnings: list[str]


def _jobs(launchctl: Launchctl, domains: t.Sequence[str], label: str) -> dict[str, t.Any]:
    """The domains in which a job is loaded, and its pid."""
    loaded = [job for job in (launchctl.job(domain, label) for domain in domains) if job.loaded]
    return {"loaded": [job.domain for job in loaded], "pid": loaded[0].pid if loaded else 0}


@dataclass(frozen=True)
class Selection:
    """The agents of a task, and the paths of their files.

    Attributes:
        folder: the LaunchAgents folder.
        archive: directory of retired files, with a folder for each retirement.
        patterns: labels, or shell patterns of them.
        keep: labels or patterns of agents that are kept, even if ``patterns`` match them.
    """

    folder: str
    archive: str
    patterns: tuple[str, ...]
    keep: tuple[str, ...] = ()

    def has(self, label: str) -> bool:
        """Whether the label is selected."""
        return matches(label, self.patterns, self.keep)


def retire(
    launchctl: Launchctl, selection: Selection, *, domain: str, stamp: str, timeout: float, check: bool
) -> Result:
    """Disable and unload agents, and move their files to the archive.

    Args:
        launchctl: launchd.
        selection: which agents.
        domain: ``gui``, ``user`` or ``auto``.
        stamp: the name of this retirement, for example a date and time.
        timeout: seconds for a job to stop.
        check: only report the change.

    Raises:
        MacError: a job does not stop, or a file cannot be moved. The manifest lists all agents of this retirement.
    """
    domains = launchctl.domains(domain)
    archive = os.path.join(selection.archive, stamp)
    rows, warnings = _retirement(launchctl, selection, domains, archive)
    if not rows or check:
        return Result(bool(rows), rows, warnings)
    _write_manifest(archive, rows)
    for row in rows:
        for one in domains:
            if one not in row["disabled_in"]:
                launchctl.set_disabled(one, row["label"], True)
        for one in row["domains"]:
            launchctl.unload(one, row["label"], timeout)
        if row["plist_from"]:
            _move(row["plist_from"], row["plist_to"])
    found = ps.listing(launchctl.world)
    spare = ps.family(os.getpid(), found)
    for row in rows:
        row["survivors"] = survivors(row, found, spare)
        for pid in row["survivors"]:
            warnings.append(f"process {pid} of {row['label']} still runs: {' '.join(row['arguments'])}")
    return Result(True, rows, warnings)


def _retirement(
    launchctl: Launchctl, selection: Selection, domains: t.Sequence[str], archive: str
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """One item for each agent to retire, and the problems of the files in the folder."""
    found, problems = discover(selection.folder)
    by_label = {one.label: one for one in found}
    disabled = {one: launchctl.disabled(one) for one in domains}
    rows: list[dict[str, t.Any]] = []
    for label in sorted({label for label in [*by_label, *launchctl.loaded_labels()] if selection.has(label)}):
        state = _jobs(launchctl, domains, label)
        file = by_label.get(label)
        disabled_in = [one for one in domains if disabled[one].get(label, False)]
        rows.append(
            {
                "label": label,
                "loaded_before": bool(state["loaded"]),
                "domains": state["loaded"],
                "disabled_before": bool(disabled_in),
                "disabled_in": disabled_in,
                "pid": state["pid"],
                "plist_from": file.path if file else "",
                "plist_to": os.path.join(archive, os.path.basename(file.path)) if file else "",
                "arguments": list(file.arguments) if file else [],
                "survivors": [],
            }
        )
    return rows, problems


def survivors(row: t.Mapping[str, t.Any], found: t.Iterable[ps.Process], spare: t.Container[int]) -> list[int]:
    """Processes with an agent's command line that are not our own."""
    line = " ".join(row["arguments"])
    if len(row["arguments"]) < 2:
        return []  # a bare program name does not identify the agent
    return [one.pid for one in found if one.pid not in spare and (one.command + " ").startswith(line + " ")]


def _write_manifest(folder: str, rows: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    data = json.dumps({"version": 1, "agents": list(rows)}, indent=1).encode()
    try:
        files.make_directories(folder, 0o700)
        files.replace(os.path.join(folder, MANIFEST), data, 0o644, durable=True)
    except files.FileError as error:
        raise MacError(f"{error}. Nothing was retired, because it could not be undone.") from error


def _move(source: str, target: str) -> None:
    if os.path.lexists(target):
        raise MacError(f"{target} exists and is not overwritten. Move it away, or set another archive_dir.")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.move(source, target)
    except OSError as error:
        raise MacError(f"{source} cannot be moved to {target}: {error.strerror}") from error


def retired(archive: str) -> list[dict[str, t.Any]]:
    """Every agent in the archive, the latest retirement of a label first."""
    rows = []
    try:
        stamps = sorted(os.listdir(archive), reverse=True)
    except FileNotFoundError:
        return []
    for stamp in stamps:
        path = os.path.join(archive, stamp, MANIFEST)
        if not os.path.exists(path):
            continue
        try:
            with open(path, encoding="utf-8") as file:
                rows += json.load(file)["agents"]
        except (OSError, ValueError, KeyError) as error:
            raise MacError(
                f"{path} is not a manifest of retired agents ({error}). Restore the files yourself."
            ) from error
    return rows


def restore(launchctl: Launchctl, selection: Selection, *, timeout: float, check: bool) -> Result:
    """Undo :func:`retire` for the selected agents: restore the file, and enable and load the agent if it was before.

    Raises:
        MacError: a file is in the way, or a job does not load.
    """
    rows: list[dict[str, t.Any]] = []
    domains = launchctl.domains("auto")
    disabled = {one: launchctl.disabled(one) for one in domains}
    for row in retired(selection.archive):
        known = {one["label"] for one in rows}
        if row["label"] in known or not selection.has(row["label"]):
            continue
        if row["plist_to"] and not os.path.exists(row["plist_to"]):
            continue  # restored before
        now = [one for one in domains if disabled[one].get(row["label"], False)]
        if not row["plist_to"] and set(now) <= set(row["disabled_in"]):
            continue  # a job without a file, which can only be enabled again
        rows.append({**row, "plist_from": row["plist_to"], "plist_to": row["plist_from"], "survivors": []})
    if check:
        return Result(bool(rows), rows, [])
    for row in rows:
        if row["plist_from"]:
            _move(row["plist_from"], row["plist_to"])
        for domain in domains:
            launchctl.set_disabled(domain, row["label"], False)
        for domain in row["domains"] if row["plist_from"] else ():
            launchctl.load(domain, row["label"], row["plist_to"], timeout)
        for domain in row["disabled_in"]:
            # It ran and was disabled later. A disabled job cannot be loaded, so disabling is the last step again.
            launchctl.set_disabled(domain, row["label"], True)
    return Result(bool(rows), rows, [])


def ensure_file(path: str, text: str, check: bool) -> bool:
    """Install a script with this text, executable by its owner. Returns whether it changed, or would change."""
    if not check:
        files.make_directories(os.path.dirname(path), 0o755)
    return files.write_if_changed(path, text.encode(), 0o700, durable=True, check=check)


def ensure_loaded(
    launchctl: Launchctl,
    *,
    folder: str,
    label: str,
    definition: t.Mapping[str, t.Any],
    domain: str,
    timeout: float,
    check: bool,
) -> Result:
    """Install one agent with this definition, enabled and loaded. Reload it if the definition changed.

    Raises:
        MacError: its file cannot be read, or the job does not load.
    """
    path = os.path.join(folder, f"{label}.plist")
    content = {**definition, "Label": label}
    same = os.path.exists(path) and read_plist(path)[0] == content
    domains = launchctl.domains(domain)
    state = _jobs(launchctl, domains, label)
    blocked = [one for one in domains if launchctl.disabled(one).get(label, False)]
    row = {
        "label": label,
        "loaded_before": bool(state["loaded"]),
        "domains": state["loaded"] or domains[:1],
        "disabled_before": bool(blocked),
        "disabled_in": blocked,
        "pid": state["pid"],
        "plist_from": "",
        "plist_to": path,
        "arguments": [str(word) for word in content.get("ProgramArguments", ())],
        "survivors": [],
    }
    changed = not same or not state["loaded"] or bool(blocked)
    if not changed or check:
        return Result(changed, [row], [])
    if not same:
        write_plist(path, content)
    for one in blocked:
        launchctl.set_disabled(one, label, False)
    if state["loaded"] and not same:
        launchctl.unload(state["loaded"][0], label, timeout)
    if not state["loaded"] or not same:
        _load_anywhere(launchctl, state["loaded"][:1] or domains, label, path, timeout)
    return Result(True, [row], [])


def _load_anywhere(launchctl: Launchctl, domains: t.Sequence[str], label: str, path: str, timeout: float) -> None:
    """Load the agent in the first possible domain. ``gui`` does not exist while no user is logged in."""
    for domain in domains[:-1]:
        try:
            launchctl.load(domain, label, path, min(timeout, 2.0))
            return
        except MacError:
            continue
    launchctl.load(domains[-1], label, path, timeout)
