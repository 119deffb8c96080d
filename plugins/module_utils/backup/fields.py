# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed access to the options of a backup configuration."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.schema import NAME


class Table:
    """A mapping of a backup configuration. Each access checks the type, and its error names the option."""

    def __init__(self, data: t.Any, where: str) -> None:
        if not isinstance(data, dict):
            raise ConfigError(f"{where} must be a mapping, not {type(data).__name__}")
        self.data = data
        self.where = where

    def only(self, known: t.Collection[str]) -> None:
        for key in self.data:
            if key not in known:
                raise ConfigError(f"{self.where}: unknown option {key!r}; known are {', '.join(sorted(known))}")

    def has(self, key: str) -> bool:
        return self.data.get(key) not in (None, "")

    def table(self, key: str) -> Table:
        if not self.has(key):
            raise ConfigError(f"{self.where}: {key} is missing")
        return Table(self.data[key], f"{self.where}: {key}")

    def rows(self, key: str) -> list[t.Any]:
        value = self.data.get(key)
        if not isinstance(value, list):
            raise ConfigError(f"{self.where}: {key} must be a list")
        return value

    def text(self, key: str, default: str | None) -> str:
        value = self.data.get(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or (not value and default is None):
            missing = "" if key in self.data else "; it is missing"
            raise ConfigError(f"{self.where}: {key} must be a text{missing}")
        if "\0" in value or "\n" in value:
            raise ConfigError(f"{self.where}: {key} contains a newline or a null byte")
        return value

    def name(self, key: str) -> str:
        value = self.text(key, None)
        if not NAME.match(value):
            raise ConfigError(
                f"{self.where}: {key} {value!r} must be letters, digits, '_', '.', '-', not starting with a mark"
            )
        return value

    def path(self, key: str) -> str:
        value = self.text(key, None)
        if not os.path.isabs(value) or ".." in value.split("/"):
            raise ConfigError(f"{self.where}: {key} must be an absolute path without '..', not {value!r}")
        return os.path.normpath(value)

    def choice(self, key: str, choices: t.Sequence[str], default: str | None) -> str:
        value = self.text(key, default)
        if value not in choices:
            raise ConfigError(f"{self.where}: {key} must be one of {', '.join(choices)}, not {value!r}")
        return value

    def number(self, key: str, default: int, low: int = 0) -> int:
        value = self.data.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise ConfigError(f"{self.where}: {key} must be a whole number of at least {low}, not {value!r}")
        return value

    def flag(self, key: str) -> bool:
        value = self.data.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(f"{self.where}: {key} must be true or false, not {value!r}")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key) or []
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
            raise ConfigError(f"{self.where}: {key} must be a list of texts")
        return tuple(value)
