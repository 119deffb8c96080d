# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the faults that the watch was shown, each with the command to type."""

from fault_table import pytest_terminal_summary, shown

__all__ = ["pytest_terminal_summary", "shown"]
