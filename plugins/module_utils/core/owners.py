# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of users and groups that options name."""

from __future__ import annotations

import grp
import pwd

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


def uid(owner: str | None) -> int:
    """The number of a user given by name or number; -1, which leaves the owner as it is, for none.

    Raises:
        OneboxError: this host has no such user.
    """
    if not owner:
        return -1
    if owner.isascii() and owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise OneboxError(f"owner {owner!r} does not exist on this host. Use its number.") from None


def gid(group: str | None) -> int:
    """The number of a group given by name or number; -1, which leaves the group as it is, for none.

    Raises:
        OneboxError: this host has no such group.
    """
    if not group:
        return -1
    if group.isascii() and group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OneboxError(f"group {group!r} does not exist on this host. Use its number.") from None
