# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolved model of ``docker compose``, completed with facts that its output leaves out."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import (
    PROJECT_NAME,
    Refused,
    as_named,
    config,
    no_env_file,
    placeholders,
    texts_of,
    unescape,
    unset_problems,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import env_file, short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation as variables
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import (
    LeftOpen,
    Model,
    env_files,
    from_config,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_UNSET = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')
_UPWARDS = re.compile(r"(?m)(?:^|[\s\"'=:\[{,/}-])\.\.(?:/|[\s\"':,\]}]|$)")
_AS_JSON = ("config", "--format", "json")


def model_of(tool: Driver, source: Source, world: World) -> Model:
    own = env_file.variables(source, dotenv.DOCKER_COMPOSE, tool.env)
    texts = texts_of([*source.files, *filter(None, [source.env_file])])
    words = [*tool.arguments(source), *_AS_JSON]
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        # Compose prints only absolute paths. Where relative paths could lead out, a second call prints them unresolved.
        also_plain = _could_lead_out(texts.values(), source)
        plain = pool.submit(config, [*words, "--no-path-resolution"], tool, source, world) if also_plain else None
        result = config(words, tool, source, world)
    opened = _Opened()
    if result.rc != 0:
        opened = _all_of_it(words, {**own, **tool.env}, tool, source, world, result)
        tool = tool.with_env(placeholders(opened.filled))
        words = [*words[: -len(_AS_JSON)], "-f", "-", *_AS_JSON]
        result = config(words, tool, source, world, opened.override)
        if result.rc != 0:
            raise BadStack(source.project, opened.problems) if opened.problems else Refused(result)
        plain = None
    data = as_named(unescape(json.loads(result.stdout)), source)
    relative: t.Container[str] = Below(source.project_dir)
    if also_plain:
        answer = (
            plain.result() if plain else config([*words, "--no-path-resolution"], tool, source, world, opened.override)
        )
        if answer.rc != 0:
            raise Refused(answer)
        unresolved = unescape(json.loads(answer.stdout))
        sources = _relative_sources(unresolved, source)
        _put_back(data, sources, _relative_contexts(unresolved, source))
        relative = set(sources.values())
    model = from_config(
        data,
        project=source.project,
        project_dir=source.project_dir,
        default_image=source.project + "-{service}",
        unset=_unset_of_taken(_UNSET.findall(result.stderr), data, tool, source, world, texts),
        problems=opened.problems,
        left_open=LeftOpen(relative=relative),
    )
    return dataclasses.replace(model, variables=own, placeholders=placeholders(opened.placeholders))


@dataclasses.dataclass
class _Opened:
    """Replacements with which Compose continues after a problem, so that it prints the rest.

    Attributes:
        problems: all problems at which it stops.
        filled: variables that get a placeholder.
        placeholders: those of them that no selected service uses, so that a deploy may continue with them.
        override: a compose file that removes the parts that cannot be read.
    """

    problems: list[Problem] = dataclasses.field(default_factory=list)
    filled: t.Collection[str] = ()
    placeholders: t.Collection[str] = ()
    override: bytes = b""


def _unset_of_taken(
    names: t.Sequence[str],
    data: t.Mapping[str, t.Any],
    tool: Driver,
    source: Source,
    world: World,
    texts: t.Mapping[str, str],
) -> dict[str, str]:
    """The unset variables, without those that only extensions and services of other profiles use."""
    unset = dict.fromkeys(names, "")
    if unset and any("profiles" in text or "x-" in text for text in texts.values()):
        words = [*tool.arguments(source), *_AS_JSON, "--no-interpolate", "--no-path-resolution"]
        plain = config(words, tool, source, world)
        if plain.rc == 0:
            here = variables.mentioned(variables.used(json.loads(plain.stdout), data.get("services") or {}))
            return {name: text for name, text in unset.items() if name in here}
    return unset


def _all_of_it(
    words: t.Sequence[str],
    values: t.Mapping[str, str],
    tool: Driver,
    source: Source,
    world: World,
    refusal: process.Result,
) -> _Opened:
    """Find all problems at which Compose stops: it fails at the first required variable that is not set, even in a
    service of another profile, and at the first missing env_file.

    Raises:
        Refused: it refuses the stack for another reason.
    """
    plain = config([*words, "--no-interpolate", "--no-path-resolution"], tool, source, world)
    if plain.rc != 0:
        raise Refused(refusal)
    data = json.loads(plain.stdout)
    values = {**values, PROJECT_NAME: source.project}
    profiles = source.profiles or variables.profiles_of(values) or variables.NO_PROFILE
    here = variables.used(data, variables.taken(data.get("services"), profiles))
    every, unset = variables.unset(data, values), variables.unset(here, values)
    known = variables.mentioned(here)
    # With a placeholder, the default in a selected service would no longer apply.
    unset.update((name, text) for name, text in every.items() if name in known)
    problems = unset_problems(unset, source)
    bare: dict[str, None] = {}
    for name, service in (here.get("services") or {}).items():
        for path, required in env_files(service.get("env_file"), source.project_dir):
            if required and "$" not in path and not os.path.isfile(source.place(path)):
                problems.append(no_env_file(name, path))
                bare[name] = None
    if not problems and not every:
        raise Refused(refusal)
    override = "".join(f"  {json.dumps(name)}: {{env_file: !reset []}}\n" for name in bare)
    text = f"services:\n{override}".encode() if bare else b"{}"
    return _Opened(problems, every, [name for name in every if name not in unset], text)


class Below:
    """The paths below a directory: relative sources that do not lead out of it."""

    def __init__(self, directory: str) -> None:
        self._directory = directory.rstrip(os.sep)

    def __contains__(self, path: object) -> bool:
        return str(path) == self._directory or str(path).startswith(self._directory + os.sep)


def _could_lead_out(texts: t.Iterable[str], source: Source) -> bool:
    """Whether a relative path could be outside of the deploy directory, or an absolute path in it."""
    inside = any(source.project_dir in text for text in texts)
    return inside or any(_UPWARDS.search(text) for text in texts)


def _relative_sources(data: t.Mapping[str, t.Any], source: Source) -> dict[str, str]:
    """Relative sources of an unresolved model: the path where Compose reads it -> the path after the deploy."""
    found = {}
    for service in (data.get("services") or {}).values():
        for row in service.get("volumes") or ():
            read, named = (short_syntax.volume(row, base) for base in (source.read_dir, source.project_dir))
            if isinstance(read, short_syntax.Bind) and isinstance(named, short_syntax.Bind) and named.relative:
                found[read.source] = named.source
    return found


def _relative_contexts(data: t.Mapping[str, t.Any], source: Source) -> dict[str, str]:
    """Relative build contexts of an unresolved model, as :func:`_relative_sources`."""
    found = {}
    for service in (data.get("services") or {}).values():
        written = str((service.get("build") or {}).get("context") or "/")
        if "://" not in written and not written.startswith("/"):
            read, named = (short_syntax.absolute(written, base) for base in (source.read_dir, source.project_dir))
            found[read] = named
    return found


def _put_back(data: t.Mapping[str, t.Any], sources: t.Mapping[str, str], contexts: t.Mapping[str, str]) -> None:
    """Replace sources outside of the staged files, such as ``../data``, by their paths after the deploy."""
    for service in (data.get("services") or {}).values():
        build = service.get("build") or {}
        if build.get("context") in contexts:
            build["context"] = contexts[build["context"]]
        for row in service.get("volumes") or ():
            if isinstance(row, dict) and row.get("type") == "bind" and row.get("source") in sources:
                row["source"] = sources[row["source"]]
