# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text for people: values that come from files, containers and users, made harmless."""

from __future__ import annotations

import re
import shlex

_SAFE = re.compile(r"[\w@%+=:,./-]+").fullmatch


def shown(path: str) -> str:
    """A path for people: quoted where a shell needs it, control characters and bytes that are not text as escapes."""
    text = path if path.isprintable() else path.encode("unicode_escape").decode("ascii")
    return shlex.quote(text) if text != path or not _SAFE(text) else text
