# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that several backup modules have."""

from __future__ import annotations


class ModuleDocFragment:
    # The stack.
    DOCUMENTATION = r"""
options:
  name:
    description: Name of the stack. It must be the one in the backup configuration.
    type: str
    required: true
  config:
    description:
      - Path of the stack's backup configuration, which the role P(onebox.stack.backups#role) writes.
      - The default is C(/etc/onebox/backup/<name>.json) for root and C(~/.config/onebox/backup/<name>.json) for others.
    type: path
"""

    # The lock.
    WAIT = r"""
options:
  wait:
    description: Seconds to wait for another run on this stack. After that the module fails.
    type: float
    default: 0.0
"""

    # The backup set.
    SET = r"""
options:
  repository:
    description: The repository to read.
    type: str
    choices: [local, offsite]
    default: local
  set:
    description: Sequence number of a set, or V(latest).
    type: str
    default: latest
  authentication_key:
    description: File on the host with an additional authentication key, such as the one of the previous host.
    type: path
  accept_unauthenticated:
    description:
      - Number of a set to use although it is not authenticated, because an earlier version created it or its key is
        lost. Use it only if no one else could write to the repository.
    type: int
    default: 0
"""
