# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container engine and a compose tool that exist on paper: containers are rows of a file, shared by all processes.

For what only files, locks and the order of steps decide. What an engine does is for the integration tests. Compose
files are JSON. A service with ``BAD`` in its environment, or with ``bad`` in a file it binds, ends with code 1.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import pathlib
import re
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.config_hash import config_hash
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.request import Request
from ansible_collections.onebox.stack.plugins.module_utils.compose.stack import Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.boot import Host
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect

VERSION = (2, 40, 3)
IMAGE = "sha256:" + "a" * 64


class PaperEngine(Engine):
    """The engine: reads the rows."""

    name, socket, version = "docker", "/nowhere/docker.sock", "28.0.0"

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def rows(self) -> t.Iterator[dict[str, dict]]:
        """All containers by service, locked; what is changed is written."""
        with open(self._path, "a+", encoding="utf-8") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            found = json.loads(stream.read() or "{}")
            before = json.dumps(found)
            yield found
            if json.dumps(found) != before:
                scratch = self._path.with_suffix(f".{os.getpid()}")
                scratch.write_text(json.dumps(found))
                stream.truncate(0)
                stream.write(json.dumps(found))
                stream.flush()
                scratch.unlink()

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        with self.rows() as rows:
            found = [parse_inspect(row) for row in rows.values()]
        return [each for each in found if not names or each.id in names]

    def image(self, reference: str) -> dict[str, t.Any] | None:
        return {"Id": IMAGE, "Config": {}}

    def image_id(self, reference: str) -> str:
        return IMAGE

    def logs(self, container: str, lines: int) -> str:
        return ""

    def changes(self, container: str) -> list[dict[str, t.Any]]:
        return []


