# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the compose tool for the resolved model, and find out what it does not say."""

from __future__ import annotations

import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils import process
from ansible_collections.onebox.stack.plugins.module_utils.compose import provider as providers
from ansible_collections.onebox.stack.plugins.module_utils.compose import shortform, variables
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import Model, from_config

FILE_NAMES = ("compose.yml", "compose.yaml", "docker-compose.yml", "docker-compose.yaml")
_UNSET = re.compile(r'The \\?"([^"\\]+)\\?" variable is not set')
_TIMEOUT = 120.0


@dataclass(frozen=True)
class Source:
    """Where a stack is declared: all paths absolute. ``env_file`` is "" when there is none."""

    project: str
    project_dir: str
    files: tuple[str, ...]
    env_file: str
    profiles: tuple[str, ...]


def locate(
    project: str, project_dir: str, files: t.Sequence[str], env_file: str | None, profiles: t.Sequence[str]
) -> Source:
    """Make paths absolute and check that they are there.

    Raises:
        BadStack: a file is missing; names each.
    """
    problems = []
    if not os.path.isabs(project_dir):
        problems.append(Problem("relative_project_dir", project_dir, "project_dir must be an absolute path"))
    elif not os.path.isdir(project_dir):
        problems.append(Problem("no_project_dir", project_dir, "this directory does not exist; copy the stack there"))
    if problems:
        raise BadStack(project, problems)
    if files:
        chosen = [os.path.join(project_dir, name) for name in files]
    else:
        present = [name for name in FILE_NAMES if os.path.exists(os.path.join(project_dir, name))]
        if not present:
            message = f"no compose file here (looked for {', '.join(FILE_NAMES)}); copy it here, or name it with files"
            raise BadStack(project, [Problem("no_compose_file", project_dir, message)])
        chosen = [os.path.join(project_dir, present[0])]
    for path in chosen:
        if not os.path.isfile(path):
            problems.append(Problem("no_compose_file", path, "this compose file does not exist"))
    env_path = os.path.join(project_dir, env_file or ".env")
    if not os.path.isfile(env_path):
        if env_file:
            problems.append(Problem("no_env_file", env_path, "this environment file does not exist"))
        env_path = ""
    if problems:
        raise BadStack(project, problems)
    return Source(project, project_dir, tuple(chosen), env_path, tuple(profiles))


def arguments(tool: providers.Provider, source: Source) -> list[str]:
    """The global arguments every call for this stack gets, so that all of them see the same model."""
    words = [*tool.argv]
    if tool.kind == providers.PODMAN_COMPOSE:
        words.append("--in-pod=false")
    words += ["-p", source.project]
    if tool.kind == providers.DOCKER_COMPOSE:
        words += ["--project-directory", source.project_dir]
    for path in source.files:
        words += ["-f", path]
    # Without this both tools look for a .env by themselves, podman-compose also where it happens to be started.
    words += ["--env-file", source.env_file or os.devnull]
    for profile in source.profiles:
        words += ["--profile", profile]
    return words


