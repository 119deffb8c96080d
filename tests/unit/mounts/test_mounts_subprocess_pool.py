"""The child that may be given up, times of engines, fstab, the table, and expectations."""

from __future__ import annotations

import os
import signal
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts.expected import Expectation
from ansible_collections.onebox.stack.plugins.module_utils.mounts.facts import declared_disks
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool
from ansible_collections.onebox.stack.plugins.module_utils.mounts.model import CheckError
from ansible_collections.onebox.stack.plugins.module_utils.mounts.table import lines
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify

WORLD = World.real()


def test_answers_come_in_order_and_from_a_child() -> None:
    answers = list(subprocess_pool.each(lambda number: [number * 2, os.getpid()], range(100), 5, WORLD))
    assert [answer[0] for answer in answers] == [number * 2 for number in range(100)]
    assert len({answer[1] for answer in answers} | {os.getpid()}) == 2


def test_one_that_hangs_costs_its_time_and_no_more() -> None:
    def work(number: int) -> int:
        if number in (1, 3):
            signal.pause()
        return number

    began = time.monotonic()
    assert list(subprocess_pool.each(work, range(5), 0.7, WORLD)) == [0, None, 2, None, 4]
    assert time.monotonic() - began < 10


def test_one_that_kills_its_child() -> None:
    def work(number: int) -> int:
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert list(subprocess_pool.each(work, range(2), 5, WORLD)) == [None, 1]


def test_large_answers_and_none_at_all() -> None:
    assert list(subprocess_pool.each(lambda size: "ü" * size, [300_000, 1], 10, WORLD)) == ["ü" * 300_000, "ü"]
    assert list(subprocess_pool.each(lambda size: size, [], 1, WORLD)) == []


def test_no_child_is_left_behind() -> None:
    list(subprocess_pool.each(lambda number: number, [1], 5, WORLD))
    list(subprocess_pool.each(lambda number: signal.pause(), [1], 0.1, WORLD))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_disks_an_fstab_promises() -> None:
    text = (
        "# a comment\n\n/dev/sda1 / ext4 defaults 0 1\nUUID=1 /mnt/my\\040disk ext4 defaults 0 2\n"
        "/dev/sdb1 /media/usb vfat noauto,user 0 0\n/dev/sda2 none swap sw 0 0\nbox:/x /srv/share nfs _netdev\nbroken\n"
    )
    assert declared_disks(text) == ["/mnt/my disk", "/srv/share"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({"destination": "/x"}, "container or service"),
        ({"container": "a", "service": "b", "destination": "/x"}, "container or service"),
        ({"container": "a", "destination": "x"}, "destination"),
        ({"container": "a", "destination": "/x", "source": "./x"}, "source"),
        ({"container": "a", "destination": "/x", "type": "pipe"}, "type"),
        ({"container": "a", "destination": "/x", "readonly": True}, "readonly"),
    ],
)
def test_expectation_that_is_not_understood_names_the_key(data: dict[str, t.Any], word: str) -> None:
    with pytest.raises(CheckError, match=word):
        Expectation.parse(data)


def test_unknown_access_is_refused_before_a_query() -> None:
    with pytest.raises(CheckError, match="access must be one of none, read, write, not 'all'"):
        verify(Engine(), Check(access="all"), world=WORLD)


def test_table_shows_findings_first_and_what_to_do() -> None:
    def mount(verdict: str, destination: str) -> dict[str, str]:
        return {"verdict": verdict, "source": "/s", "destination": destination, "message": f"about {destination}"}

    containers = [
        {"name": "a", "mounts": [mount("ok", "/1")]},
        {"name": "bb", "mounts": [mount("stale_file", "/2"), mount("ok", "/33")]},
    ]
    lost = [{"container": "", "message": "no container of worker"}]
    text = lines(
        {
            "containers": containers,
            "missing_mounts": lost,
            "label_mismatch": [],
            "ephemeral_writes": [],
            "data_places": [
                {"at_risk": True, "verdict": "lost_at_down", "message": "data of db would be lost"},
                {"at_risk": False, "verdict": "persistent", "message": ""},
            ],
            "message": "2 of 4",
        }
    )
    assert text == [
        "stale_file  bb  /2   /s",
        "    about /2",
        "ok          a   /1   /s",
        "ok          bb  /33  /s",
        "    no container of worker",
        "lost_at_down  data of db would be lost",
        "2 of 4",
    ]
