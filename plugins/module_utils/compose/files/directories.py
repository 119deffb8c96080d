# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the directories that binds name and that do not exist, with the owner that the service shows."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks.binds import Missing
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import open_directory

_PARENT_MODE = 0o755


def described(missing: Missing) -> dict[str, str]:
    """A directory that is created, as modules return it."""
    return {
        "path": missing.path,
        "owner": missing.who.user,
        "group": missing.who.group or missing.who.user,
        "mode": f"{missing.mode:04o}",
        "service": missing.service,
        "reason": missing.who.reason,
    }


def create(directories: t.Iterable[Missing], foreign: t.Sequence[str]) -> None:
    """Create directories, and those above them with mode 0755. One that is there by now stays as it is.

    Args:
        foreign: directories in which others make names, see :func:`beneath.open_directory`.

    Raises:
        OneboxError: one cannot be created.
    """
    for each in directories:
        path = os.path.normpath(each.path)
        base = os.path.dirname(path)
        while not os.path.lexists(base):
            base = os.path.dirname(base)
        relative = os.path.relpath(path, base)
        try:
            with open_directory(base, tuple(place for place in foreign if place != each.path)) as above:
                if "/" in relative:
                    above.make_directories(os.path.dirname(relative), _PARENT_MODE)
                # Without root, an owner cannot be given: the proof of the mounts reports where that matters.
                if above.make_directories(relative, each.mode) and each.who.user and os.geteuid() == 0:
                    group = each.who.group or each.who.user
                    above.dress(relative, None, (int(each.who.user), int(group)))
        except OSError as error:
            raise files.error_of("create the directory", each.path, error) from error
