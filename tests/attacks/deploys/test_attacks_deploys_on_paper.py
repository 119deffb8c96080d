# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks of the unit tests that need no engine, so that they are counted with all others.

OBX_FAULTS=full tries 200 interleavings of two operators and 1,000 deploys during which a process swaps directories.
"""

from __future__ import annotations

import test_compose_content
import test_compose_deploy_refusals
import test_compose_move_in_interrupted
import test_compose_two_operators

paper = test_compose_content.paper
test_no_byte_leaves_a_data_directory_that_a_process_swaps = (
    test_compose_content.test_no_byte_leaves_a_data_directory_that_a_process_swaps
)
test_refused_deploy_leaves_no_new_byte = test_compose_deploy_refusals.test_refused_deploy_leaves_no_new_byte
test_port_that_is_taken_leaves_no_new_byte = test_compose_deploy_refusals.test_port_that_is_taken_leaves_no_new_byte
test_full_disk_leaves_no_new_byte = test_compose_deploy_refusals.test_full_disk_leaves_no_new_byte
test_kill_at_every_step_loses_nothing_and_the_next_run_converges = (
    test_compose_move_in_interrupted.test_kill_at_every_step_loses_nothing_and_the_next_run_converges
)
test_two_operators_end_with_a_healthy_service_and_a_release_that_ran = (
    test_compose_two_operators.test_two_operators_end_with_a_healthy_service_and_a_release_that_ran
)
