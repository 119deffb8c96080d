# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings, from the environment. A missing one is an error that names it: nothing here has a silent default."""

from __future__ import annotations

import sys
import typing as t
from dataclasses import dataclass, field

LLM_MODES = ("off",)


class SettingsError(Exception):
    """What is missing or wrong in the environment, all of it at once."""


@dataclass(frozen=True)
class Settings:
    """What every service needs.

    Attributes:
        interval: seconds between two steps.
    """

    postgres: dict[str, t.Any]
    redis: dict[str, t.Any]
    symbols: tuple[str, ...]
    interval: float


@dataclass(frozen=True)
class BotSettings(Settings):
    """Further settings of the bot."""

    n8n_url: str = ""
    webhook_secret: str = field(default="", repr=False)


class _Reader:
    def __init__(self, environ: t.Mapping[str, str]) -> None:
        self._environ = environ
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            self.problems.append(f"{name} is {'empty' if name in self._environ else 'missing'}")
        return value

    def number(self, name: str) -> float:
        value = self.text(name)
        try:
            return float(value)
        except ValueError:
            if value:
                self.problems.append(f"{name} is {value!r}, which is not a number")
            return 0.0

    def common(self) -> dict[str, t.Any]:
        return {
            "postgres": {
                "host": self.text("POSTGRES_HOST"),
                "port": int(self.number("POSTGRES_PORT")),
                "database": self.text("POSTGRES_DB"),
                "user": self.text("POSTGRES_USER"),
                "password": self.text("POSTGRES_PASSWORD"),
            },
            "redis": {
                "host": self.text("REDIS_HOST"),
                "port": int(self.number("REDIS_PORT")),
                "password": self.text("REDIS_PASSWORD"),
            },
            "symbols": tuple(one.strip() for one in self.text("COINPILOT_SYMBOLS").split(",") if one.strip()),
            "interval": self.number("COINPILOT_INTERVAL"),
        }

    def done(self) -> None:
        if self.problems:
            raise SettingsError("; ".join(self.problems))


def common(environ: t.Mapping[str, str]) -> Settings:
    """The settings of the collector and the dashboard. Raises :class:`SettingsError`."""
    reader = _Reader(environ)
    found = Settings(**reader.common())
    reader.done()
    return found


def bot(environ: t.Mapping[str, str]) -> BotSettings:
    """The settings of the bot. Raises :class:`SettingsError`."""
    reader = _Reader(environ)
    mode = reader.text("LLM_MODE")
    if mode and mode not in LLM_MODES:
        reader.problems.append(f"LLM_MODE is {mode!r}; this bot trades by rule alone and knows {', '.join(LLM_MODES)}")
    found = BotSettings(
        **reader.common(),
        n8n_url=reader.text("N8N_URL").rstrip("/"),
        webhook_secret=reader.text("N8N_WEBHOOK_SECRET"),
    )
    reader.done()
    return found


Found = t.TypeVar("Found", bound=Settings)


def or_exit(read: t.Callable[[t.Mapping[str, str]], Found], environ: t.Mapping[str, str]) -> Found:
    """The settings, or an exit with one line that names the fix."""
    try:
        return read(environ)
    except SettingsError as error:
        sys.exit(f"coinpilot does not start: {error}")
