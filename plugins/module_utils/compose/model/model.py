# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack as it would be deployed: one model for the output of both compose tools.

``docker compose config --format json`` resolves everything. ``podman-compose config`` keeps short syntax and relative
paths. :func:`from_config` removes the difference. ``Service.raw`` keeps the tool's own keys in their order, because
Docker Compose's hash is calculated from them.
"""

from __future__ import annotations

import os
import shlex
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import Bind, PortRow
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem


@dataclass(frozen=True)
class Dependency:
    """``depends_on``: ``condition`` is service_started, service_healthy or service_completed_successfully."""

    service: str
    condition: str
    restart: bool


@dataclass(frozen=True)
class FileRef:
    """A secret or config a service uses. ``kind`` is file, environment, content or external."""

    collection: str
    name: str
    kind: str
    value: str
    target: str


@dataclass(frozen=True)
class Service:
    """One service, paths absolute, ``environment`` with its env files merged in; None is an unset variable.

    ``stop_seconds`` is its stop timeout.
    """

    name: str
    image: str
    build: t.Mapping[str, t.Any] | None
    environment: t.Mapping[str, str | None]
    env_files: tuple[tuple[str, bool], ...]
    binds: tuple[Bind, ...]
    named_volumes: tuple[tuple[str, str], ...]
    ports: tuple[PortRow, ...]
    depends_on: tuple[Dependency, ...]
    namespaces: tuple[str, ...]
    restart: str
    has_healthcheck: bool
    command: tuple[str, ...] | None
    entrypoint: tuple[str, ...] | None
    labels: t.Mapping[str, str]
    user: str
    container_name: str
    platform: str
    scale: int
    stop_seconds: int
    files: tuple[FileRef, ...]
    watch: tuple[t.Mapping[str, t.Any], ...]
    raw: t.Mapping[str, t.Any] = field(repr=False, compare=False)

    @property
    def one_shot(self) -> bool:
        """It may end by itself with exit code 0: no restart policy starts it again after that."""
        return self.restart in ("", "no", "none") or self.retried

    @property
    def retried(self) -> bool:
        """The engine starts it again while it fails."""
        return self.restart.partition(":")[0] == "on-failure"


# Replaces a required variable that is not set, so that the rest of the model can be checked.
NOT_SET = "/variable-that-is-not-set/"


@dataclass(frozen=True)
class Model:
    """A resolved stack.

    Attributes:
        problems: parts that were left out or replaced to resolve it. With any, it only serves to find more problems.
        variables: the stack's environment file as the compose tool reads it.
        placeholders: required variables of services in other profiles, without which the tool fails.
        default_network: the network of a service that names none; "" when it is not in the compose file.
    """

    project: str
    project_dir: str
    services: t.Mapping[str, Service]
    unset: t.Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    raw: t.Mapping[str, t.Any] = field(repr=False, compare=False, default_factory=dict)
    variables: t.Mapping[str, str] = field(repr=False, compare=False, default_factory=dict)
    placeholders: t.Mapping[str, str] = field(default_factory=dict)
    default_network: str = "default"


EnvReader = t.Callable[[str], t.Mapping[str, str]]


@dataclass(frozen=True)
class LeftOpen:
    """The parts of a model that the ``config`` of only one compose tool leaves open or hides.

    Attributes:
        read_env: reads a dotenv file, for a tool that leaves ``env_file`` unmerged; None when it is merged already.
        passed_on: values for variables without a value, for a tool that leaves these open.
        relative: absolute sources that are relative in the file, for a tool that hides it.
    """

    read_env: EnvReader | None = None
    passed_on: t.Mapping[str, str] = field(default_factory=dict)
    relative: t.Container[str] = ()


def from_config(
    data: t.Mapping[str, t.Any],
    *,
    project: str,
    project_dir: str,
    default_image: str,
    unset: t.Mapping[str, str],
    problems: t.Sequence[Problem] = (),
    left_open: LeftOpen = LeftOpen(),
) -> Model:
    """Convert the ``config`` of a compose tool to a :class:`Model`.

    Args:
        default_image: name of the image of a service that only has ``build``, with ``{service}`` in it.
        unset: see :class:`Model`.
        problems: see :class:`Model`.
        left_open: the parts to fill in.

    Raises:
        ComposeError: it is not a compose model.
    """
    services = data.get("services") or {}
    if not isinstance(services, dict) or not services:
        raise ComposeError(f"stack {project}: its compose file has no services for these profiles. Correct profiles")
    made = {}
    for name, raw in services.items():
        if not isinstance(raw, dict):
            raise ComposeError(f"stack {project}, service {name}: is not a mapping. Correct the compose file")
        try:
            made[name] = _service(name, raw, data, project_dir, default_image, left_open)
        except (TypeError, ValueError, AttributeError) as error:
            if problems:
                raise BadStack(project, problems) from error
            raise ComposeError(
                f"stack {project}, service {name}: is invalid ({error}). Correct the compose file"
            ) from error
    try:
        _check_outside(data)
    except TypeError as error:
        raise ComposeError(f"stack {project}: its compose file is invalid ({error}). Correct it") from error
    return Model(project, project_dir, made, unset, tuple(problems), data)


def _check_outside(data: t.Mapping[str, t.Any]) -> None:
    """Raise :class:`TypeError` unless networks and volumes are mappings, which podman-compose does not check."""
    for name, service in data["services"].items():
        _shaped(service.get("networks"), (dict, list), f"services.{name}.networks")
        _shaped(service.get("devices"), (list,), f"services.{name}.devices")
    for collection in ("networks", "volumes"):
        _shaped(data.get(collection), (dict,), collection)
        for name, body in (data.get(collection) or {}).items():
            where = f"{collection}.{name}"
            _shaped(body, (dict,), where)
            for key, kinds in (("driver_opts", (dict,)), ("labels", (dict, list)), ("ipam", (dict,))):
                _shaped((body or {}).get(key), kinds, f"{where}.{key}")
            rows = ((body or {}).get("ipam") or {}).get("config")
            _shaped(rows, (list,), f"{where}.ipam.config")
            for row in rows or ():
                _shaped("" if row is None else row, (dict,), f"{where}.ipam.config")


def _shaped(value: t.Any, kinds: tuple[type, ...], where: str) -> None:
    if value is not None and not isinstance(value, kinds):
        raise TypeError(f"{where} is {type(value).__name__}, not {' or '.join(kind.__name__ for kind in kinds)}")


def _service(
    name: str,
    raw: t.Mapping[str, t.Any],
    data: t.Mapping[str, t.Any],
    base: str,
    default_image: str,
    left_open: LeftOpen,
) -> Service:
    read_from = env_files(raw.get("env_file"), base)
    environment: dict[str, str | None] = {}
    if left_open.read_env is not None:
        for path, required in read_from:
            if required or os.path.exists(path):
                environment.update(left_open.read_env(path))
    for key, content in pairs(raw.get("environment")).items():
        environment[key] = left_open.passed_on.get(key) if content is None else content
    volumes = [short_syntax.volume(row, base, left_open.relative) for row in raw.get("volumes") or ()]
    healthcheck = raw.get("healthcheck") or {}
    test = healthcheck.get("test")
    deploy = raw.get("deploy") or {}
    scale = raw.get("scale", (deploy or {}).get("replicas"))
    ports: list[PortRow] = []
    for row in raw.get("ports") or ():
        ports += short_syntax.port(row)
    return Service(
        name=name,
        image=str(raw.get("image") or default_image.format(service=name)),
        build=_build(raw.get("build"), base),
        environment=environment,
        env_files=tuple(read_from),
        binds=tuple(row for row in volumes if isinstance(row, Bind)),
        named_volumes=tuple(row for row in volumes if isinstance(row, tuple)),
        ports=tuple(ports),
        depends_on=_depends_on(raw.get("depends_on"), raw.get("links")),
        namespaces=_namespaces(raw),
        restart=str(raw.get("restart") or (deploy.get("restart_policy") or {}).get("condition") or ""),
        has_healthcheck=bool(healthcheck) and not healthcheck.get("disable") and test not in ("NONE", ["NONE"]),
        command=_words(raw.get("command")),
        entrypoint=_words(raw.get("entrypoint")),
        labels={key: value or "" for key, value in pairs(raw.get("labels")).items()},
        user=str(raw.get("user") or ""),
        container_name=str(raw.get("container_name") or ""),
        platform=str(raw.get("platform") or ""),
        scale=1 if scale is None else int(scale),
        stop_seconds=short_syntax.seconds(raw.get("stop_grace_period"), 10),
        files=tuple(_files(raw, data, base)),
        watch=tuple((raw.get("develop") or {}).get("watch") or ()),
        raw=raw,
    )


def pairs(value: t.Any) -> dict[str, str | None]:
    """A mapping from a mapping or a list of ``NAME=value``, as compose files allow both."""
    if isinstance(value, dict):
        return {str(key): None if content is None else scalar(content) for key, content in value.items()}
    found: dict[str, str | None] = {}
    for row in value or ():
        key, equals, content = str(row).partition("=")
        found[key] = content if equals else None
    return found


def scalar(value: t.Any) -> str:
    """A YAML scalar as a compose tool passes it to a container."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _words(value: t.Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return tuple(shlex.split(value))
    return tuple(scalar(word) for word in value)