def read_env_file(path: str) -> dict[str, str]:
    """The variables of a dotenv file.

    Raises:
        ComposeError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return variables.parse_dotenv(stream.read())
    except OSError as error:
        raise ComposeError(f"cannot read the environment file {path}: {error.strerror}") from error


def resolve(tool: providers.Provider, source: Source, run: process.Runner = process.run) -> Model:
    """The model that ``tool`` would deploy from ``source``.

    Raises:
        BadStack: a file is not YAML, or the tool refuses it; the tool's own words are in the message.
        ComposeError: the tool cannot be run.
    """
    if tool.kind == providers.DOCKER_COMPOSE:
        return _docker_model(tool, source, run)
    return _podman_model(tool, source, run)


def _docker_model(tool: providers.Provider, source: Source, run: process.Runner) -> Model:
    words = arguments(tool, source) + ["config", "--format", "json"]
    result = _config(words, tool, source, run)
    if result.rc != 0:
        raise _refused(source, result)
    data = unescape(json.loads(result.stdout))
    unset = dict.fromkeys(_UNSET.findall(result.stderr), "")
    # Compose shows absolute paths only; whether the file had a relative one must be asked for, where it could have.
    relative: set[str] = set()
    if any(_could_be_relative(text) for text in _texts(source.files).values()):
        plain = run(
            [*words, "--no-path-resolution"], timeout=_TIMEOUT, env=tool.env, cwd=source.project_dir, check=False
        )
        if plain.rc != 0:
            raise _refused(source, plain)
        relative = _relative_sources(unescape(json.loads(plain.stdout)), source.project_dir)
    return from_config(
        data,
        project=source.project,
        project_dir=source.project_dir,
        default_image=source.project + "-{service}",
        unset=unset,
        relative=relative,
    )


def _could_be_relative(text: str) -> bool:
    return re.search(r"""(?m)(?:^|[\s"'=-])(\.{1,2}/|\.{1,2}:|source:\s*["']?[^/\s"'$~{])""", text) is not None


def _relative_sources(data: t.Mapping[str, t.Any], base: str) -> set[str]:
    found = set()
    for service in (data.get("services") or {}).values():
        for row in service.get("volumes") or ():
            bind = shortform.volume(row, base)
            if isinstance(bind, shortform.Bind) and bind.relative:
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


def _podman_model(tool: providers.Provider, source: Source, run: process.Runner) -> Model:
    real = os.path.realpath(source.project_dir)
    if os.path.realpath(os.path.dirname(source.files[0])) != real:
        message = (
            f"podman-compose takes the directory of the first compose file as the project directory, and that is not "
            f"{source.project_dir}: move the file, or use docker compose"
        )
        raise BadStack(source.project, [Problem("file_elsewhere", source.files[0], message)])
    values = dict(tool.env)
    if source.env_file:
        values = {**variables.expand(read_env_file(source.env_file), tool.env), **tool.env}
    result = _config([*arguments(tool, source), "config"], tool, source, run)
    texts = _texts(source.files)
    answer = "\0answer"
    parsed = providers.parse_yaml(tool, {**texts, answer: result.stdout if result.rc == 0 else "{}"}, run)
    unset: dict[str, str] = {}
    problems = []
    for path in texts:
        if parsed[path].error:
            problems.append(Problem("not_yaml", path, f"not valid YAML: {parsed[path].error}"))
        elif not isinstance(parsed[path].data, dict):
            problems.append(Problem("not_compose", path, "not a compose file: the top level is not a mapping"))
        else:
            for name, text in variables.unset(parsed[path].data, values).items():
                unset.setdefault(name, text)
            problems += _unsupported(path, parsed[path].data)
    if problems:
        raise BadStack(source.project, problems)
    if result.rc != 0:
        if unset:
            raise BadStack(source.project, unset_problems(unset, source))
        raise _refused(source, result)
    return from_config(
        _as_podman_compose_spells(parsed[answer].data or {}),
        project=source.project,
        project_dir=real,
        default_image="localhost/" + source.project + "_{service}",
        unset=unset,
        read_env=lambda path: variables.expand(read_env_file(path), tool.env),
        passed_on=values,
    )


def _as_podman_compose_spells(data: dict[str, t.Any]) -> dict[str, t.Any]:
    """YAML's ``true`` in an environment reaches the container as Python's ``True`` there."""
    for service in (data.get("services") or {}).values():
        environment = service.get("environment") if isinstance(service, dict) else None
        if isinstance(environment, dict):
            service["environment"] = {key: str(v) if isinstance(v, bool) else v for key, v in environment.items()}
    return data


def unset_problems(unset: t.Mapping[str, str], source: Source) -> list[Problem]:
    """One problem for each variable nobody set."""
    place = source.env_file or os.path.join(source.project_dir, ".env")
    return [
        Problem("unset_variable", name, f"is not set{' (' + text + ')' if text else ''}; set it in {place}")
        for name, text in sorted(unset.items())
    ]


def _unsupported(path: str, data: t.Mapping[str, t.Any]) -> t.Iterator[Problem]:
    """What podman-compose leaves out, or resolves only after the point where it can show its model."""
    services = data.get("services")
    secrets = data.get("secrets") if isinstance(data.get("secrets"), dict) else {}
    from_environment = {
        name for name, body in (secrets or {}).items() if isinstance(body, dict) and "environment" in body
    }
    for name, body in services.items() if isinstance(services, dict) else ():
        if not isinstance(body, dict):
            continue
        found = []
        if "extends" in body:
            found.append("extends cannot be planned with podman-compose: merge the service by hand")
        if body.get("configs"):
            found.append("podman-compose leaves configs out: mount the file read-only")
        used = {row if isinstance(row, str) else str((row or {}).get("source")) for row in body.get("secrets") or ()}
        if used & from_environment:
            found.append("podman-compose cannot take secrets from the environment: use a file")
        for text in found:
            message = f"{text}, or use docker compose on podman's socket"
            yield Problem("unsupported", f"{path}: service {name}", message)


def _config(words: t.Sequence[str], tool: providers.Provider, source: Source, run: process.Runner) -> process.Result:
    try:
        return run(words, timeout=_TIMEOUT, env=tool.env, cwd=source.project_dir, check=False)
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


def _refused(source: Source, result: process.Result) -> BadStack:
    where = ", ".join(source.files)
    wanted = re.search(r"required variable (\S+) is missing a value(?:: (.*))?", result.stderr)
    if wanted:
        return BadStack(source.project, unset_problems({wanted.group(1): (wanted.group(2) or "").strip()}, source))
    said = process.last_words(result.stderr or result.stdout, 2) or f"exit code {result.rc}, and no message"
    code = "not_yaml" if "yaml" in said.lower() else "refused"
    return BadStack(source.project, [Problem(code, where, f"the compose tool refuses it: {said}")])
