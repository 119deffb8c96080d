# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup configuration of a stack: JSON that the role writes from YAML.

Unknown keys are errors that name the key: a mistyped ``exclud`` must not back up something else.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.fields import Table
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import specs
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.retention import Policy

ENGINES = ("files", "restic")


@dataclass(frozen=True)
class RepositorySpec:
    """A repository of sets. ``path`` is a directory, or for restic also a URL such as ``s3:https://…``."""

    engine: str
    path: str
    password_file: str = ""
    environment_file: str = ""
    options: tuple[str, ...] = ()
    program: str = "restic"


@dataclass(frozen=True)
class WebhookSpec:
    """The webhook for failures. Its URL is a secret and has a file of its own."""

    url_file: str
    style: str


@dataclass(frozen=True)
class BackupConfig:
    """The whole backup configuration."""

    stack: str
    state_dir: str
    repository: RepositorySpec
    sources: tuple[SourceSpec, ...]
    authentication_file: str
    offsite: RepositorySpec | None = None
    retention: Policy = field(default_factory=Policy)
    container_engine: str = "auto"
    socket: str = ""
    timeout: float = 3600.0
    reserve_mib: int = 512
    metrics_file: str = ""
    webhook: WebhookSpec | None = None
    max_age_hours: int = 30


_TOP = {
    "version",
    "stack",
    "state_dir",
    "repository",
    "sources",
    "offsite",
    "retention",
    "container_engine",
    "socket",
    "timeout",
    "reserve_mib",
    "metrics_file",
    "webhook",
    "max_age_hours",
    "authentication_file",
}


def read(path: str) -> BackupConfig:
    """Read and check the configuration at ``path``. Raises :class:`ConfigError`."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        raise ConfigError(
            f"cannot read the backup configuration {path}: {error.strerror}; the role onebox.stack.backups writes it"
        ) from error
    except ValueError as error:
        raise ConfigError(f"the backup configuration {path} is not JSON: {error}") from error
    return parse(data, path, config_path=path)


def parse(data: t.Any, where: str = "the backup configuration", config_path: str = "") -> BackupConfig:
    """Check a decoded configuration and fill in the defaults. Raises :class:`ConfigError`.

    Args:
        config_path: path of the configuration. The authentication key is next to it, else in the state directory.
    """
    top = Table(data, where)
    top.only(_TOP)
    if top.number("version", 1) != 1:
        raise ConfigError(f"{where}: version must be 1")
    rows = top.rows("sources")
    sources = tuple(specs.parse(Table(row, f"{where}: sources[{number}]")) for number, row in enumerate(rows))
    if not sources:
        raise ConfigError(f"{where}: sources is empty: there is nothing to back up")
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{where}: two sources are called {name!r}")
    webhook = None
    if top.has("webhook"):
        table = top.table("webhook")
        table.only({"url_file", "style"})
        webhook = WebhookSpec(table.path("url_file"), table.choice("style", ("discord", "ntfy"), "discord"))
    repository = _repository(top.table("repository"), ENGINES)
    if top.has("offsite") and repository.engine != "restic":
        raise ConfigError(f"{where}: offsite needs a repository with engine restic: it is copied by restic")
    state_dir = top.path("state_dir")
    key = os.path.join(state_dir, "authentication.key")
    if top.has("authentication_file"):
        key = top.path("authentication_file")
    elif config_path:
        key = f"{os.path.splitext(os.path.abspath(config_path))[0]}.authentication"
    return BackupConfig(
        stack=top.name("stack"),
        state_dir=state_dir,
        repository=repository,
        sources=tuple(_without_key(source, key, where) for source in sources),
        authentication_file=key,
        offsite=_repository(top.table("offsite"), ("restic",)) if top.has("offsite") else None,
        retention=_policy(top.table("retention")) if top.has("retention") else Policy(),
        container_engine=top.choice("container_engine", ("auto", "docker", "podman"), "auto"),
        socket=top.text("socket", ""),
        timeout=float(top.number("timeout", 3600, 1)),
        reserve_mib=top.number("reserve_mib", 512),
        metrics_file=top.path("metrics_file") if top.text("metrics_file", "") else "",
        webhook=webhook,
        max_age_hours=top.number("max_age_hours", 30, 1),
    )


def _without_key(source: SourceSpec, key: str, where: str) -> SourceSpec:
    """The source without the authentication key: it must not be stored with the sets."""
    if key in [os.path.normpath(path) for path in source.files]:
        raise ConfigError(
            f"{where}: sources ({source.name}): files names {key}, which authenticates the sets and must not be in "
            "one. Remove it from files"
        )
    if source.path and key.startswith(source.path.rstrip("/") + "/"):
        below = os.path.relpath(key, source.path)
        return dataclasses.replace(source, exclude=(*source.exclude, glob.escape(below)))
    return source


def _repository(table: Table, engines: t.Sequence[str]) -> RepositorySpec:
    engine = table.choice("engine", engines, engines[0] if len(engines) == 1 else None)
    if engine == "files":
        table.only({"engine", "path"})
        return RepositorySpec("files", table.path("path"))
    table.only({"engine", "path", "password_file", "environment_file", "options", "program"})
    path = table.text("path", None)
    if ":" not in path and not os.path.isabs(path):
        raise ConfigError(f"{table.where}: path must be absolute or a URL restic knows, not {path!r}")
    if re.match(r"rest:https?://[^/]*:[^/]*@", path):
        # A password in the path would be in process lists and logs. The message does not show it either.
        raise ConfigError(
            f"{table.where}: path holds a password; put RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD into "
            "environment_file and leave both out of the URL"
        )
    return RepositorySpec(
        engine="restic",
        path=path,
        password_file=table.path("password_file"),
        environment_file=table.path("environment_file") if table.has("environment_file") else "",
        options=table.words("options"),
        program=table.text("program", "restic"),
    )


def _policy(table: Table) -> Policy:
    table.only({"daily", "weekly", "min_keep", "max_delete"})
    return Policy(
        daily=table.number("daily", 7, 1),
        weekly=table.number("weekly", 4),
        min_keep=table.number("min_keep", 3, 1),
        max_delete=table.number("max_delete", 3),
    )