def env_files(value: t.Any, base: str) -> list[tuple[str, bool]]:
    """Path of each file of an ``env_file``, and whether it is required."""
    rows = [value] if isinstance(value, (str, dict)) else value or []
    found = []
    for row in rows:
        path = row.get("path", "") if isinstance(row, dict) else str(row)
        required = bool(row.get("required", True)) if isinstance(row, dict) else True
        found.append((short_syntax.absolute(path, base), required))
    return found


def _build(value: t.Any, base: str) -> dict[str, t.Any] | None:
    if not value:
        return None
    build = {"context": value} if isinstance(value, str) else dict(value)
    context = str(build.get("context") or ".")
    build["context"] = context if "://" in context else short_syntax.absolute(context, base)
    if build.get("additional_contexts"):
        build["additional_contexts"] = {
            name: place if place is None or ":" in place else short_syntax.absolute(place, base)
            for name, place in pairs(build["additional_contexts"]).items()
        }
    return build


def _depends_on(value: t.Any, links: t.Any) -> tuple[Dependency, ...]:
    # docker compose prints a link as a dependency as well, podman-compose does not.
    found = {
        str(row).partition(":")[0]: Dependency(str(row).partition(":")[0], "service_started", True)
        for row in links or ()
    }
    if isinstance(value, dict):
        for name, row in value.items():
            condition = (row or {}).get("condition") or "service_started"
            found[name] = Dependency(name, condition, bool((row or {}).get("restart")))
    else:
        found.update((str(name), Dependency(str(name), "service_started", False)) for name in value or ())
    return tuple(found.values())


