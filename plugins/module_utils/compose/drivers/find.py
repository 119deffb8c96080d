# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the compose tool of this host: ``docker compose`` v2 as a plugin or alone, or podman-compose."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import argv as podman_argv
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

PROVIDERS = ("auto", "docker-compose", "podman-compose")
DOCKER_COMPOSE = "docker-compose"
PODMAN_COMPOSE = "podman-compose"
# Older ones have neither --in-pod as a global option nor a config hash.
OLDEST_PODMAN_COMPOSE = (1, 3)
# The roles of this collection put a private podman-compose here.
PRIVATE_PODMAN_COMPOSE = "/opt/onebox/podman-compose/bin/podman-compose"
PRIVATE_PODMAN_COMPOSE_OF_USER = ".local/share/onebox/podman-compose/bin/podman-compose"
_VERSION_TIMEOUT = 60.0


class NoTool(ComposeError):
    """There is no compose tool that fits."""


@dataclass(frozen=True)
class Provider:
    """A compose tool that answers.

    Attributes:
        kind: ``docker-compose`` or ``podman-compose``.
        argv: how to call it.
        version: for example ``(2, 26, 1)``.
        env: the whole environment it is run with.
    """

    kind: str
    argv: tuple[str, ...]
    version: tuple[int, ...]
    env: t.Mapping[str, str]

    @property
    def version_text(self) -> str:
        return ".".join(str(part) for part in self.version)


def find(
    wanted: str,
    engine: Engine | None,
    env: t.Mapping[str, str],
    world: World,
    *,
    executable: str | None = None,
    known: t.Mapping[str, t.Any] | None = None,
) -> Provider:
    """Return the compose tool for ``engine``.

    ``auto`` takes docker compose where the engine has a socket (it does everything right on Podman's too), else
    podman-compose.

    Args:
        wanted: one of :data:`PROVIDERS`.
        engine: the engine it shall drive; None when there is none and only a model is wanted.
        env: the cleaned environment.
        world: starts processes.
        executable: path of the tool, instead of looking for it.
        known: versions found earlier, see :func:`fingerprint`; they save a call.

    Raises:
        NoTool: there is none, or it does not fit the engine. Names everything that was tried.
    """
    if wanted not in PROVIDERS:
        raise ComposeError(f"provider must be one of {', '.join(PROVIDERS)}, not {wanted!r}")
    kinds = [DOCKER_COMPOSE, PODMAN_COMPOSE] if wanted == "auto" else [wanted]
    tried: list[str] = []
    for kind in kinds:
        unfit = _unfit(kind, engine)
        if unfit:
            tried.append(f"{kind}: {unfit}")
            continue
        full_env = _env_for(kind, engine, env)
        for argv in [(executable,)] if executable else _candidates(kind, env):
            mark = fingerprint(argv)
            if mark and mark in (known or {}):
                version, why = tuple(int(part) for part in str((known or {})[mark]).split(".")), ""
            else:
                version, why = _version(argv, full_env, world)
            if why:
                tried.append(f"{' '.join(argv)}: {why}")
            elif kind == DOCKER_COMPOSE and version < (2,):
                tried.append(f"{' '.join(argv)}: version {version[0]} is too old, compose v2 is needed")
            elif kind == PODMAN_COMPOSE and version < OLDEST_PODMAN_COMPOSE:
                tried.append(f"{' '.join(argv)}: too old, podman-compose 1.3 is the oldest that is supported")
            else:
                return Provider(kind, tuple(argv), version, full_env)
    on = f" for {engine.name}" if engine is not None else ""
    raise NoTool(
        f"no compose tool{on} on this host. Tried: {'; '.join(tried)}. "
        "The role onebox.stack.container_engine installs one; or name it with provider and provider_path."
    )


def likely(
    wanted: str, engine: Engine | None, env: t.Mapping[str, str], executable: str | None = None
) -> Provider | None:
    """The docker compose that :func:`find` would try first, before its version is known; None for other tools."""
    if wanted == PODMAN_COMPOSE or _unfit(DOCKER_COMPOSE, engine):
        return None
    argv = (executable,) if executable else _candidates(DOCKER_COMPOSE, env)[0]
    return Provider(DOCKER_COMPOSE, tuple(argv), (), _env_for(DOCKER_COMPOSE, engine, env))


def _env_for(kind: str, engine: Engine | None, env: t.Mapping[str, str]) -> dict[str, str]:
    full_env = dict(env)
    if kind == DOCKER_COMPOSE and engine is not None:
        full_env["DOCKER_HOST"] = f"unix://{engine.socket}"
        if engine.name == "podman":
            # It has no BuildKit: buildx would fetch one from a registry and run it as a container beside the stack.
            full_env["DOCKER_BUILDKIT"] = "0"
    return full_env


def fingerprint(argv: t.Sequence[str]) -> str:
    """What changes with every other version of a tool that is one binary: its path, size, time and inode.

    "" for one that is not: podman-compose is a script whose library may change beneath it.
    """
    if len(argv) != 1 or not argv[0].endswith("docker-compose"):
        return ""
    try:
        info = os.stat(argv[0])
    except OSError:
        return ""
    return f"{argv[0]}:{info.st_size}:{info.st_mtime_ns}:{info.st_ino}"


