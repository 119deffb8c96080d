# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The global arguments of docker compose for one stack."""

from __future__ import annotations

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Tool
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import common_arguments
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source


def arguments(tool: Tool, source: Source) -> list[str]:
    """The global arguments of each call for a stack."""
    return [
        *tool.argv,
        *("-p", source.project, "--project-directory", source.read_dir),
        *common_arguments(source),
    ]
