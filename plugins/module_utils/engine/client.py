# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from a container engine: over its unix socket if one answers, else by Podman's command line.

Rootful Podman needs no daemon, so there may be no socket; Docker is always behind one. Reading the socket
directly inspects 50 containers in tens of milliseconds and only needs the standard library.
"""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import membership, socket_http
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import (
    Network,
    Volume,
    parse_network,
    parse_volume,
)

# Names of the engines in the header Server.
_SERVER = re.compile(r"(Docker|Libpod)/(\S+)")


class EngineError(OneboxError):
    """The engine cannot be used, or refused. The text names the engine, its address, and the next step."""


class NotFound(EngineError):
    """The engine answered that it has no such container or image."""


class Engine:
    """The queries of this collection to a container engine. None changes anything."""

    name: str = ""
    socket: str = ""
    version: str = ""

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        """Inspected containers, also stopped ones, sorted by name.

        Args:
            project: only those of this compose project or stack on a Swarm.
            names: only these names or ids; a missing one is :class:`NotFound`.
        """
        raise NotImplementedError

    def image(self, reference: str) -> dict[str, t.Any] | None:
        """``inspect`` of a local image, or None when there is none."""
        raise NotImplementedError

    def images(self, references: t.Sequence[str]) -> dict[str, dict[str, t.Any] | None]:
        """``inspect`` of each local image; None for one that does not exist, or whose name is invalid."""
        return {reference: self.image(reference) for reference in references}

    def networks(self) -> list[Network]:
        """Every network."""
        return []

    def members(self, network: str) -> list[str]:
        """Names of the running containers on a network, by its id."""
        return []

    def volumes(self, names: t.Sequence[str]) -> dict[str, Volume | None]:
        """The named volumes of these names; None for one that does not exist."""
        return dict.fromkeys(names)

    def all_volumes(self) -> list[Volume]:
        """Every volume."""
        return []

    def names(self) -> dict[str, dict[str, str]]:
        """Name -> labels of every container, also stopped ones."""
        return {container.name: dict(container.labels) for container in self.containers()}

    def logs(self, container: str, lines: int) -> str:
        """The last ``lines`` lines a container printed, standard output and error together."""
        raise NotImplementedError

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        """Paths that differ from the image: ``[{"Path": str, "Kind": 0 changed | 1 added | 2 deleted}]``."""
        raise NotImplementedError

    def secret(self, name: str) -> dict[str, t.Any] | None:
        """``inspect`` of one of Podman's secrets, without its value, or None when there is none."""
        raise NotImplementedError

    def volume(self, name: str) -> dict[str, t.Any] | None:
        """``inspect`` of a volume, or None when there is none."""
        raise NotImplementedError

    def image_id(self, reference: str) -> str:
        """``sha256:…`` of a local image, or "" when there is none."""
        found = self.image(reference)
        if not found:
            return ""
        identity = found.get("Id") or ""
        return identity if ":" in identity or not identity else "sha256:" + identity


