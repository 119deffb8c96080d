# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mask secret values in the results and errors of a run, which collects these values while it reads them.

Secret values are those of the environment file, of ``env`` and ``secrets``, of the services' environments and build
arguments, and of the running containers. Public are bound paths, ports, image references, and names of services,
containers, networks, volumes and hosts.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import traceback
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, pairs
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, http, mask
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

Result = dict[str, t.Any]
Method = t.TypeVar("Method", bound=t.Callable[..., Result])
Images = t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]]

# Keys of a result with our own texts, names and ids.
_SHOWN = frozenset(
    (
        *("project", "name", "version", "engine", "engine_version", "socket", "service", "container", "state"),
        *("health", "action", "reasons", "downtime", "cascade_from", "verdict", "proof", "fix", "access", "code"),
        *("orphans", "sources", "foreign_files", "path", "source", "destination", "tag", "id", "at", "user"),
        *("revision", "unit", "staging_removed", "history_file", "type", "kind"),
    )
)
# Numbers that messages contain, such as the owner a directory needs.
_NUMBER_IN_USE = re.compile(r"(?:.*_)?(?:P?[UG]ID|USER_ID|GROUP_ID|PORT)")
_CHANGED = f"{mask.MASK} (changed)"


class Secrecy:
    """Masks the output of a run on one stack.

    Args:
        request: the wanted state. Its ``show_env`` names the variables whose values may be shown.
    """

    def __init__(self, request: Request) -> None:
        self._shown_names = frozenset(request.show_env)
        self._state_folder = request.state_folder
        self._values: set[str] = set()
        self._public: set[str] = {request.name}
        self._secrets: mask.Secrets | None = None
        for name, value in (request.env or {}).items():
            with contextlib.suppress(OneboxError):
                self._variable(name, dotenv.text_of(name, value))
            self._values.update(_leaves(value) if name not in self._shown_names else ())
        self._values.update(str(secret.get("value") or "") for secret in request.secrets)
        for check in (*request.http_checks, *request.prometheus_checks):
            url = str(check.get("url") or "")
            self._values.update(mask.credentials(url))
            self._public.add(http.shown(url))
        self._paths(request.project_dir, request.state_dir, request.staged_dir)
        self._file(os.path.join(request.project_dir, request.env_file or ".env"))

    def learn_source(self, source: Source) -> None:
        """Learn the environment file, those that the compose files name, and the paths of these files."""
        files = (*source.files, source.env_file)
        self._paths(*files, *map(source.named, files), *map(os.path.basename, files))
        self._file(source.env_file)
        for path in source.files:
            with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as stream:
                for name in set(re.findall(r"[\w./+@-]*env[\w./+@-]*", stream.read(), re.IGNORECASE)):
                    self._file(source.place(os.path.normpath(os.path.join(source.project_dir, name))))

    def learn_model(self, model: Model) -> None:
        """Learn the secret and the public values of a model."""
        for name, value in model.variables.items():
            self._variable(name, value)
        for service in model.services.values():
            for name, content in service.environment.items():
                if content is not None and not content.startswith(NOT_SET):
                    self._variable(name, content)
            for name, content in pairs((service.build or {}).get("args")).items():
                self._variable(name, content or "")
            self._public |= {service.name, service.image, service.container_name, service.user}
            self._public |= {f"{model.project}-{service.name}", f"{model.project}_{service.name}"}
            self._public |= {str(number) for port in service.ports for number in (port.published, port.target)}
            for bind in service.binds:
                self._paths(bind.source, bind.target)
            self._paths(*(target for _volume, target in service.named_volumes))
            self._public |= {str(service.raw.get(key) or "") for key in ("hostname", "domainname")}
        for kind in ("networks", "volumes", "secrets", "configs"):
            for name, body in (model.raw.get(kind) or {}).items():
                self._public |= {str(name), str((body or {}).get("name") or "")}
        self._secrets = None

    def learn_containers(self, containers: t.Iterable[Container], images: Images) -> None:
        """Learn the variables of containers, except those that come from their images."""
        for container in containers:
            inherited = set(((images.get(container.image_id) or {}).get("Config") or {}).get("Env") or ())
            self._public |= {container.name, container.service}
            for row in container.env:
                name, _equals, value = row.partition("=")
                if row not in inherited and name not in ("PATH", "HOSTNAME", "HOME", "TERM", "container"):
                    self._variable(name, value)
        self._secrets = None

    def learn_releases(self) -> None:
        """Learn the environment files of kept releases: a container may still run with values of one."""
        top = os.path.join(self._state_folder, "good")
        for folder, _folders, names in os.walk(top):
            for name in names:
                if "env" in name:
                    self._file(os.path.join(folder, name))

    def text(self, content: str) -> str:
        """One of our messages, masked."""
        return self._known().text(content)

    def printed(self, content: str) -> str:
        """The output of a program, masked."""
        return mask.printed(self.text(content))

    def data(self, value: t.Any) -> t.Any:
        """A result, or a part of one, masked by value."""
        return self._known().data(value, _SHOWN)

    @contextlib.contextmanager
    def of_errors(self) -> t.Iterator[None]:
        """Mask every error that leaves the block."""
        try:
            yield
        except OneboxError as error:
            error.args = tuple(self.text(str(arg)) for arg in error.args)
            error.problems = tuple(
                Problem(each.code, self.text(each.where), self.text(each.message), each.need) for each in error.problems
            )
            error.facts = self.data(error.facts)
            if isinstance(error, Unhealthy):
                error.rows = self.data(error.rows)
            raise
        except Exception as error:
            told = traceback.format_exc()
            if self.text(told) == told:
                raise
            # Another error replaces it, because the place of its text is unknown.
            raise RuntimeError(self.text(f"{type(error).__name__}: {error}")).with_traceback(
                error.__traceback__
            ) from None

    def _known(self) -> mask.Secrets:
        if self._secrets is None:
            self._secrets = mask.Secrets(self._values, self._public)
        return self._secrets

    def diff(self, diff: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
        """The difference of a service: variables by name only, commands and labels by value."""
        found = {}
        for field, change in diff.items():
            before, after = change["before"], change["after"]
            kind, _dot, name = field.partition(".")
            if kind == "environment" and name not in self._shown_names:
                shown = None if before is None else mask.MASK, None if after is None else mask.MASK
                before, after = (shown[0], _CHANGED) if None not in shown else shown
            elif kind in ("environment", "labels", "command", "entrypoint", "driver_opts"):
                before, after = self._changed(before, after)
            found[field] = {"before": before, "after": after}
        return found

    def _changed(self, before: str | None, after: str | None) -> tuple[str | None, str | None]:
        """Two texts of one field, masked by value."""
        new = None if after is None else self.printed(after)
        old = None if before is None else self.printed(before)
        if old is not None and new is not None and mask.MASK in new:
            # The previous value may be unknown on this host by now.
            kept = set(new.split())
            old = " ".join(word if word in kept else mask.MASK for word in old.split(" "))
        if old is not None and old == new:
            new = f"{new} (changed)"
        return old, new

    def _variable(self, name: str, value: str) -> None:
        if name in self._shown_names or not value:
            return
        if value.isdigit() and _NUMBER_IN_USE.fullmatch(name):
            self._public.add(value)
            return
        if value not in self._values:
            self._values.add(value)
            self._values.update(mask.password(value) if "://" in value else ())
            self._secrets = None

    def _paths(self, *paths: str) -> None:
        for path in filter(None, paths):
            # The directory of // is // again.
            above = ""
            while path and path != above:
                self._public.add(path)
                above, path = path, os.path.dirname(path)
        self._secrets = None

    def _file(self, path: str) -> None:
        """Learn a dotenv file as both compose tools read it, and its plain lines in case they refuse it."""
        if not path or not os.path.isfile(path):
            return
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="") as stream:
                text = stream.read(1 << 20)
        except OSError:
            return
        for dialect in (dotenv.DOCKER_COMPOSE, dotenv.PODMAN_COMPOSE):
            with contextlib.suppress(OneboxError):
                for name, value in dotenv.parse(text, dialect, {}, path).items():
                    self._variable(name, value)
        for line in text.splitlines():
            name, equals, value = line.partition("=")
            if equals and re.fullmatch(r"\s*(?:export\s+)?[\w.-]+\s*", name):
                self._variable(name.split()[-1], value.strip().strip("'\""))


def masked(method: Method) -> Method:
    """Mask the result and the errors of a method with the ``secrecy`` of its object."""

    @functools.wraps(method)
    def run(self: t.Any, *args: t.Any, **options: t.Any) -> Result:
        secrecy: Secrecy = self.secrecy
        with secrecy.of_errors():
            return t.cast(Result, secrecy.data(method(self, *args, **options)))

    return t.cast(Method, run)


def _leaves(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, t.Mapping):
        yield from itertools.chain.from_iterable(_leaves(inner) for inner in value.values())
    elif isinstance(value, (list, tuple)):
        yield from itertools.chain.from_iterable(_leaves(inner) for inner in value)
    elif isinstance(value, str):
        yield value
