# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resolved model of podman-compose, which leaves short syntax and relative paths open."""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import (
    PROJECT_NAME,
    Refused,
    as_named,
    config,
    placeholders,
    texts_of,
    unset_problems,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import keys, limits
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.interpreter import (
    Parsed,
    parse_yaml,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import env_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation as variables
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import LeftOpen, Model, from_config
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def model_of(tool: Driver, source: Source, world: World) -> Model:
    real = realpath(source.project_dir)
    if realpath(os.path.dirname(source.files[0])) != realpath(source.read_dir):
        message = (
            f"podman-compose uses the directory of the first compose file as the project directory, and that is not "
            f"{source.project_dir}. Move the file, or use docker compose"
        )
        raise BadStack(source.project, [Problem("file_elsewhere", source.named(source.files[0]), message)])
    result = config([*tool.arguments(source), "config"], tool, source, world)
    texts = texts_of(source.files)
    answer = "\0answer"
    parsed, dialect = parse_yaml(tool, {**texts, answer: result.stdout if result.rc == 0 else "{}"}, world)
    own = env_file.variables(source, dialect, tool.env)
    values = {**own, **tool.env, PROJECT_NAME: source.project}
    profiles = [*source.profiles, *variables.profiles_of(values)]
    files = {path: parsed[path] for path in texts}
    every, unset = _unset_in(files, values, profiles, tool, source)
    problems: list[Problem] = []
    untaken: dict[str, str] = {}
    if result.rc != 0:
        if not every:
            raise Refused(result)
        # It stops at the first required variable that is not set. With placeholders, it reports the other problems.
        problems, values = unset_problems(unset, source), {**values, **placeholders(every)}
        filled = tool.with_env(placeholders(every))
        result = config([*tool.arguments(source), "config"], filled, source, world)
        if result.rc != 0:
            raise BadStack(source.project, problems) if problems else Refused(result)
        untaken = placeholders(name for name in every if name not in unset)
        parsed, unset = parse_yaml(tool, {answer: result.stdout}, world)[0], {}
    resolved = parsed[answer].data or {}
    # The parts of include and extends are only visible here.
    left = list(keys.left_out(source.named(source.files[0]), resolved, tool.version))
    left += limits.left_over(resolved, texts.values(), tool.version_text)
    if left:
        raise BadStack(source.project, [*problems, *left])
    model = from_config(
        as_named(resolved, source),
        project=source.project,
        project_dir=real,
        default_image="localhost/" + source.project + "_{service}",
        unset=unset,
        problems=problems,
        left_open=LeftOpen(
            read_env=lambda path: _env_of(source.place(path), source, dialect, tool.env), passed_on=values
        ),
    )
    default = limits.default_network(resolved)
    return dataclasses.replace(model, variables=own, placeholders=untaken, default_network=default)


def _unset_in(
    files: t.Mapping[str, Parsed],
    values: t.Mapping[str, str],
    profiles: t.Sequence[str],
    tool: Driver,
    source: Source,
) -> tuple[dict[str, str], dict[str, str]]:
    """Unset variables: all, and those of selected services.

    Raises:
        BadStack: a file is not a compose file, or has keys that podman-compose does not support.
    """
    unset: dict[str, str] = {}
    every: dict[str, str] = {}
    problems: list[Problem] = []
    for path, file in files.items():
        where, whole = source.named(path), file.data
        if file.error:
            problems.append(Problem("not_yaml", where, f"is not valid YAML: {file.error}"))
        elif not isinstance(whole, dict):
            problems.append(
                Problem("not_compose", where, "is not a compose file, because its top level is not a mapping")
            )
        else:
            here = variables.used(whole, variables.taken(whole.get("services"), profiles))
            every = {**variables.unset(whole, values), **every}
            known = variables.mentioned(here)
            unset = {**{name: text for name, text in every.items() if name in known}, **unset}
            problems += limits.unsupported(where, here, values)
            problems += limits.misread(where, file.odd, here)
            problems += keys.left_out(where, here, tool.version)
    if problems:
        raise BadStack(source.project, problems)
    return every, unset


def _env_of(path: str, source: Source, dialect: dotenv.Dialect, environ: t.Mapping[str, str]) -> dict[str, str]:
    # Another check reports a missing file.
    return env_file.read(path, source, dialect, environ) if os.path.exists(path) else {}
