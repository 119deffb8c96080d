# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the program ``onebox-watch``, its configuration, and the files with its URLs."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, zipapp
from ansible_collections.onebox.stack.plugins.module_utils.watch import cli, config
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import WatchError


def program(path: str, interpreter: str, check: bool) -> bool:
    """Install the program, mode 0755. Returns whether that changed, or would change, anything.

    Raises:
        OneboxError: it cannot be built or written.
    """
    return zipapp.install(path, cli.__name__, interpreter, check=check)


def configuration(path: str, data: t.Mapping[str, t.Any], check: bool) -> bool:
    """Check a configuration and write it, mode 0600. Returns whether that changed, or would change, anything.

    Raises:
        WatchError: it is wrong. Nothing was written.
        FileError: it cannot be written.
    """
    config.parse(dict(data))
    return secret(path, json.dumps(data, indent=2, sort_keys=True), check)


def plan_file(config_path: str, stack: str) -> str:
    """The file with the options of a stack's plan, next to the configuration."""
    return f"{os.path.splitext(config_path)[0]}.{stack}.plan.json"


def with_plans(
    data: t.Mapping[str, t.Any], config_path: str, plan_program: str, plans: t.Collection[str]
) -> dict[str, t.Any]:
    """The configuration with the command that prints the plan, for the stacks in ``plans``.

    Raises:
        WatchError: one of them is not a stack of the configuration.
    """
    stacks = [dict(stack) for stack in data.get("stacks") or ()]
    unknown = sorted(set(plans) - {str(stack.get("name")) for stack in stacks})
    if unknown:
        raise WatchError(f"plans (watch_plans): {unknown[0]} is not a stack in watch_stacks. Add it there.")
    for stack in stacks:
        if stack.get("name") in plans:
            stack["plan"] = [plan_program, plan_file(config_path, stack["name"])]
    return {**data, "stacks": stacks}


def secret(path: str, text: str, check: bool) -> bool:
    """Write a private file, or remove it when the text is empty. Returns whether that changed anything."""
    if not text:
        return os.path.lexists(path) if check else files.remove(path)
    if not check:
        files.make_directories(os.path.dirname(path), 0o755)
    return files.write_if_changed(path, f"{text}\n".encode(), 0o600, durable=True, check=check)


def remove(paths: t.Sequence[str], check: bool) -> bool:
    """Remove files. Returns whether one of them existed."""
    removed = [os.path.lexists(path) if check else files.remove(path) for path in paths]
    return any(removed)
