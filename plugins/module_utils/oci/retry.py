# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeat calls for which this is safe: reads, and changes that end in the same state each time."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import CallFailed, OciError

TRIES = 5
LONGEST_WAIT = 60.0
_Result = t.TypeVar("_Result")


def with_retries(work: t.Callable[[], _Result], doing: str, world: World) -> _Result:
    """Call ``work`` up to five times while Oracle is busy or out of reach.

    Args:
        doing: what is being done, for the error text.
        world: waits between the tries.

    Raises:
        OciError: it was refused, or did not succeed in five tries.
    """
    tries = 0
    while True:
        try:
            return work()
        except CallFailed as failed:
            verdict, rule = errors.classify(failed.answer, launch=False)
            tries += 1
            if verdict not in (errors.NETWORK, errors.THROTTLE) or tries >= TRIES:
                raise OciError(errors.explain(failed.answer, rule, doing), failed.answer) from failed
            world.sleep(min(LONGEST_WAIT, max(failed.answer.retry_after or 0.0, 2.0**tries)))
