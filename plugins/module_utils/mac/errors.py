# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors on a Mac's host side."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


class MacError(OneboxError):
    """A part of the host could not be read or changed. The text names the problem and the fix."""
