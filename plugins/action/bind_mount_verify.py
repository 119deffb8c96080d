# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module of this name with its payload kept between runs."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.plugin_utils.payloads import KeptPayloadAction


class ActionModule(KeptPayloadAction):
    """See the documentation of the module of the same name."""
