# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment files of a stack, as its compose tool reads them."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem


def variables(source: Source, dialect: dotenv.Dialect, environ: t.Mapping[str, str]) -> dict[str, str]:
    """The variables of the stack's own environment file; none without a file. Errors as :func:`read`."""
    return read(source.env_file, source, dialect, environ) if source.env_file else {}


def names(source: Source) -> list[str]:
    """The variables of the stack's own environment file, before the tool that reads it is known.

    Raises:
        ComposeError: the file cannot be read.
    """
    return dotenv.keys(_text(source.env_file)) if source.env_file else []


def read(path: str, source: Source, dialect: dotenv.Dialect, environ: t.Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment file, with references replaced.

    Args:
        path: where it is read.
        environ: the environment of the tool.

    Raises:
        BadStack: the tool refuses the file. The message names the line and never a value.
        ComposeError: the file cannot be read.
    """
    named, text = source.named(path), _text(path)
    try:
        if not dialect.docker:
            text.encode()  # podman-compose fails with a traceback, docker compose continues
        return dotenv.parse(text, dialect, environ, named)
    except UnicodeEncodeError:
        why = Problem("not_dotenv", named, "is not UTF-8, so podman-compose cannot read it. Convert it.")
        raise BadStack(source.project, [why]) from None
    except dotenv.EnvFileError as error:
        raise BadStack(source.project, error.problems) from None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
            return stream.read()
    except OSError as error:
        raise ComposeError(f"cannot read the environment file {path}: {error.strerror}") from error
