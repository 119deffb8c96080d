# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of the watch: one JSON file that the role writes and the timer reads."""

from __future__ import annotations

import datetime
import json
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.core import files, http
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import ENGINES
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import ACCESS
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import KINDS
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import WatchError

VERSION = 1
STYLES = ("discord", "slack", "ntfy", "generic")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Restart:
    """Limits of restarting unhealthy services.

    Attributes:
        services: the services that may be restarted; none by default.
        after: seconds a service must have been unhealthy.
        most: restarts of one service within 24 hours.
    """

    services: tuple[str, ...] = ()
    after: int = 600
    most: int = 3


@dataclass(frozen=True)
class Stack:
    """A watched stack.

    Attributes:
        name: the compose project.
        state_dir: where deploys keep the state of all stacks.
        access: what the mount proof tries as the application.
        plan: the command that prints the plan as JSON; empty where drift is not checked.
        backup: path of the backup declaration; "" where the stack has no backups.
        offsite_hours, rehearsal_hours: the largest accepted age, in hours.
    """

    name: str
    engine: str = "auto"
    socket: str = ""
    state_dir: str = "/var/lib/onebox"
    vm: str = "none"
    vm_name: str = ""
    access: str = "write"
    plan: tuple[str, ...] = ()
    backup: str = ""
    offsite_hours: int = 50
    rehearsal_hours: int = 24 * 9
    image_days: int = 180
    restart: Restart = field(default_factory=Restart)

    @property
    def folder(self) -> str:
        """Where deploys keep this stack's state."""
        return os.path.join(self.state_dir, self.name)


@dataclass(frozen=True)
class Endpoint:
    """A URL, and the days its certificate must still be valid."""

    url: str
    days: int = 14


@dataclass(frozen=True)
class Acknowledged:
    """Findings the owner knows of, until a date (the day itself included)."""

    finding: str
    until: datetime.date
    reason: str = ""


@dataclass(frozen=True)
class Tell:
    """Where findings are reported. URLs are secrets, so files hold them."""

    webhook_file: str = ""
    style: str = "discord"
    ping_file: str = ""
    metrics_file: str = ""
    daily_hour: int = 8


@dataclass(frozen=True)
class Config:
    """The whole configuration; seconds, hours and days as the names say."""

    name: str
    state_dir: str
    stacks: tuple[Stack, ...] = ()
    paths: tuple[str, ...] = ("/",)
    free_percent: int = 8
    fills_days: int = 7
    log_mib_a_day: int = 1024
    endpoints: tuple[Endpoint, ...] = ()
    units: tuple[str, ...] = ("onebox-*",)
    clock: bool = True
    launches: tuple[str, ...] = ()
    acknowledge: tuple[Acknowledged, ...] = ()
    interval: int = 300
    budget: int = 50
    tell: Tell = field(default_factory=Tell)

    @property
    def document(self) -> str:
        """The file with the last document."""
        return os.path.join(self.state_dir, "watch.json")

    @property
    def notes(self) -> str:
        """The file with the notes of earlier runs."""
        return os.path.join(self.state_dir, "notes.json")


