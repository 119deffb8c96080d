# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount check as an installed program, for timers and users."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.core import files, zipapp
from ansible_collections.onebox.stack.plugins.module_utils.mounts import cli


def install(path: str, interpreter: str, check: bool) -> bool:
    """Install the program at ``path``, mode 0755. Returns whether that changed, or would change, anything.

    Raises:
        OneboxError: it cannot be built or written.
    """
    return zipapp.install(path, cli.__name__, interpreter, check=check)


def remove(path: str, check: bool) -> bool:
    """Remove the program. Returns whether there is one to remove.

    Raises:
        FileError: it cannot be removed.
    """
    return os.path.lexists(path) if check else files.remove(path)