class SocketEngine(Engine):
    """Docker, or Podman's Docker-compatible API, over a unix socket.

    Args:
        path: the socket.
        timeout: seconds for one answer.

    Raises:
        EngineError: nothing answers there.
    """

    def __init__(self, path: str, timeout: float = 30.0) -> None:
        self.socket = path
        self._timeout = timeout
        self._connection: socket_http.Connection | None = None
        (answer,) = self._ask(["/_ping"])
        told = _SERVER.match(answer.headers.get("server", ""))
        if told:
            self.name, self.version = "podman" if told[1] == "Libpod" else "docker", told[2]
            return
        # Docker starts three programs to answer this, so it is only queried if the header is missing.
        version = self.get("/version")
        components = [str(part.get("Name", "")) for part in version.get("Components") or ()]
        self.name = "podman" if any("podman" in part.lower() for part in components) else "docker"
        self.version = str(version.get("Version", ""))

    def get(self, path: str, **query: str) -> t.Any:
        """GET ``path`` and return the decoded JSON. Raises :class:`NotFound` for 404, :class:`EngineError` else."""
        return json.loads(self.get_bytes(path, **query) or b"null")

    def get_bytes(self, path: str, **query: str) -> bytes:
        """GET ``path`` and return the body."""
        (answer,) = self._ask([path + ("?" + urllib.parse.urlencode(query) if query else "")])
        return self._body(path, answer)

    def _body(self, path: str, answer: socket_http.Answer) -> bytes:
        if answer.status == 404:
            raise NotFound(_message(answer.body) or f"no such object: {path}")
        if answer.status >= 400:
            said = _message(answer.body)
            raise EngineError(f"the engine at {self.socket} answered {answer.status} to {path}: {said}")
        return answer.body

    def _ask(self, targets: t.Sequence[str]) -> t.Iterator[socket_http.Answer]:
        """Yield the answer to each question, in order."""
        done, fresh = 0, False
        while done < len(targets):
            part = targets[done : done + socket_http.WINDOW]
            try:
                if self._connection is None:
                    fresh = True
                    self._connection = socket_http.Connection(self.socket, self._timeout)
                self._connection.ask(part)
                for _target in part:
                    answer = self._connection.answer()
                    fresh = False
                    done += 1
                    yield answer
            except GeneratorExit:
                if done < len(targets):
                    self._disconnect()  # unread answers would be mistaken for those to the next questions
                raise
            except OSError as error:
                self._disconnect()
                # An engine that restarted closes kept connections, also between two answers: try a new one,
                # unless the old one never answered.
                if fresh:
                    raise EngineError(_unreachable(self.socket, error)) from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        wanted = list(names) or [row["Id"] for row in self._list(project)]
        paths = [f"/containers/{urllib.parse.quote(name, safe='')}/json" for name in wanted]
        found, lost = [], None
        for path, answer in zip(paths, self._ask(paths)):
            try:
                found.append(parse_inspect(json.loads(self._body(path, answer))))
            except NotFound as error:
                # Without names it was removed between the list and the inspection.
                lost = error
        if names and lost:
            raise lost
        return sorted(found, key=lambda container: container.name)

    def _list(self, project: str | None) -> list[dict[str, t.Any]]:
        query = {"all": "1"}
        if project is None:
            return self.get("/containers/json", **query)
        rows: dict[str, dict[str, t.Any]] = {}
        # Filters of one key are AND-ed by Docker, so the two label families are two questions.
        filters = [json.dumps({"label": [f"{each}={project}"]}) for each in membership.project_labels(self.name)]
        paths = ["/containers/json?" + urllib.parse.urlencode({"filters": each, **query}) for each in filters]
        for path, answer in zip(paths, self._ask(paths)):
            for row in json.loads(self._body(path, answer)):
                rows[row["Id"]] = row
        return list(rows.values())

    def image(self, reference: str) -> dict[str, t.Any] | None:
        try:
            return self.get(f"/images/{urllib.parse.quote(reference, safe='')}/json")
        except NotFound:
            return None

    def images(self, references: t.Sequence[str]) -> dict[str, dict[str, t.Any] | None]:
        return self._each("images", references)

    def _each(self, kind: str, names: t.Sequence[str]) -> dict[str, dict[str, t.Any] | None]:
        suffix = "/json" if kind == "images" else ""
        paths = [f"/{kind}/{urllib.parse.quote(name, safe='')}{suffix}" for name in names]
        found: dict[str, dict[str, t.Any] | None] = {}
        for name, path, answer in zip(names, paths, self._ask(paths)):
            # 400 is for invalid names.
            found[name] = None if answer.status in (400, 404) else json.loads(self._body(path, answer))
        return found

    def networks(self) -> list[Network]:
        return [parse_network(row) for row in self.get("/networks") or ()]

    def members(self, network: str) -> list[str]:
        return list(parse_network(self.get(f"/networks/{urllib.parse.quote(network, safe='')}")).members)

    def volumes(self, names: t.Sequence[str]) -> dict[str, Volume | None]:
        return {name: parse_volume(row) if row else None for name, row in self._each("volumes", names).items()}

    def all_volumes(self) -> list[Volume]:
        return [parse_volume(row) for row in (self.get("/volumes") or {}).get("Volumes") or ()]

    def names(self) -> dict[str, dict[str, str]]:
        rows = self._list(None)
        return {name.lstrip("/"): row.get("Labels") or {} for row in rows for name in row.get("Names") or ()}

    def secret(self, name: str) -> dict[str, t.Any] | None:
        try:
            return self.get(f"/secrets/{urllib.parse.quote(name, safe='')}")
        except NotFound:
            return None

    def volume(self, name: str) -> dict[str, t.Any] | None:
        try:
            return self.get(f"/volumes/{urllib.parse.quote(name, safe='')}")
        except NotFound:
            return None

    def logs(self, container: str, lines: int) -> str:
        path = f"/containers/{urllib.parse.quote(container, safe='')}/logs"
        return _demultiplex(self.get_bytes(path, stdout="1", stderr="1", tail=str(lines)))

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        return self.get(f"/containers/{urllib.parse.quote(container, safe='')}/changes") or []


