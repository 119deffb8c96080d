# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a Git checkout above the project's folder, such as the build context ``..`` of ``docker/compose.yml``."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import copy
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


class Checkout:
    """The checkout that a project's folder is in. Without one, nothing above the folder comes with the project.

    Args:
        folder: the project's folder.

    Attributes:
        top: its first folder, "" without a checkout.
        base: the folder of the stack to which the parts are copied.
        names: the files of the included parts, relative to ``top``.
    """

    def __init__(self, folder: str, world: World) -> None:
        self._folder, self._world = realpath(folder), world
        self.top = copy.git(folder, ["rev-parse", "--show-toplevel"], world).rstrip("\n")
        free = (name for name in ("checkout", *(f"checkout-{number}" for number in range(2, 1000))))
        self.base = next(name for name in free if not os.path.lexists(os.path.join(folder, name)))
        self._names: set[str] = set()

    @property
    def names(self) -> list[str]:
        """The files to copy.

        Raises:
            ComposeError: there are too many.
        """
        return list(copy.chosen(self.top, sorted(self._names), {}))

    def part(self, written: str) -> str:
        """Include ``written``, a relative path of the compose file that leads out of its folder.

        Returns:
            Its path in the stack's folder; "" where Git has no file there.
        """
        path = os.path.normpath(os.path.join(self._folder, written))
        if not self.top or os.path.commonpath([path, self.top]) != self.top:
            return ""
        below = os.path.relpath(path, self.top)
        found = copy.tracked(self.top, self._world, below)
        self._names.update(found or ())
        return os.path.normpath(os.path.join(self.base, below)) if found else ""
