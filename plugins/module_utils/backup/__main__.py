# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python3 -m …backup`` and the one-file program."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli

if __name__ == "__main__":
    raise SystemExit(cli.main())
