# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable and start systemd's timers: all of a stack in one query, because a call for each would take too long."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def ensure(names: t.Sequence[str], *, user: bool, rewritten: bool, check: bool, world: World) -> list[str]:
    """Enable and start these timers. Returns those that were not running, or whose files changed.

    Args:
        names: such as ``onebox-backup-coin-backup.timer``.
        user: of the user's own systemd.
        rewritten: unit files were, or would be, changed a moment ago.

    Raises:
        BackupError: systemd refuses them; the text has its error.
    """
    words = ["systemctl", *(["--user"] if user else [])]

    def call(*more: str, must: bool) -> process.Result:
        try:
            return world.run([*words, *more], timeout=60, check=must)
        except process.CommandError as error:
            raise BackupError(f"the timers cannot be started: {error}") from error

    if not names:
        return []
    idle = set(names) if rewritten else set()
    for verb, good in (("is-enabled", "enabled"), ("is-active", "active")):
        # One line for each, in order; the exit code only shows that one of them is not.
        said = call(verb, *names, must=False).stdout.split()
        idle |= {name for name, word in zip(names, said) if word != good}
        idle |= set(names[len(said) :])
    found = [name for name in names if name in idle]
    if found and not check:
        if rewritten:
            call("daemon-reload", must=True)
        call("enable", *found, must=True)
        call("restart", *found, must=True)
    return found