class PodmanCli(Engine):
    """Podman without a service: its own command line, one call for any number of containers.

    Args:
        world: starts processes.
        executable: the podman to use.
        timeout: seconds for one call.
    """

    name = "podman"

    def __init__(self, world: World, executable: str = "podman", timeout: float = 60.0) -> None:
        self._run = world.run
        self._executable = executable
        self._timeout = timeout
        self.version = self._call("version", "--format", "{{.Client.Version}}").strip()

    def _call(self, *words: str) -> str:
        try:
            return self._run([self._executable, *words], timeout=self._timeout).stdout
        except process.CommandMissing as error:
            raise EngineError(f"podman is not installed ({error}); install it, or name another engine") from error
        except process.CommandError as error:
            said = error.result.stderr.lower()
            if "no such" in said or "not found" in said or "image not known" in said:
                raise NotFound(process.last_words(error.result.stderr)) from error
            raise EngineError(str(error)) from error

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        wanted = list(names) or self._ids(project)
        if not wanted:
            return []
        try:
            text = self._call("container", "inspect", *wanted)
        except NotFound as error:
            if names:
                raise
            # Some were removed between the list and the inspection. Podman prints the others nevertheless.
            text = t.cast(process.CommandError, error.__cause__).result.stdout
        rows = json.loads(text or "[]")
        return sorted((parse_inspect(row) for row in rows), key=lambda container: container.name)

    def _ids(self, project: str | None) -> list[str]:
        words = ["ps", "--all", "--no-trunc", "--quiet"]
        if project is None:
            return self._call(*words).split()
        ids: list[str] = []
        for label in membership.project_labels(self.name):
            ids += self._call(*words, "--filter", f"label={label}={project}").split()
            if ids:  # podman-compose sets both families; an old one only its own
                break
        return ids

    def image(self, reference: str) -> dict[str, t.Any] | None:
        try:
            rows = json.loads(self._call("image", "inspect", reference))
        except NotFound:
            return None
        return rows[0] if rows else None

    def networks(self) -> list[Network]:
        return [parse_network(row) for row in json.loads(self._call("network", "ls", "--format", "json") or "[]")]

    def members(self, network: str) -> list[str]:
        return self._call("ps", "--filter", f"network={network}", "--format", "{{.Names}}").split()

    def volumes(self, names: t.Sequence[str]) -> dict[str, Volume | None]:
        known = {row.name: row for row in self.all_volumes()} if names else {}
        return {name: known.get(name) for name in names}

    def all_volumes(self) -> list[Volume]:
        return [parse_volume(row) for row in json.loads(self._call("volume", "ls", "--format", "json") or "[]")]

    def names(self) -> dict[str, dict[str, str]]:
        rows = json.loads(self._call("ps", "--all", "--format", "json") or "[]")
        return {name: row.get("Labels") or {} for row in rows for name in row.get("Names") or ()}

    def secret(self, name: str) -> dict[str, t.Any] | None:
        try:
            rows = json.loads(self._call("secret", "inspect", name))
        except NotFound:
            return None
        return rows[0] if rows else None

    def volume(self, name: str) -> dict[str, t.Any] | None:
        try:
            rows = json.loads(self._call("volume", "inspect", name))
        except NotFound:
            return None
        return rows[0] if rows else None

    def logs(self, container: str, lines: int) -> str:
        words = [self._executable, "logs", "--tail", str(lines), container]
        try:
            result = self._run(words, timeout=self._timeout, check=False)
        except process.CommandError as error:
            raise EngineError(str(error)) from error
        return result.stdout + result.stderr

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        report = json.loads(self._call("diff", "--format", "json", container) or "{}")
        kinds = (("changed", 0), ("added", 1), ("deleted", 2))
        return [{"Path": path, "Kind": kind} for word, kind in kinds for path in report.get(word) or ()]


def _demultiplex(data: bytes) -> str:
    """Undo the stream header Docker puts before each piece of log of a container without a terminal."""
    out = []
    position = 0
    while position + 8 <= len(data):
        stream, size = data[position], int.from_bytes(data[position + 4 : position + 8], "big")
        if stream > 2 or data[position + 1 : position + 4] != b"\0\0\0":
            return data.decode("utf-8", errors="replace")  # a terminal: raw bytes
        out.append(data[position + 8 : position + 8 + size])
        position += 8 + size
    return b"".join(out).decode("utf-8", errors="replace")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body).get("message", ""))
    except (ValueError, AttributeError):
        return body[:200].decode("utf-8", errors="replace")


def _unreachable(path: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no engine socket at {path}: start the engine, or pass the right socket"
    if isinstance(error, PermissionError):
        return f"no permission to use {path}: run as root or as the user who owns the engine"
    if isinstance(error, ConnectionRefusedError):
        return f"{path} exists but nothing answers: the engine is installed but not running; start it"
    return f"the engine at {path} does not answer: {error or type(error).__name__}"
