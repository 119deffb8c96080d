# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the compose modules as a request."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def request_of(params: t.Mapping[str, t.Any], world: World) -> Request:
    """The request of a module's parameters. Those that only another module has get their defaults.

    Raises:
        ComposeError: ``name`` is not a name for a stack, or ``env`` is not a mapping.
    """
    if not _NAME.fullmatch(params["name"]):
        # The stack's lock and state lie in a directory of this name: an empty one is the directory of all stacks.
        raise ComposeError(
            f"name: {params['name']!r} is not a name for a stack. Use lower-case letters, digits, '_', '.' and '-'. "
            "Begin with a letter or a digit."
        )
    if params.get("rejection") and (params["target"], params["state"]) != ("swarm", "rolled_back"):
        raise ComposeError("rejection: needs target=swarm and state=rolled_back.")
    default_state = "/var/lib/onebox" if world.is_root else os.path.join(world.home, ".local/state/onebox")
    plain = {each.name for each in dataclasses.fields(Request)}
    given: dict[str, t.Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in params.items()
        if name in plain and value is not None
    }
    converted: dict[str, t.Any] = {
        "project_dir": os.path.normpath(params["project_dir"]),
        "env": _variables(params["env"]),
        "content": _content(params),
        "staged_dir": realpath(params["staged_dir"]) if params["staged_dir"] else "",
        "rules": declaration.Rules(
            tuple(params["required_env"]),
            tuple(params["public_ports"]),
            params["exposure"],
            params["defaults"] == "derive",
        ),
        "state_dir": params["state_dir"] or default_state,
    }
    return Request(**{**given, **converted})


def _variables(text: str | None) -> dict[str, t.Any] | None:
    """The option ``env``. As JSON it is one value to hide in a task's result, and not each number and word in it."""
    if text is None:
        return None
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        # Without the text: it may hold secrets.
        raise ComposeError(
            "compose_stack_env (env): is not a mapping of names to values. Write one NAME: value a line."
        )
    return values


def _content(params: t.Mapping[str, t.Any]) -> tuple[tuple[str, str], ...]:
    if params["content"] and not params["staging_dir"]:
        raise ComposeError("content: needs staging_dir, which holds the files for each directory.")
    for path in params["content"]:
        if not os.path.isabs(path):
            raise ComposeError(f"content: {path} is not an absolute path")
    folder = params["staging_dir"] or ""
    return tuple(
        (os.path.join(folder, f"content-{number}"), os.path.normpath(path))
        for number, path in enumerate(params["content"])
    )


@contextlib.contextmanager
def removing_staging(params: t.Mapping[str, t.Any]) -> t.Iterator[dict[str, str]]:
    """Remove the directory that the role made for this run, however the run ends.

    Yields:
        What a result says of it.

    Raises:
        ComposeError: the staged files are not in it. Nothing is removed then.
        FileError: it is not a private directory, or cannot be removed.
    """
    folder = params["staging_dir"]
    if not folder:
        yield {}
        return
    if params["staged_dir"] and os.path.dirname(os.path.normpath(params["staged_dir"])) != os.path.normpath(folder):
        raise ComposeError(f"staging_dir: {folder} does not hold staged_dir. It is removed at the end.")
    trees.private_dir(folder)
    removed = {"staging_removed": folder}
    try:
        yield removed
    except OneboxError as error:
        error.facts.update(removed)
        raise
    finally:
        trees.remove_tree(folder)


def host_of(world: World) -> Host:
    """Where systemd keeps its units for the user the module runs as."""
    return Host.here(world.run, world.uid, world.account, world.environ)
