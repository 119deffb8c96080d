# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that change in any way, and crash loops of any length: the attacks of the unit tests that need no engine.

OBX_FAULTS=full tries 60 stacks with 8 changes each.
"""

from __future__ import annotations

import test_compose_bound_files
import test_compose_evidence

test_after_any_change_a_process_has_read_its_files_and_each_release_was_healthy = (
    test_compose_bound_files.test_after_any_change_a_process_has_read_its_files_and_each_release_was_healthy
)
test_crash_loops_of_any_length_are_found_and_nothing_else = (
    test_compose_evidence.test_crash_loops_of_any_length_are_found_and_nothing_else
)
