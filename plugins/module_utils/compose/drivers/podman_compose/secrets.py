# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set external secrets of a compose file in Podman. Values are only passed through standard input."""

from __future__ import annotations

import hashlib
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.engine_traits import traits_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Piece
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

# The first Podman that can print and replace a secret.
_SHOWS = (4, 7)
_TIMEOUT = 60.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,252}")


def problems(request: Request, engine: Engine | None) -> list[Problem]:
    """Why the secrets of a request cannot be set in Podman."""
    found = []
    for name in request.podman_secrets:
        where = f"compose_stack_secrets, name {name}"
        if not _NAME.fullmatch(name):
            found.append(
                Problem(
                    "bad_secret_name",
                    where,
                    "is not a valid name of a Podman secret. Use letters, digits, '_', '.' and '-'",
                )
            )
        elif engine is not None and not traits_of(engine).has_secrets:
            advice = "Set path instead of name, and declare it with file in the compose file"
            found.append(Problem("external_secret", where, f"needs Podman, but this engine is Docker. {advice}"))
    return found


def coming(request: Request, engine: Engine | None, world: World) -> dict[str, Piece]:
    """The secrets that Podman does not have, or has with another value, as pieces of a container.

    Raises:
        EngineError, ComposeError: Podman cannot be queried.
    """
    if engine is not None and not traits_of(engine).has_secrets:
        return {}
    piece = Piece("to come", world.epoch())
    return {
        name: piece
        for name, value in request.podman_secrets.items()
        if _NAME.fullmatch(name) and (engine is None or not _has(request, engine, world, name, value))
    }


def set_values(request: Request, engine: Engine, world: World, names: t.Iterable[str]) -> None:
    """Set these secrets of the request in Podman.

    Raises:
        ComposeError: Podman refused.
    """
    for name in names:
        value = request.podman_secrets[name].encode("utf-8", "surrogateescape")
        if _shows(engine):
            _podman(engine, world, "create", "--replace", name, "-", stdin=value)
            continue
        if engine.secret(name) is not None:
            _podman(engine, world, "rm", name)
        _podman(engine, world, "create", name, "-", stdin=value)
        note = _note(request, name)
        files.make_directories(request.state_folder, 0o750)
        trees.private_dir(os.path.dirname(note))
        files.replace(note, hashlib.sha256(value).hexdigest().encode(), 0o600, durable=True)


def _has(request: Request, engine: Engine, world: World, name: str, value: str) -> bool:
    if engine.secret(name) is None:
        return False
    if _shows(engine):
        shown = _podman(engine, world, "inspect", "--showsecret", "--format", "{{.SecretData}}", name)
        return shown in (value, f"{value}\n")
    # An older Podman does not print values, so a digest of the value is recorded.
    try:
        noted = files.read_text(_note(request, name)).strip()
    except files.FileError:
        return False
    return noted == hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _note(request: Request, name: str) -> str:
    return os.path.join(request.state_folder, "secrets", name)


def _shows(engine: Engine) -> bool:
    found = re.match(r"(\d+)\.(\d+)", engine.version)
    return bool(found) and (int(found[1]), int(found[2])) >= _SHOWS if found else False


def _podman(engine: Engine, world: World, *words: str, stdin: bytes | None = None) -> str:
    url = ["--url", f"unix://{engine.socket}"] if engine.socket else []
    try:
        result = world.run(["podman", *url, "secret", *words], timeout=_TIMEOUT, stdin=stdin, env=world.environ)
    except process.CommandError as error:
        raise ComposeError(f"secret {words[-1] if stdin is None else words[-2]}: {error}") from error
    return str(result.stdout)
