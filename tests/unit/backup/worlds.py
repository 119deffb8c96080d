# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real world with a simulated clock."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def at(clock: t.Callable[[], dt.datetime], synchronised: t.Callable[[], bool] = lambda: True) -> World:
    """The real world at the time of ``clock``. ``synchronised`` is the answer of timedatectl."""

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        if argv[0] == "timedatectl":
            return process.Result(tuple(argv), 0, "yes\n" if synchronised() else "no\n", "", 0.0)
        return process.run(argv, **options)

    return dataclasses.replace(World.real(), run=run, epoch=lambda: clock().timestamp())
