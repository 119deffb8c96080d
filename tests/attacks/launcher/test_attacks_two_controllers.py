# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two controllers with two state files against the recorded simulation of the testbed, never Oracle's cloud.

The clock is simulated. 500 random histories by default, 10,000 with OBX_FAULTS=full.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import typing as t

from oci_histories_two import play_two

Tally = t.Callable[[str, int, int], None]


def test_random_histories_of_two_controllers_end_with_one_instance(
    tally: Tally, how_many: t.Callable[[int, int], int]
) -> None:
    histories = how_many(500, 10_000)
    # A new interpreter would have to find the collection again, so the workers are forks of this one.
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
        verdicts = list(pool.map(play_two, range(histories), chunksize=25))
    raced = [verdict for verdict in verdicts if verdict.raced]
    asked = [verdict for verdict in verdicts if verdict.asked]
    returned = sum(verdict.returned for verdict in verdicts)
    print(
        f"\n{histories} histories, {sum(verdict.launches for verdict in verdicts)} launch requests, "
        f"{sum(verdict.kills for verdict in verdicts)} kills; two instances at once in {len(raced)}, {returned} "
        f"terminated before they ran, {len(asked)} where both ran and the owner decided"
    )
    assert len(raced) > histories / 20
    assert returned > histories / 50
    for what, count in {
        "two controllers: more than one instance after one reconciliation": [verdict.doubles for verdict in verdicts],
        "two controllers: an instance that ran was terminated": [verdict.ended_running for verdict in verdicts],
        "two controllers: an instance was lost": [verdict.lost for verdict in verdicts],
        "two controllers: both ran, and this was not reported": [verdict.unreported for verdict in verdicts],
    }.items():
        bad = [seed for seed, number in enumerate(count) if number]
        if bad:
            print(f"{what}: seeds {bad[:20]}")
        tally(what, histories, len(bad))
