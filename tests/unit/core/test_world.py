# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outside as one value: the real one, and waiting with a clock that only moves during a sleep."""

import dataclasses

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World


def test_real_world_starts_processes():
    assert World.real().run(["echo", "hello"], timeout=10).stdout == "hello\n"


def test_now_is_iso_8601_in_utc():
    world = dataclasses.replace(World.real(), epoch=lambda: 1_795_921_200.9)
    assert world.now() == "2026-11-29T03:00:00Z"


def test_wait_until_stops_at_its_timeout_and_no_later():
    now = [0.0]
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now[0] += seconds

    world = dataclasses.replace(World.real(), monotonic=lambda: now[0], sleep=sleep)
    assert not world.wait_until(lambda: False, timeout=1.0, interval=0.4)
    assert now[0] == 1.0
    assert len(naps) == 3
    assert world.wait_until(lambda: now[0] >= 1.5, timeout=1.0, interval=0.4)
    assert world.wait_until(lambda: True, timeout=0.0)
