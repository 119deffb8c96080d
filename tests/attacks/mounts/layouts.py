# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All layouts: importing this module registers them."""

from __future__ import annotations

import layouts_below
import layouts_disks
import layouts_processes
from layout_registry import LAYOUTS, ONLY_DOCKER

__all__ = ["LAYOUTS", "ONLY_DOCKER", "layouts_below", "layouts_disks", "layouts_processes"]
