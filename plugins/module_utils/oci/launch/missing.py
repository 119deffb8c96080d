# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An instance for which Oracle answers 404.

Oracle sends the same 404 for an instance that is gone and for one that the user may not read at this moment. So a 404
alone never means that an instance is gone. The list is read, too, and both again after some minutes. Then the owner has
to decide.
"""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.state import Known


def terminated(context: Context, known: Known) -> bool:
    """Whether the list proves that the instance is terminated. Otherwise wait, and finally let the owner decide.

    Raises:
        OciError: it remains unreadable; the text says how the owner confirms that it is gone.
    """
    state, now = context.state, context.now()
    rows = [row for row in context.cloud.instances() if isinstance(row, dict) and row.get("id") == known.id]
    status = str(rows[0].get("lifecycleState")) if rows else ""
    if status in freetier.GONE:
        return True
    if context.replace and context.confirm == known.id and not rows:
        state.instance, state.discard = None, ""
        context.rest(0.0, "", events.DISCARDED, f"no longer following {known.id}: you confirmed that it is gone")
        return False
    if known.missing_since is None or known.missing_since > now:
        known.missing_since = now
    if now - known.missing_since < max(context.policy.interval_floor, context.policy.poll * 3):
        text = f"Oracle answers 404 for {known.id}, perhaps for lack of permissions: reading it again"
        context.rest(context.policy.poll * 3, "starting", events.ANSWERED, text)
        return False
    context.save(state)
    if rows:
        raise OciError(
            f"the instance {known.id} is {status} in the list, and Oracle answers 404 when it is read. Nothing was "
            "sent. Check that the user may read instances in this compartment, then run again."
        )
    raise OciError(
        f"the instance {known.id} cannot be found: Oracle answers 404, and the list does not show it. A user without "
        "permissions gets the same answers, so they do not prove that the instance is gone. Nothing was sent. Search "
        "for it in the console. If it is gone and you want a new one, run once with replace: true and "
        f"confirm: {known.id}"
    )


def found(context: Context, known: Known) -> None:
    """The instance is readable."""
    if known.missing_since is not None:
        known.missing_since = None
        context.save(context.state)
