# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths whose names other processes may change at any time."""

from __future__ import annotations

import os

_ATTEMPTS = 50


def realpath(path: str) -> str:
    """The path without links, like :func:`os.path.realpath`, which raises if a link is removed while it is followed.

    The answer was true at one moment. Whoever acts on it opens the file by :mod:`core.beneath`, and checks it there.

    Returns:
        An absolute path. If the names change in every attempt, it still contains links.
    """
    for _attempt in range(_ATTEMPTS):
        try:
            return os.path.realpath(path)
        except OSError:
            continue
    return os.path.abspath(path)
