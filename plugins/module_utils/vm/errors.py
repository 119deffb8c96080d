# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of virtual machines."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


class MachineError(OneboxError):
    """A virtual machine cannot be queried or changed. The text names the problem, its place and the fix."""


class Hung(MachineError):
    """podman itself hangs, because the virtual machine's process does not answer it."""
