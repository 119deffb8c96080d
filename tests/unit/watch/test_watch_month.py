# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A month of normal life raises no alarm: deploys, reboots, backups, log rotation, slow engines."""

from __future__ import annotations

import json
import random
import typing as t

import pytest
from watch_facts import DAY, GIB, HOUR, NOW, STEP, Facts, Watch, healthy, live, one

_DAYS = 31


def disk_used(now: float, noise: random.Random) -> float:
    """Bytes that come and go: logs rotated at midnight, a backup staged each night, images pulled on deploys."""
    day, second = divmod(now - NOW, DAY)
    used = 40 * GIB + day * 0.05 * GIB  # 50 MiB a day: years until it is full
    used += second / DAY * 4 * GIB  # logs of the day
    if 2 * HOUR < second < 2.6 * HOUR:
        used += 15 * GIB * (second - 2 * HOUR) / HOUR  # the staged backup
    used += 3 * GIB * (day // 7 % 2)  # images of a deploy, pruned the week after
    return used + noise.random() * 0.02 * GIB


def facts_at(now: float, noise: random.Random, generation: int) -> Facts:
    """Facts of an ordinary day."""
    facts = healthy(now)
    day, second = divmod(now - NOW, DAY)
    taken = NOW + (day if second > 2.6 * HOUR else day - 1) * DAY + 2.6 * HOUR
    backup = facts["stacks"]["shop"]["backup"]
    backup.update(committed=taken, last_run={"at": taken, "error": ""}, seq=int(day) + 1)
    backup["offsite"]["at"] = taken
    rehearsed = NOW + day // 7 * 7 * DAY - DAY
    for place in backup["rehearsals"].values():
        place.update(last={"at": rehearsed, "ok": True, "error": ""}, runs=[{"at": rehearsed, "ok": True, "seq": 1}])
    facts["disks"][0]["free"] = 100 * GIB - disk_used(now, noise)
    for each in live(facts)["containers"]:
        each["id"] += f"-{generation}"
        each["created"] = NOW - DAY if generation == 0 else NOW + generation * 3 * DAY + 10 * HOUR
        each["log"]["size"] = second * 800  # 66 MiB a day, rotated at midnight
    facts["endpoints"][0]["expires"] = NOW + (60 if day < 20 else 90) * DAY
    return facts


def disturb(facts: Facts, run: int, noise: random.Random) -> None:
    """What a run of a busy host meets now and then, each gone by the next run."""
    if run % 97 == 5:
        one(facts, "web")["health"] = "starting"
    if run % 211 == 7:
        one(facts, "web")["health"] = "unhealthy"
    if run % 307 == 11:
        stack = facts["stacks"]["shop"]
        stack.update(live={"error": "no answer within 15 s", "hung": True}, mounts=None, plan=None)
    if run % 401 == 13:
        facts["endpoints"][0].update(status=0, why="no complete answer within 5 s")
    if run % 503 == 17:
        facts["clock"] = {"synchronised": False}
    if run % 601 == 19:
        facts["cut_short"] = ["plan shop"]
    if noise.random() < 0.002:
        facts["stacks"]["shop"]["mounts"] = {"error": "no answer within 20 s", "hung": True}


@pytest.fixture
def step(how_many: t.Callable[[int, int], int]) -> float:
    """Seconds between two runs."""
    return how_many(900, int(STEP))


def test_month_of_normal_life_raises_no_alarm(step: float) -> None:
    noise = random.Random(18)
    watch = Watch()
    alarms: list[str] = []
    reboot_at = booted = NOW - 40 * DAY
    last_deploy = -1
    for run in range(int(_DAYS * DAY / step)):
        now = watch.now
        day, second = divmod(now - NOW, DAY)
        deploys = int(day // 3)
        deploying = day % 3 == 0 and day > 0 and 10 * HOUR <= second < 10 * HOUR + 900
        facts = facts_at(now, noise, deploys if second >= 10 * HOUR or day % 3 else max(0, deploys - 1))
        if deploying:
            last_deploy = run
            live(facts).update(deploying=watch.day().isoformat())
            live(facts)["containers"].pop()
            facts["stacks"]["shop"].update(mounts=None, plan=None)
        elif day % 10 == 4 and 4 * HOUR <= second < 4 * HOUR + step:
            # A reboot: the host is off for two runs, then one run meets containers that are starting.
            watch.now += 2 * step
            reboot_at = booted = watch.now - 60
            facts = facts_at(watch.now, noise, deploys)
            one(facts, "web").update(status="created", health="")
        else:
            disturb(facts, run, noise)
        facts["uptime"] = watch.now - booted
        watch.run(facts, step)
        alarms += [f"day {day:.0f}: {row['what']}" for row in watch.outcome.active]
    assert alarms == []
    assert last_deploy > 0
    assert reboot_at > NOW


def test_month_with_one_fault_raises_one_alarm_once(step: float) -> None:
    """The same judges are not blind: a service that stays unhealthy on day 10 is raised once and cleared once."""
    noise = random.Random(18)
    watch = Watch()
    raised: list[str] = []
    cleared: list[str] = []
    for run in range(int(12 * DAY / step)):
        facts = facts_at(watch.now, noise, 0)
        disturb(facts, run, noise)
        if 10 * DAY <= watch.now - NOW < 10 * DAY + 14 * HOUR and facts["stacks"]["shop"]["live"].get("containers"):
            one(facts, "web")["health"] = "unhealthy"
        facts["uptime"] = watch.now - NOW + 40 * DAY
        watch.run(facts, step)
        raised += watch.outcome.raised
        cleared += [row["key"] for row in watch.outcome.cleared]
    assert raised == ["unhealthy shop/web"]
    assert cleared == ["unhealthy shop/web"]


def test_notes_of_days_stay_small() -> None:
    noise = random.Random(1)
    watch = Watch()
    for run in range(9 * 24):
        watch.run(facts_at(watch.now, noise, run // 24), HOUR / 4)
    assert len(json.dumps(watch.notes)) < 200_000
