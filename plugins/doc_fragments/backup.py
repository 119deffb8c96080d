# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options the backup modules share."""

from __future__ import annotations


class ModuleDocFragment:
    # Which backups.
    DOCUMENTATION = r"""
options:
  name:
    description: The stack. It must be the one the declaration is for.
    type: str
    required: true
  config:
    description:
      - Path of the stack's backup declaration, which the role P(onebox.stack.backups#role) writes.
      - The default is C(/etc/onebox/backup/<name>.json) for root and C(~/.config/onebox/backup/<name>.json) for others.
    type: path
"""

    # How long to wait for others.
    WAIT = r"""
options:
  wait:
    description: Seconds to wait for another run of this stack before giving up.
    type: float
    default: 0.0
"""

    # Which set of them.
    SET = r"""
options:
  repository:
    description: Which repository to read.
    type: str
    choices: [local, offsite]
    default: local
  set:
    description: Sequence number of a set, or V(latest).
    type: str
    default: latest
  authentication_key:
    description: File on the host with a further authentication key, such as the one of the host before.
    type: path
  accept_unauthenticated:
    description:
      - Number of the one set to use although it is not authenticated, because it was taken by an earlier version or
        its key is lost. Use it only when nobody else could write to the repository.
    type: int
    default: 0
"""
