# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Call ``config`` of a compose tool, and read its refusals: the part that is the same for each tool."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

PROJECT_NAME = "COMPOSE_PROJECT_NAME"
# Messages of compose-go's dotenv parser, followed by the rest of the line, or of the file.
_LINE_OF_ENV = re.compile(r"(?s)(unterminated quoted value|in variable name) .*")
# The prefix of compose-go for messages of its YAML parser. Names of files have the word, too.
_NOT_YAML = re.compile(r"(?:^|\s)yaml: ")
_TIMEOUT = 120.0


def common_arguments(source: Source) -> list[str]:
    """The global arguments that all compose tools share: files, environment file, profiles."""
    words = []
    for path in source.files:
        words += ["-f", path]
    # Without this both tools search for a .env, podman-compose also in the directory where it is started.
    words += ["--env-file", source.env_file or os.devnull]
    for profile in source.profiles:
        words += ["--profile", profile]
    return words


class Refused(ComposeError):
    """The compose tool refuses the stack; ``result`` has its output."""

    def __init__(self, result: process.Result) -> None:
        super().__init__()
        self.result = result


@contextlib.contextmanager
def refusals(source: Source, shown: t.Callable[[str], str]) -> t.Iterator[None]:
    """Turn the refusal of a compose tool into an error that names the files of the stack.

    Args:
        shown: masks the output of the tool.

    Raises:
        BadStack: the tool refused.
    """
    try:
        yield
    except Refused as refusal:
        raise bad_stack(source, refusal.result, shown) from None


def placeholders(names: t.Iterable[str]) -> dict[str, str]:
    """A value for each of these variables that no compose file contains by chance."""
    return {name: NOT_SET + name for name in names}


def as_named(value: t.Any, source: Source) -> t.Any:
    """A model that was read in another directory, with its later paths."""
    if not source.staged:
        return value
    if isinstance(value, str):
        return source.named(value)
    if isinstance(value, list):
        return [as_named(item, source) for item in value]
    if isinstance(value, dict):
        return {key: as_named(item, source) for key, item in value.items()}
    return value


def unescape(value: t.Any) -> t.Any:
    """Undo the ``$`` -> ``$$`` that compose applies to every string of its JSON output."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [unescape(item) for item in value]
    if isinstance(value, dict):
        return {key: unescape(item) for key, item in value.items()}
    return value


def no_env_file(service: str, path: str) -> Problem:
    """The problem of a missing ``env_file``."""
    return Problem("no_env_file", f"service {service}", f"its env_file {path} does not exist")


def unset_problems(unset: t.Mapping[str, str], source: Source) -> list[Problem]:
    """One problem for each unset variable."""
    place = source.named(source.env_file) or os.path.join(source.project_dir, ".env")
    return [
        Problem("unset_variable", name, f"is not set{' (' + text + ')' if text else ''}. Set it in {place}")
        for name, text in sorted(unset.items())
    ]


def config(words: t.Sequence[str], tool: Driver, source: Source, world: World, stdin: bytes = b"") -> process.Result:
    try:
        return world.run(words, timeout=_TIMEOUT, env=tool.env, cwd=source.read_dir, check=False, stdin=stdin or None)
    except process.CommandError as error:
        raise ComposeError(f"stack {source.project}: cannot resolve the model with {tool.kind}: {error}") from error


def texts_of(files: t.Sequence[str]) -> dict[str, str]:
    texts = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                texts[path] = stream.read()
        except OSError as error:
            raise ComposeError(f"cannot read the compose file {path}: {error.strerror}") from error
    return texts


def bad_stack(source: Source, result: process.Result, shown: t.Callable[[str], str]) -> BadStack:
    where = ", ".join(source.named(path) for path in source.files)
    wanted = re.search(r"required variable (\S+) is missing a value(?:: (.*))?", result.stderr)
    if wanted:
        return BadStack(source.project, unset_problems({wanted.group(1): (wanted.group(2) or "").strip()}, source))
    # Masked before it is cut: the rest of a secret of many lines is not recognised.
    said = shown(_LINE_OF_ENV.sub(r"\1 (its text is not shown)", result.stderr or result.stdout))
    said = process.last_words(said, 2) or f"exit code {result.rc}, and no message"
    code = "not_yaml" if _NOT_YAML.search(said) else "refused"
    return BadStack(source.project, [Problem(code, where, f"the compose tool refuses it: {said}")])
