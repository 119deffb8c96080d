# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a directory of the host to restore into."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.core import beneath


def open_created(path: str) -> beneath.Directory:
    """Open the directory at ``path``; create missing ones on the way.

    Raises:
        UnsafePath: one of them is a link that another user could have created.
        FileError, OSError: one cannot be opened or created.
    """
    there = path
    while not os.path.lexists(there):
        there = os.path.dirname(there)
    opened = beneath.open_directory(there)
    if there == path:
        return opened
    with opened:
        missing = os.path.relpath(path, there)
        opened.make_directories(missing, 0o755)
        return opened.directory(missing)
