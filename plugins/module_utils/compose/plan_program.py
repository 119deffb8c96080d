# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as an installed program, for timers: ``onebox-plan FILE`` prints it as JSON.

The file holds options of ``compose_stack_info`` as JSON. Values that only the controller knows, such as secrets, are
those of the last deploy. Exit codes: 0 the plan was made, 1 it could not be made and ``msg`` in the JSON says why.
"""

from __future__ import annotations

import json
import sys
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose import options, request
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_SHOWN = ("project", "plan", "problems", "last_good", "would_change")


def main(argv: t.Sequence[str] | None = None, out: t.TextIO | None = None) -> int:
    """Print the plan and return the exit code."""
    stream = sys.stdout if out is None else out
    words = sys.argv[1:] if argv is None else argv
    try:
        if len(words) != 1:
            raise ComposeError("onebox-plan: takes one argument, the file with the options. Give its path.")
        result = plan(words[0], World.real())
    except OneboxError as error:
        stream.write(json.dumps({"failed": True, "msg": str(error)}) + "\n")
        return 1
    stream.write(json.dumps({key: result.get(key) for key in _SHOWN}) + "\n")
    return 0


def plan(path: str, world: World) -> dict[str, t.Any]:
    """The result of ``compose_stack_info`` for the options in a file.

    Raises:
        OneboxError: the options are wrong, or the plan cannot be made.
    """
    params = parameters(files.read_text(path), path)
    return Stack(options.request_of(params, world), world, options.host_of(world)).info()


def parameters(text: str, path: str) -> dict[str, t.Any]:
    """Options with their defaults.

    Raises:
        ComposeError: the text is not a mapping of known options, or one is missing.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ComposeError(f"{path}: is not JSON ({error}). Run the role watch, which writes it.") from error
    if not isinstance(given, dict) or set(given) - set(request.COMMON):
        raise ComposeError(f"{path}: is not a mapping of options of compose_stack_info. Run the role watch again.")
    for name, spec in request.COMMON.items():
        if spec.get("required") and not given.get(name):
            raise ComposeError(f"{path}: {name} is missing. Run the role watch again.")
    return {name: given.get(name, spec.get("default")) for name, spec in request.COMMON.items()}