def _unfit(kind: str, engine: Engine | None) -> str:
    if engine is None:
        return ""
    if kind == DOCKER_COMPOSE and not engine.socket:
        return "podman has no socket here (start podman.socket, or use podman-compose)"
    if kind == PODMAN_COMPOSE and engine.name != "podman":
        return f"it drives podman only, and the engine is {engine.name}"
    return ""


def _candidates(kind: str, env: t.Mapping[str, str]) -> list[tuple[str, ...]]:
    path = env.get("PATH")
    if kind == PODMAN_COMPOSE:
        own = os.path.join(env.get("HOME", "/"), PRIVATE_PODMAN_COMPOSE_OF_USER)
        found = [shutil.which("podman-compose", path=path), PRIVATE_PODMAN_COMPOSE, own]
        return [(place,) for place in found if place and os.path.exists(place)] or [("podman-compose",)]
    candidates: list[tuple[str, ...]] = []
    # The plugin called directly saves the docker command line's own start, and works where that is not installed.
    home = env.get("DOCKER_CONFIG") or os.path.join(env.get("HOME", "/"), ".docker")
    for folder in (
        os.path.join(home, "cli-plugins"),
        "/usr/local/lib/docker/cli-plugins",
        "/usr/local/libexec/docker/cli-plugins",
        "/usr/lib/docker/cli-plugins",
        "/usr/libexec/docker/cli-plugins",
        "/opt/homebrew/lib/docker/cli-plugins",
    ):
        place = os.path.join(folder, "docker-compose")
        if os.access(place, os.X_OK):
            candidates.append((place,))
    alone = shutil.which("docker-compose", path=path)
    if alone:
        candidates.append((alone,))
    if not candidates and shutil.which("docker", path=path):
        candidates.append(("docker", "compose"))
    return candidates or [("docker-compose",)]


def _version(argv: t.Sequence[str], env: t.Mapping[str, str], world: World) -> tuple[tuple[int, ...], str]:
    words = [*argv, "version", "--short"]
    try:
        result = world.run(words, timeout=_VERSION_TIMEOUT, env=env)
    except process.CommandError as error:
        return (), str(error)
    found = re.search(r"(\d+(?:\.\d+)+)", result.stdout)
    if not found:
        return (), f"cannot read its version from {process.last_words(result.stdout)!r}"
    return tuple(int(part) for part in found.group(1).split(".")), ""


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
    # Plain words that YAML 1.1 takes for a number in base 60 or for a boolean.
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
            takes for a boolean or for a number in base 60.
    """

    data: t.Any
    error: str
    odd: tuple[tuple[tuple[str, ...], str, str], ...] = ()


def parse_yaml(
    provider: Provider, texts: t.Mapping[str, str], world: World
) -> tuple[dict[str, Parsed], dotenv.Dialect]:
    """Parse YAML with podman-compose's library in its interpreter. Returns also the way it reads dotenv files.

    This collection's target side is standard library only, and podman-compose cannot exist without PyYAML.

    Raises:
        ComposeError: its interpreter cannot be found or does not work.
    """
    interpreter = interpreter_of(provider.argv[0], provider.env)
    request = json.dumps([{"name": name, "text": text} for name, text in texts.items()])
    try:
        result = world.run([*interpreter, "-c", _CONVERT], timeout=60.0, env=provider.env, stdin=request.encode())
        answer = json.loads(result.stdout)
    except (process.CommandError, ValueError) as error:
        raise ComposeError(f"cannot parse YAML with the interpreter of {provider.argv[0]}: {error}") from error
    parsed = {
        name: Parsed(row["data"], row["error"], tuple((tuple(path), *rest) for path, *rest in row.get("odd") or ()))
        for name, row in zip(texts, answer["rows"])
    }
    return parsed, dotenv.Dialect.podman_compose(answer["python_dotenv"])


# The project's directory, where it runs, is no place to import modules from.
_WITHOUT_VALUES = "import sys; sys.path.pop(0); exec(sys.argv.pop(1))"


def without_values(tool: Provider, folder: str, argv: t.Sequence[str]) -> list[str]:
    """How to run ``argv`` of podman-compose without values on the command lines of Podman.

    Args:
        folder: a private directory that is there while it runs.

    Raises:
        ComposeError: podman-compose's interpreter cannot be found.
    """
    script = shutil.which(argv[0], path=tool.env.get("PATH")) or argv[0]
    program = inspect.getsource(podman_argv)
    return [*interpreter_of(script, tool.env), "-c", _WITHOUT_VALUES, program, folder, script, *argv[1:]]


def interpreter_of(script: str, env: t.Mapping[str, str]) -> tuple[str, ...]:
    """The command in the ``#!`` line of ``script``; pip's long-path form (``/bin/sh`` and ``exec``) included.

    Raises:
        ComposeError: there is none.
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
        raise ComposeError(f"{place} is not a Python script; give podman-compose's own path as provider_path")
    return tuple(words)