def _namespaces(raw: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """Services in whose namespaces this one runs: after they are recreated, it must be recreated."""
    found = []
    for key in ("network_mode", "ipc", "pid"):
        value = str(raw.get(key) or "")
        if value.startswith("service:"):
            found.append(value[len("service:") :])
    for row in raw.get("volumes_from") or ():
        if not str(row).startswith("container:"):
            found.append(str(row).partition(":")[0])
    return tuple(dict.fromkeys(found))


def _files(raw: t.Mapping[str, t.Any], data: t.Mapping[str, t.Any], base: str) -> t.Iterator[FileRef]:
    for collection in ("secrets", "configs"):
        declared = data.get(collection) or {}
        for row in raw.get(collection) or ():
            source = row if isinstance(row, str) else str(row.get("source") or "")
            target = "" if isinstance(row, str) else str(row.get("target") or "")
            body = declared.get(source) or {}
            if body.get("file"):
                yield FileRef(collection, source, "file", short_syntax.absolute(str(body["file"]), base), target)
            elif body.get("environment"):
                yield FileRef(collection, source, "environment", str(body["environment"]), target)
            elif "content" in body:
                yield FileRef(collection, source, "content", str(body["content"]), target)
            else:
                yield FileRef(collection, source, "external", str(body.get("name") or source), target)
