# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the compose tool for the resolved model, and find out what it does not say."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers import find as providers
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    keys as podman_compose_keys,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose import (
    limits as podman_compose_limits,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import env_file, short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation as variables
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import (
    NOT_SET,
    LeftOpen,
    Model,
    env_files,
    from_config,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, mask, process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# What compose-go's dotenv parser says, with the rest of the line, or of the file, behind it.
_LINE_OF_ENV = re.compile(r"(?s)(unterminated quoted value|in variable name) .*")
_UNSET = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')
_UPWARDS = re.compile(r"(?m)(?:^|[\s\"'=:\[{,/}-])\.\.(?:/|[\s\"':,\]}]|$)")
_PROJECT_NAME = "COMPOSE_PROJECT_NAME"
# As compose-go marks what its YAML parser says. The name of a file has the word, too.
_NOT_YAML = re.compile(r"(?:^|\s)yaml: ")
_TIMEOUT = 120.0
_AS_JSON = ("config", "--format", "json")


def arguments(tool: providers.Provider, source: Source) -> list[str]:
    """The global arguments every call for this stack gets, so that all of them see the same model."""
    words = [*tool.argv]
    if tool.kind == providers.PODMAN_COMPOSE:
        words.append("--in-pod=false")
    words += ["-p", source.project]
    if tool.kind == providers.DOCKER_COMPOSE:
        words += ["--project-directory", source.read_dir]
    for path in source.files:
        words += ["-f", path]
    # Without this both tools look for a .env by themselves, podman-compose also where it happens to be started.
    words += ["--env-file", source.env_file or os.devnull]
    for profile in source.profiles:
        words += ["--profile", profile]
    return words


class _Refused(ComposeError):
    """The compose tool refuses the stack; ``result`` is what it printed."""

    def __init__(self, result: process.Result) -> None:
        super().__init__()
        self.result = result


def resolve(
    tool: providers.Provider, source: Source, world: World, shown: t.Callable[[str], str] = mask.printed
) -> Model:
    """The model that ``tool`` would deploy from ``source``.

    Args:
        shown: masks what the tool printed.

    Raises:
        BadStack: a file is not YAML, or the tool refuses it; the tool's own words are in the message.
        ComposeError: the tool cannot be run.
    """
    try:
        if tool.kind == providers.DOCKER_COMPOSE:
            return _docker_model(tool, source, world)
        return _podman_model(tool, source, world)
    except _Refused as refusal:
        raise _bad_stack(source, refusal.result, shown) from None


def _docker_model(tool: providers.Provider, source: Source, world: World) -> Model:
    own = env_file.variables(source, dotenv.DOCKER_COMPOSE, tool.env)
    texts = _texts([*source.files, *filter(None, [source.env_file])])
    words = [*arguments(tool, source), *_AS_JSON]
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        # Compose shows absolute paths only. Where relative ones could lead out, what was written must be asked for.
        ask = _could_lead_out(texts.values(), source)
        plain = pool.submit(_config, [*words, "--no-path-resolution"], tool, source, world) if ask else None
        result = _config(words, tool, source, world)
    opened = _Opened()
    if result.rc != 0:
        opened = _all_of_it(words, {**own, **tool.env}, tool, source, world, result)
        tool = dataclasses.replace(tool, env=_filled_in(tool.env, opened.filled))
        words = [*words[: -len(_AS_JSON)], "-f", "-", *_AS_JSON]
        result = _config(words, tool, source, world, opened.override)
        if result.rc != 0:
            raise BadStack(source.project, opened.problems) if opened.problems else _Refused(result)
        plain = None
    data = _as_named(unescape(json.loads(result.stdout)), source)
    relative: t.Container[str] = _Below(source.project_dir)
    if ask:
        answer = (
            plain.result() if plain else _config([*words, "--no-path-resolution"], tool, source, world, opened.override)
        )
        if answer.rc != 0:
            raise _Refused(answer)
        relative = _relative_sources(unescape(json.loads(answer.stdout)), source.project_dir)
    model = from_config(
        data,
        project=source.project,
        project_dir=source.project_dir,
        default_image=source.project + "-{service}",
        unset=_unset_of_taken(_UNSET.findall(result.stderr), data, tool, source, world, texts),
        problems=opened.problems,
        left_open=LeftOpen(relative=relative),
    )
    placeholders = {name: NOT_SET + name for name in opened.placeholders}
    return dataclasses.replace(model, variables=own, placeholders=placeholders)


@dataclasses.dataclass
class _Opened:
    """What lets Compose go on where it stopped, so that it shows the rest.

    Attributes:
        problems: what it stopped at, all of it.
        filled: variables that get a placeholder.
        placeholders: those of them that no service that is taken mentions: a deploy may go on with them.
        override: a compose file that takes out what cannot be read.
    """

    problems: list[Problem] = dataclasses.field(default_factory=list)
    filled: t.Collection[str] = ()
    placeholders: t.Collection[str] = ()
    override: bytes = b""


def _unset_of_taken(
    names: t.Sequence[str],
    data: t.Mapping[str, t.Any],
    tool: providers.Provider,
    source: Source,
    world: World,
    texts: t.Mapping[str, str],
) -> dict[str, str]:
    """The unset variables without those that only extensions and services of other profiles mention."""
    unset = dict.fromkeys(names, "")
    if unset and any("profiles" in text or "x-" in text for text in texts.values()):
        words = [*arguments(tool, source), *_AS_JSON, "--no-interpolate", "--no-path-resolution"]
        plain = _config(words, tool, source, world)
        if plain.rc == 0:
            here = variables.mentioned(variables.used(json.loads(plain.stdout), data.get("services") or {}))
            return {name: text for name, text in unset.items() if name in here}
    return unset


def _all_of_it(
    words: t.Sequence[str],
    values: t.Mapping[str, str],
    tool: providers.Provider,
    source: Source,
    world: World,
    refusal: process.Result,
) -> _Opened:
    """Find all that Compose stops at: it ends at the first required variable that is not set, also of a service whose
    profile is not taken, and at the first env_file that is not there.

    Raises:
        BadStack: it refuses the stack for another reason.
    """
    plain = _config([*words, "--no-interpolate", "--no-path-resolution"], tool, source, world)
    if plain.rc != 0:
        raise _Refused(refusal)
    data = json.loads(plain.stdout)
    values = {**values, _PROJECT_NAME: source.project}
    profiles = source.profiles or _profiles(values)
    here = variables.used(data, variables.taken(data.get("services"), profiles))
    every, unset = variables.unset(data, values), variables.unset(here, values)
    known = variables.mentioned(here)
    # With a placeholder, a default that a service that is taken has for it would no longer count.
    unset.update((name, text) for name, text in every.items() if name in known)
    problems = unset_problems(unset, source)
    bare: dict[str, None] = {}
    for name, service in (here.get("services") or {}).items():
        for path, required in env_files(service.get("env_file"), source.project_dir):
            if required and "$" not in path and not os.path.isfile(source.place(path)):
                problems.append(no_env_file(name, path))
                bare[name] = None
    if not problems and not every:
        raise _Refused(refusal)
    override = "".join(f"  {json.dumps(name)}: {{env_file: !reset []}}\n" for name in bare)
    text = f"services:\n{override}".encode() if bare else b"{}"
    return _Opened(problems, every, [name for name in every if name not in unset], text)


def _profiles(values: t.Mapping[str, str]) -> list[str]:
    return [name.strip() for name in values.get("COMPOSE_PROFILES", "").split(",") if name.strip()]


def _filled_in(env: t.Mapping[str, str], unset: t.Iterable[str]) -> dict[str, str]:
    return {**env, **{name: NOT_SET + name for name in unset}}


def _as_named(value: t.Any, source: Source) -> t.Any:
    """A model read in another directory, with the paths it will have."""
    if not source.staged:
        return value
    if isinstance(value, str):
        return source.named(value)
    if isinstance(value, list):
        return [_as_named(item, source) for item in value]
    if isinstance(value, dict):
        return {key: _as_named(item, source) for key, item in value.items()}
    return value


class _Below:
    """The paths below a directory: what is written relative to it, unless it leads out."""

    def __init__(self, directory: str) -> None:
        self._directory = directory.rstrip(os.sep)

    def __contains__(self, path: object) -> bool:
        return str(path) == self._directory or str(path).startswith(self._directory + os.sep)


def _could_lead_out(texts: t.Iterable[str], source: Source) -> bool:
    """Whether a relative path could be outside of the deploy directory, or an absolute one be in it."""
    inside = any(source.project_dir in text for text in texts)
    return inside or any(_UPWARDS.search(text) for text in texts)


def _relative_sources(data: t.Mapping[str, t.Any], base: str) -> set[str]:
    found = set()
    for service in (data.get("services") or {}).values():
        for row in service.get("volumes") or ():
            bind = short_syntax.volume(row, base)
            if isinstance(bind, short_syntax.Bind) and bind.relative:
                found.add(bind.source)
    return found


def unescape(value: t.Any) -> t.Any:
    """Undo the ``$`` -> ``$$`` that compose applies to every string of its JSON output."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, list):
        return [unescape(item) for item in value]
    if isinstance(value, dict):
        return {key: unescape(item) for key, item in value.items()}
    return value


def _podman_model(tool: providers.Provider, source: Source, world: World) -> Model:
    real = os.path.realpath(source.project_dir)
    if os.path.realpath(os.path.dirname(source.files[0])) != os.path.realpath(source.read_dir):
        message = (
            f"podman-compose takes the directory of the first compose file as the project directory, and that is not "
            f"{source.project_dir}: move the file, or use docker compose"
        )
        raise BadStack(source.project, [Problem("file_elsewhere", source.named(source.files[0]), message)])
    result = _config([*arguments(tool, source), "config"], tool, source, world)
    texts = _texts(source.files)
    answer = "\0answer"
    parsed, dialect = providers.parse_yaml(tool, {**texts, answer: result.stdout if result.rc == 0 else "{}"}, world)
    own = env_file.variables(source, dialect, tool.env)
    values = {**own, **tool.env, _PROJECT_NAME: source.project}
    profiles = [*source.profiles, *_profiles(values)]
    files = {path: parsed[path] for path in texts}
    every, unset = _unset_in(files, values, profiles, tool, source)
    problems: list[Problem] = []
    placeholders: dict[str, str] = {}
    if result.rc != 0:
        if not every:
            raise _Refused(result)
        # It stops at the first variable that is required and not set: what else is wrong shows once they are filled in.
        problems, values = unset_problems(unset, source), _filled_in(values, every)
        filled = dataclasses.replace(tool, env=_filled_in(tool.env, every))
        result = _config([*arguments(tool, source), "config"], filled, source, world)
        if result.rc != 0:
            raise BadStack(source.project, problems) if problems else _Refused(result)
        placeholders = {name: NOT_SET + name for name in every if name not in unset}
        parsed, unset = providers.parse_yaml(tool, {answer: result.stdout}, world)[0], {}
    resolved = parsed[answer].data or {}
    # What include and extends brought shows only here.
    left = list(podman_compose_keys.left_out(source.named(source.files[0]), resolved, tool.version))
    left += podman_compose_limits.left_over(resolved, texts.values(), tool.version_text)
    if left:
        raise BadStack(source.project, [*problems, *left])
    model = from_config(
        _as_named(resolved, source),
        project=source.project,
        project_dir=real,
        default_image="localhost/" + source.project + "_{service}",
        unset=unset,
        problems=problems,
        left_open=LeftOpen(
            read_env=lambda path: _env_of(source.place(path), source, dialect, tool.env), passed_on=values
        ),
    )
    default = podman_compose_limits.default_network(resolved)
    return dataclasses.replace(model, variables=own, placeholders=placeholders, default_network=default)


def _unset_in(
    files: t.Mapping[str, providers.Parsed],
    values: t.Mapping[str, str],
    profiles: t.Sequence[str],
    tool: providers.Provider,
    source: Source,
) -> tuple[dict[str, str], dict[str, str]]:
    """Variables that nobody set: all, and those of services that are taken.

    Raises:
        BadStack: a file is no compose file, or has what podman-compose does not carry out.
    """
    unset: dict[str, str] = {}
    every: dict[str, str] = {}
    problems: list[Problem] = []
    for path, file in files.items():
        where, whole = source.named(path), file.data
        if file.error:
            problems.append(Problem("not_yaml", where, f"not valid YAML: {file.error}"))
        elif not isinstance(whole, dict):
            problems.append(Problem("not_compose", where, "not a compose file: the top level is not a mapping"))
        else:
            here = variables.used(whole, variables.taken(whole.get("services"), profiles))
            every = {**variables.unset(whole, values), **every}
            known = variables.mentioned(here)
            unset = {**{name: text for name, text in every.items() if name in known}, **unset}
            problems += podman_compose_limits.unsupported(where, here, values)
            problems += podman_compose_limits.misread(where, file.odd, here)
            problems += podman_compose_keys.left_out(where, here, tool.version)
    if problems:
        raise BadStack(source.project, problems)
    return every, unset


def _env_of(path: str, source: Source, dialect: dotenv.Dialect, environ: t.Mapping[str, str]) -> dict[str, str]:
    # One that is not there is said with all else that is not.
    return env_file.read(path, source, dialect, environ) if os.path.exists(path) else {}


def no_env_file(service: str, path: str) -> Problem:
    """An ``env_file`` that is declared and not there."""
    return Problem("no_env_file", f"service {service}", f"its env_file {path} does not exist")


def unset_problems(unset: t.Mapping[str, str], source: Source) -> list[Problem]:
    """One problem for each variable nobody set."""
    place = source.named(source.env_file) or os.path.join(source.project_dir, ".env")
    return [
        Problem("unset_variable", name, f"is not set{' (' + text + ')' if text else ''}; set it in {place}")
        for name, text in sorted(unset.items())
    ]


def _config(
    words: t.Sequence[str], tool: providers.Provider, source: Source, world: World, stdin: bytes = b""
) -> process.Result:
    try:
        return world.run(words, timeout=_TIMEOUT, env=tool.env, cwd=source.read_dir, check=False, stdin=stdin or None)
    except process.CommandError as error:
        raise ComposeError(f"cannot ask {tool.kind} for the model of {source.project}: {error}") from error


def _texts(files: t.Sequence[str]) -> dict[str, str]:
    texts = {}
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                texts[path] = stream.read()
        except OSError as error:
            raise ComposeError(f"cannot read the compose file {path}: {error.strerror}") from error
    return texts


def _bad_stack(source: Source, result: process.Result, shown: t.Callable[[str], str]) -> BadStack:
    where = ", ".join(source.named(path) for path in source.files)
    wanted = re.search(r"required variable (\S+) is missing a value(?:: (.*))?", result.stderr)
    if wanted:
        return BadStack(source.project, unset_problems({wanted.group(1): (wanted.group(2) or "").strip()}, source))
    # Masked before it is cut: the rest of a secret of many lines is not recognised.
    said = shown(_LINE_OF_ENV.sub(r"\1 (its text is not shown)", result.stderr or result.stdout))
    said = process.last_words(said, 2) or f"exit code {result.rc}, and no message"
    code = "not_yaml" if _NOT_YAML.search(said) else "refused"
    return BadStack(source.project, [Problem(code, where, f"the compose tool refuses it: {said}")])
