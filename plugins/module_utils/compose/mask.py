# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep secrets out of what people and logs see."""

from __future__ import annotations

import re
import typing as t

SECRET_NAME = re.compile(
    r"PASS|PWD|CRED|SECRET|TOKEN|KEY|WEBHOOK|PRIVATE|AUTH|DSN|COOKIE|SALT|SIGNATURE|CONNECTION_STRING", re.IGNORECASE
)
MASK = "********"
_URL_PASSWORD = re.compile(r"(?P<head>[A-Za-z][A-Za-z0-9+.\-]*://[^\s/:@]*:)[^\s/]+@")
_ASSIGNMENT = re.compile(
    r"(?P<head>(?:^|[\s\"',;{])-{0,2}[A-Za-z0-9_.\-]*(?:pass|secret|token|webhook|api[_-]?key)[A-Za-z0-9_.\-]*[\"']?\s?[=:]\s?)"
    r"(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;}]+)",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether a variable of this name must not be shown."""
    return bool(SECRET_NAME.search(name))


def value(name: str, content: t.Any) -> t.Any:
    """``content`` of variable ``name`` as it may be shown."""
    if content is None:
        return None
    return MASK if is_secret(name) else text(str(content))


def text(content: str, secrets: t.Iterable[str] = ()) -> str:
    """``content`` without passwords in URLs, without ``…token=…`` assignments, and without any of ``secrets``."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= 4:  # hiding "1" or "no" would hide the whole text
            content = content.replace(secret, MASK)
    content = _URL_PASSWORD.sub(lambda match: f"{match.group('head')}{MASK}@", content)
    return _ASSIGNMENT.sub(lambda match: match.group("head") + MASK, content)


def secrets_of(environment: t.Mapping[str, t.Any]) -> set[str]:
    """The values in ``environment`` whose names say that they are secret."""
    return {str(content) for name, content in environment.items() if content and is_secret(name)}
