# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python interpreter of podman-compose: it parses YAML for us, and hides values from command lines."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver, Tool
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import argv as podman_argv
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_CONVERT = """
import json, sys, yaml
class Loader(yaml.SafeLoader):
    pass
def tagged(loader, suffix, node):
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node)
Loader.add_multi_constructor("!", tagged)
def odd(node, path):
    # Unquoted words that YAML 1.1 reads as a number in base 60 or as a boolean.
    if len(path) > 30:
        return
    if isinstance(node, yaml.ScalarNode):
        kind = node.tag.rpartition(":")[2]
        if kind == "bool" or (kind in ("int", "float") and ":" in node.value):
            yield [path, node.value, kind]
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from odd(value, path if key.value == "<<" else [*path, str(key.value)])
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from odd(value, [*path, str(number)])
def load(text, name):
    try:
        return {"data": yaml.load(text, Loader), "error": "", "odd": list(odd(yaml.compose(text, Loader), []))}
    except yaml.YAMLError as error:
        return {"data": None, "error": " ".join(str(error).split()), "odd": []}
try:
    from dotenv.version import __version__ as version
except ImportError:
    version = ""
request = json.load(sys.stdin)
rows = [load(row["text"], row["name"]) for row in request]
json.dump({"rows": rows, "python_dotenv": version}, sys.stdout, default=str)
"""


@dataclass(frozen=True)
class Parsed:
    """A YAML text as Python data, or why it is not YAML.

    Attributes:
        odd: path, text and kind (``bool``, ``int``, ``float``) of each plain word that the YAML 1.1 of podman-compose
            reads as a boolean or as a number in base 60.
    """

    data: t.Any
    error: str
    odd: tuple[tuple[tuple[str, ...], str, str], ...] = ()


def parse_yaml(tool: Driver, texts: t.Mapping[str, str], world: World) -> tuple[dict[str, Parsed], dotenv.Dialect]:
    """Parse YAML with podman-compose's library in its interpreter. Also returns its dialect of dotenv files.

    This collection's target side is standard library only, and podman-compose cannot exist without PyYAML.

    Raises:
        ComposeError: its interpreter cannot be found or does not work.
    """
    interpreter = interpreter_of(tool.argv[0], tool.env)
    request = json.dumps([{"name": name, "text": text} for name, text in texts.items()])
    try:
        result = world.run([*interpreter, "-c", _CONVERT], timeout=60.0, env=tool.env, stdin=request.encode())
        answer = json.loads(result.stdout)
    except (process.CommandError, ValueError) as error:
        raise ComposeError(f"cannot parse YAML with the interpreter of {tool.argv[0]}: {error}") from error
    parsed = {
        name: Parsed(row["data"], row["error"], tuple((tuple(path), *rest) for path, *rest in row.get("odd") or ()))
        for name, row in zip(texts, answer["rows"])
    }
    return parsed, dotenv.Dialect.podman_compose(answer["python_dotenv"])


# It runs in the project directory, from which Python must not import modules.
_WITHOUT_VALUES = "import sys; sys.path.pop(0); exec(sys.argv.pop(1))"


def without_values(tool: Tool, folder: str, argv: t.Sequence[str]) -> list[str]:
    """The command that runs ``argv`` of podman-compose without values on the command lines of Podman.

    Args:
        folder: a private directory that exists while it runs.

    Raises:
        ComposeError: podman-compose's interpreter cannot be found.
    """
    script = shutil.which(argv[0], path=tool.env.get("PATH")) or argv[0]
    program = inspect.getsource(podman_argv)
    return [*interpreter_of(script, tool.env), "-c", _WITHOUT_VALUES, program, folder, script, *argv[1:]]


def interpreter_of(script: str, env: t.Mapping[str, str]) -> tuple[str, ...]:
    """The command in the ``#!`` line of ``script``; pip's long-path form (``/bin/sh`` and ``exec``) included.

    Raises:
        ComposeError: it has none.
    """
    place = script if os.path.isabs(script) else shutil.which(script, path=env.get("PATH")) or script
    try:
        with open(place, encoding="utf-8", errors="replace") as stream:
            first, second = stream.readline().strip(), stream.readline().strip()
    except OSError as error:
        raise ComposeError(f"cannot read {place}: {error.strerror}") from error
    if first == "#!/bin/sh" and second.startswith("'''exec'"):
        quoted = re.match(r"'''exec' (?:\"([^\"]+)\"|(\S+))", second)
        if quoted:
            return (quoted.group(1) or quoted.group(2),)
    words = first[2:].split() if first.startswith("#!") else []
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-")]
    if not words or "python" not in os.path.basename(words[0]):
        raise ComposeError(f"{place} is not a Python script. Set provider_path to the path of podman-compose itself")
    return tuple(words)