def load(path: str) -> Config:
    """Read a configuration file.

    Raises:
        WatchError: it does not exist, is not JSON, or a key is wrong.
        FileError: it cannot be read.
    """
    text = files.read_text(path)
    if not text:
        raise WatchError(f"{shown(path)}: there is no configuration. Run the role watch, which writes it.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WatchError(f"{shown(path)}: is not JSON ({error}). Run the role watch, which writes it.") from error
    return parse(data)


def parse(data: t.Any) -> Config:
    """Check a configuration.

    Raises:
        WatchError: a key is unknown or its value is wrong. The text names it.
    """
    top = _Reader("watch", data)
    if top.take("version", int, VERSION) != VERSION:
        raise WatchError(f"watch.version: this program reads version {VERSION}. Run the role watch again.")
    found = Config(
        name=top.name("name"),
        state_dir=top.path("state_dir"),
        stacks=tuple(_stack(each) for each in top.rows("stacks")),
        paths=tuple(top.words("paths", ("/",))),
        free_percent=top.number("free_percent", 8, 0, 99),
        fills_days=top.number("fills_days", 7, 0, 365),
        log_mib_a_day=top.number("log_mib_a_day", 1024, 1, 1 << 30),
        endpoints=tuple(_endpoint(each) for each in top.rows("endpoints")),
        units=tuple(top.words("units", ("onebox-*",))),
        clock=top.take("clock", bool, True),
        launches=tuple(top.words("launches", ())),
        acknowledge=tuple(_acknowledged(each) for each in top.rows("acknowledge")),
        interval=top.number("interval", 300, 30, 86400),
        budget=top.number("budget", 50, 5, 3600),
        tell=_tell(top.inner("tell")),
    )
    top.end()
    return found


def _stack(row: _Reader) -> Stack:
    restart = row.inner("restart")
    found = Stack(
        name=row.name("name"),
        engine=row.choice("engine", ENGINES, "auto"),
        socket=row.take("socket", str, ""),
        state_dir=row.path("state_dir", "/var/lib/onebox"),
        vm=row.choice("vm", KINDS, "none"),
        vm_name=row.take("vm_name", str, ""),
        access=row.choice("access", ACCESS, "write"),
        plan=tuple(row.words("plan", ())),
        backup=row.path("backup", ""),
        offsite_hours=row.number("offsite_hours", 50, 1, 24 * 3660),
        rehearsal_hours=row.number("rehearsal_hours", 24 * 9, 1, 24 * 3660),
        image_days=row.number("image_days", 180, 0, 36500),
        restart=Restart(
            tuple(restart.words("services", ())),
            restart.number("after", 600, 60, 86400),
            restart.number("most", 3, 1, 100),
        ),
    )
    restart.end()
    row.end()
    return found


def _endpoint(row: _Reader) -> Endpoint:
    found = Endpoint(row.take("url", str), row.number("days", 14, 0, 3650))
    row.end()
    try:
        http.check_url(found.url)
    except http.UrlError as error:
        raise WatchError(f"{row.where}.url: {error}. Give an http or https URL.") from error
    return found


def _acknowledged(row: _Reader) -> Acknowledged:
    text = str(row.take("until", str))
    try:
        until = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise WatchError(f"{row.where}.until: {text!r} is not a date such as 2026-12-24.") from error
    found = Acknowledged(row.take("finding", str), until, row.take("reason", str, ""))
    row.end()
    return found


def _tell(row: _Reader) -> Tell:
    found = Tell(
        webhook_file=row.path("webhook_file", ""),
        style=row.choice("style", STYLES, "discord"),
        ping_file=row.path("ping_file", ""),
        metrics_file=row.path("metrics_file", ""),
        daily_hour=row.number("daily_hour", 8, 0, 23),
    )
    row.end()
    return found


class _Reader:
    """The keys of one mapping; a key that was not taken is unknown."""

    def __init__(self, where: str, data: t.Any) -> None:
        if not isinstance(data, dict):
            raise WatchError(f"{where}: must be a mapping, not {type(data).__name__}.")
        self.where = where
        self._left = dict(data)

    def take(self, key: str, kind: type, default: t.Any = None) -> t.Any:
        value = self._left.pop(key, default)
        if value is None and default is None:
            raise WatchError(f"{self.where}.{key}: is missing. Add it.")
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise WatchError(f"{self.where}.{key}: must be {kind.__name__}, not {type(value).__name__}.")
        return value

    def name(self, key: str) -> str:
        value = str(self.take(key, str))
        if not _NAME.fullmatch(value):
            raise WatchError(f"{self.where}.{key}: {value!r} is not a name. Use letters, digits, '_', '.' and '-'.")
        return value

    def path(self, key: str, default: str | None = None) -> str:
        value = str(self.take(key, str, default))
        if value and not os.path.isabs(value):
            raise WatchError(f"{self.where}.{key}: {value!r} is not an absolute path.")
        return value

    def choice(self, key: str, choices: t.Sequence[str], default: str) -> str:
        value = str(self.take(key, str, default))
        if value not in choices:
            raise WatchError(f"{self.where}.{key}: {value!r} is not one of {', '.join(choices)}.")
        return value

    def number(self, key: str, default: int, least: int, most: int) -> int:
        value = int(self.take(key, int, default))
        if not least <= value <= most:
            raise WatchError(f"{self.where}.{key}: {value} is not between {least} and {most}.")
        return value

    def words(self, key: str, default: t.Sequence[str]) -> list[str]:
        value = self.take(key, list, list(default))
        if not all(isinstance(each, str) for each in value):
            raise WatchError(f"{self.where}.{key}: must be a list of texts.")
        return list(value)

    def rows(self, key: str) -> list[_Reader]:
        return [_Reader(f"{self.where}.{key}[{number}]", each) for number, each in enumerate(self.take(key, list, []))]

    def inner(self, key: str) -> _Reader:
        return _Reader(f"{self.where}.{key}", self.take(key, dict, {}))

    def end(self) -> None:
        if self._left:
            raise WatchError(f"{self.where}: unknown key {', '.join(sorted(map(repr, self._left)))}. Remove it.")
