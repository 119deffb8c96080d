# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Functions of all backup modules: options, the backup configuration, and returned reports."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup import context as contexts
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    BackupError,
    ConfigError,
    StoreError,
    file_errors,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.reports import StatusReport
from ansible_collections.onebox.stack.plugins.module_utils.backup.status import inspect
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.base import pick
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

CONFIG: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "config": {"type": "path"},
}
WAIT: dict[str, dict[str, t.Any]] = {"wait": {"type": "float", "default": 0.0}}
SET: dict[str, dict[str, t.Any]] = {
    "repository": {"type": "str", "choices": ["local", "offsite"], "default": "local"},
    "set": {"type": "str", "default": "latest"},
    "accept_unauthenticated": {"type": "int", "default": 0},
    "authentication_key": {"type": "path", "no_log": False},
}


def open_context(name: str, config: str | None, world: World, key: str | None = None) -> Context:
    """The context of the stack ``name``.

    Args:
        key: file with a further authentication key.

    Raises:
        ConfigError: the configuration is of another stack.
        StoreError: there is no key in that file.
    """
    if not config:
        base = "/etc" if world.is_root else os.path.join(world.home, ".config")
        config = os.path.join(base, "onebox", "backup", f"{name}.json")
    found = configuration.read(config)
    if found.stack != name:
        raise ConfigError(f"{config} configures the backups of {found.stack!r}, not of {name!r} (option name)")
    context = contexts.make(found, world)
    if key:
        context.keys.trust(key)
    return context


@file_errors()
def chosen(context: Context, where: str, wanted: str, accepted: int = 0) -> dict[str, t.Any]:
    """The set called ``wanted`` as the modules return it. Raises :class:`StoreError` when there is none to use."""
    store = context.store if where == "local" else context.offsite
    if store is None:
        raise StoreError("there is no off-site repository in the backup configuration (option repository)")
    found = pick(store.sets(), wanted, store.location, accepted)
    manifest = found.understood()
    return {"seq": found.seq, "id": found.id, "taken": manifest.taken, "size": manifest.size}


def info(status: StatusReport) -> dict[str, t.Any]:
    """A status as stack_backup_info returns it."""
    usable = [row for row in status.rows if not row.problem]
    return {
        "healthy": status.healthy,
        "problems": status.problems,
        "notes": status.notes,
        "sets": [row.as_dict() for row in status.rows],
        "snapshot": usable[-1].as_dict() if usable else {},
        "last_good": status.last_good,
        "age_seconds": status.age_seconds,
        "rehearsals": status.rehearsals,
        "sources": [{"name": name, "count": count} for name, count in sorted(status.sources.items())],
    }


def outlook(context: Context) -> dict[str, t.Any]:
    """The status for a deploy, and whether a first backup is needed. An unreadable repository is one of its problems.

    A rebuilt host has no sets and an empty stack, and its sets are off-site. A backup of the empty stack
    would create a useless set, with a number that is already used.
    """
    try:
        status = inspect(context)
    except BackupError as error:
        return {"healthy": False, "problems": [str(error)], "wants_first": False}
    found: dict[str, t.Any] = {**info(status), "wants_first": not status.rows}
    if found["wants_first"] and context.offsite is not None:
        try:
            with file_errors():
                away = context.offsite.sets()
        except BackupError as error:
            return {
                **found,
                "wants_first": False,
                "problems": [*found["problems"], f"off-site cannot be read: {error}"],
            }
        if away:
            text = (
                f"there are {len(away)} sets off-site (the newest is {away[-1].seq}) and none here: restore with "
                "playbooks/restore.yml -e repository=offsite, or start again with onebox-backup backup --accept-drop"
            )
            return {**found, "wants_first": False, "problems": [text]}
    return found


def returned(report: t.Mapping[str, t.Any], context: Context) -> dict[str, t.Any]:
    """The report of a run as stack_backup returns it."""
    try:
        with file_errors():
            usable = [found.seq for found in context.store.sets() if found.manifest]
    except BackupError:
        usable = []  # the report's error gives the reason
    return {
        **{key: report[key] for key in ("snapshot", "sources", "verified", "pruned", "prune_plan", "offsite")},
        "last_good": usable[-1] if usable else None,
        "warnings_found": report["warnings"],
    }