class Paper:
    """A host with one stack on it.

    Args:
        root: holds the source folder, the deploy directory and the state directory.
    """

    def __init__(self, root: pathlib.Path, monkeypatch) -> None:
        self.root = root
        self.source, self.host, self.state = root / "source", root / "deployed", root / "state"
        self.source.mkdir()
        self.engine = PaperEngine(root / "engine.json")
        self.services: dict[str, dict] = {"web": {"image": "shop:1", "environment": {"LEVEL": "${LEVEL}"}}}
        self.env: dict[str, str] | None = {"LEVEL": "info"}
        self.file = "compose.yml"
        self.before: t.Callable[[str], None] = lambda step: None
        self._number = itertools.count(1)
        monkeypatch.setattr(discover, "find", lambda *words, **options: self.engine)
        self.settle = 0.0

    def write(self, **files: str) -> None:
        """Write the source: the compose file and ``files``, ``conf__a`` for ``conf/a``."""
        (self.source / self.file).write_text(json.dumps({"services": self.services}))
        for name, text in files.items():
            path = self.source / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def stage(self, name: str = "") -> pathlib.Path:
        """What the role does first: a private copy of the source."""
        folder = self.root / "staging" / (name or f"{os.getpid()}-{next(self._number)}") / "files"
        folder.mkdir(parents=True)
        folder.parent.chmod(0o700)
        for path in sorted(self.source.rglob("*")):
            target = folder / path.relative_to(self.source)
            if path.is_dir():
                target.mkdir()
                target.chmod(path.stat().st_mode & 0o777)
            elif path.is_symlink():
                target.symlink_to(os.readlink(path))
            else:
                target.write_bytes(path.read_bytes())
                target.chmod(path.stat().st_mode & 0o777)
        return folder

    def stack(self, **changes) -> Stack:
        """The stack, with the source staged."""
        options = {
            "name": "shop",
            "project_dir": str(self.host),
            "env": self.env,
            "engine": "docker",
            "provider": "docker-compose",
            "provider_path": "/nowhere/docker-compose",
            "wait_timeout": 2.0,
            "settle": self.settle,
            "lock_timeout": 60.0,
            "verify": False,
            "state_dir": str(self.state),
            "rules": declaration.Rules(tuple(changes.pop("required_env", ())), ()),
            **changes,
        }
        if "staged_dir" not in options:
            options["staged_dir"] = str(self.stage())
        return Stack(Request(**options), self.world(), Host(self.run, "/nowhere", "/nowhere", False, ""))

    def world(self) -> World:
        return dataclasses.replace(World.real(), run=self.run, environ={"HOME": "/nowhere"}, home="/nowhere")

    def deploy(self, **changes) -> dict:
        return self.stack(**changes).converge()

    def listing(self) -> dict[str, tuple]:
        """Everything on this host but the source: name -> kind, mode and content."""
        found = {}
        for top in (self.host, self.state, self.root / "elsewhere", self.root / "staging"):
            for path in [top, *sorted(top.rglob("*"))] if top.exists() else []:
                status = path.lstat()
                content = path.read_bytes() if path.is_file() else b""
                found[str(path.relative_to(self.root))] = (status.st_mode, status.st_uid, content)
        return found

    def texts(self) -> dict[str, str]:
        """The files of the deploy directory."""
        found = (path for path in self.host.rglob("*") if path.is_file())
        return {str(path.relative_to(self.host)): path.read_text() for path in found}

    def running(self) -> dict[str, dict[str, str]]:
        """Service -> environment, of what runs."""
        return {
            row.service: dict(pair.partition("=")[::2] for pair in row.env)
            for row in self.engine.containers()
            if row.running
        }

    # The compose tool

    def run(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        """What the commands of a deploy do on paper."""
        words = list(argv)
        if words[0] == "docker-compose" or words[0].endswith("/docker-compose"):
            if "version" in words:
                return process.Result(tuple(words), 0, ".".join(map(str, VERSION)), "", 0.0)
            verb = next(word for word in words if word in ("config", "up", "pull", "rm", "stop", "down", "restart"))
            self.before(verb)
            rc, out, err = getattr(self, f"_{verb}")(words)
            result = process.Result(tuple(words), rc, out, err, 0.0)
            if rc and options.get("check", True):
                raise process.CommandError(f"{verb} failed: {err}", result)
            return result
        raise AssertionError(f"unexpected command {words}")

    def _config(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        try:
            model, warned = self._model(words)
        except (ValueError, KeyError, OSError) as error:
            return 1, "", str(error)
        return 0, json.dumps(model), warned

    def _model(self, words: t.Sequence[str]) -> tuple[dict, str]:
        base = words[words.index("--project-directory") + 1]
        path = words[words.index("-f") + 1]
        values = _variables(words[words.index("--env-file") + 1])
        warned = []

        def value(match: re.Match[str]) -> str:
            name, _mark, text = match.group(1).partition(":?")
            if name not in values and _mark:
                raise ValueError(f"required variable {name} is missing a value: {text}")
            if name not in values:
                warned.append(f'The "{name}" variable is not set. Defaulting to a blank string.')
            return values.get(name, "")

        try:
            text = pathlib.Path(path).read_text()
            if "--no-interpolate" not in words:
                text = re.sub(r"\$\{([^}]*)\}", value, text)
            model = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"yaml: {error}") from error
        for name, service in model["services"].items():
            for file in service.get("env_file", []):
                place = os.path.join(base, file)
                if not os.path.exists(place):
                    raise ValueError(f"env file {place} not found")
                service.setdefault("environment", {}).update(_variables(place))
            service.pop("env_file", None)
            volumes = []
            for row in service.get("volumes", []):
                source, target, *mode = row.split(":")
                volumes.append(
                    {
                        "type": "bind",
                        "source": os.path.normpath(os.path.join(base, source)),
                        "target": target,
                        "read_only": mode == ["ro"],
                    }
                )
            service["volumes"] = volumes
            service.setdefault("command", None)
            assert name
        return {"name": "shop", **model}, "\n".join(warned)

    def _up(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        model, _warned = self._model(words)
        model = json.loads(json.dumps(model).replace("$$", "$"))
        force = "--force-recreate" in words
        names = [word for word in words[words.index("up") + 1 :] if not word.startswith("-")]
        for name in names:
            service = model["services"][name]
            with self.engine.rows() as rows:
                if name in rows and not force and rows[name]["State"]["Status"] == "running":
                    continue
                rows[name] = self._container(name, service)
            self.before(f"up {name}")
        return 0, "", ""

    def _container(self, name: str, service: dict) -> dict:
        started = _now()
        row = {
            "Id": os.urandom(32).hex(),
            "Name": f"/shop-{name}-1",
            "Image": IMAGE,
            "RestartCount": 0,
            "State": {"StartedAt": started, "FinishedAt": started},
            "Created": started,
            "Config": {
                "Image": service["image"],
                "Env": [f"{key}={value}" for key, value in service.get("environment", {}).items()],
                "Labels": {
                    "com.docker.compose.project": "shop",
                    "com.docker.compose.service": name,
                    "com.docker.compose.project.working_dir": str(self.host),
                    "com.docker.compose.project.config_files": str(self.host / self.file),
                    "com.docker.compose.config-hash": config_hash(service, {}, VERSION),
                    "com.docker.compose.oneoff": "False",
                    "com.docker.compose.version": ".".join(map(str, VERSION)),
                },
            },
            "HostConfig": {"RestartPolicy": {"Name": "always"}, "NetworkMode": "shop_default"},
            "Mounts": [
                {"Type": "bind", "Source": row["source"], "Destination": row["target"], "RW": not row["read_only"]}
                for row in service["volumes"]
            ],
        }
        self.start_again(row)
        return row

    def _pull(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        return 0, "", ""

    def _restart(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        with self.engine.rows() as rows:
            for name in words[words.index("restart") + 1 :]:
                self.start_again(rows[name])
        return 0, "", ""

    def start_again(self, row: dict) -> None:
        """What a start does to a container: it reads its files, and may end."""
        bad = self._read(row)
        row["State"].update(Status="exited" if bad else "running", Pid=0 if bad else 4242, ExitCode=int(bad))
        row["State"]["StartedAt"] = _now()

    @staticmethod
    def _read(row: dict) -> bool:
        bound = [pathlib.Path(mount["Source"]) for mount in row["Mounts"]]
        found = [path for top in bound for path in ([top] if top.is_file() else sorted(top.rglob("*")))]
        row["Read"] = {str(path): path.read_text() for path in found if path.is_file()}
        return "BAD" in str(row["Config"]["Env"]) or any("bad" in text for text in row["Read"].values())

    def _rm(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        with self.engine.rows() as rows:
            for name in words:
                rows.pop(name, None)
        return 0, "", ""

    def _stop(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        with self.engine.rows() as rows:
            for name in words:
                if name in rows:
                    rows[name]["State"].update(Status="exited", Pid=0)
        return 0, "", ""

    def _down(self, words: t.Sequence[str]) -> tuple[int, str, str]:
        with self.engine.rows() as rows:
            rows.clear()
        return 0, "", ""


def _now() -> str:
    # One reading of the clock: between two, a second can begin.
    seconds, fraction = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{fraction:09}Z"


def _variables(path: str) -> dict[str, str]:
    return dotenv.parse(pathlib.Path(path).read_text(), dotenv.DOCKER_COMPOSE)


def codes(paper: Paper, **changes) -> set[str]:
    with pytest.raises(BadStack) as caught:
        paper.deploy(**changes)
    assert "was not touched" in str(caught.value)
    return {problem.code for problem in caught.value.problems}


def actions(result: dict, paper: Paper) -> dict[str, str]:
    return {os.path.relpath(row["path"], paper.host): row["action"] for row in result["files"]}


def without_staging(paper: Paper) -> dict[str, tuple]:
    """Everything on the host. The lock file, which must be there, says who held it last."""
    return {
        name: value
        for name, value in paper.listing().items()
        if not name.startswith("staging") and not name.endswith("/lock")
    }
