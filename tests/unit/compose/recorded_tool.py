# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A world in which a compose tool prints recorded answers."""

from __future__ import annotations

import dataclasses

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def answers(**by_word):
    """A world whose runner answers by the first known word of the command line; what it saw is in ``run.seen``."""
    seen = []

    def run(argv, **options):
        seen.append((list(argv), options))
        for word, (rc, out, err) in by_word.items():
            if word.replace("_", "-") in argv or word in argv:
                result = process.Result(tuple(argv), rc, out, err, 0.0)
                if rc and options.get("check", True):
                    raise process.CommandError("failed", result)
                return result
        raise process.CommandMissing(f"cannot run {argv[0]}", process.Result(tuple(argv), -1, "", "", 0.0))

    run.seen = seen
    return dataclasses.replace(World.real(), run=run)
