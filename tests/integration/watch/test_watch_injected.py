# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults injected into a real host are named with the command to type. Those of containers: test_watch_engines.py."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch import cli, config, run
from injected_faults import FAULTS, Fault, Host

MOUNTS = ("disk_full", "inodes_full")


@pytest.fixture
def host(tmp_path: pathlib.Path) -> t.Iterator[Host]:
    with contextlib.ExitStack() as undo:
        yield Host(tmp_path, undo)


def findings(host: Host, *, by_timer: bool = False) -> dict[str, dict[str, t.Any]]:
    """Findings by code."""
    found = config.parse(host.declared())
    if not by_timer:
        return {row["code"]: row for row in run.check_now(found, World.real())["findings"]}
    for _run in range(3):  # most findings need two runs, and a failed report is known to the next run
        document, _failure = cli.once(found, World.real())
    return {row["code"]: row for row in document["findings"]}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_injected_fault_is_named_with_its_command_in_time(
    host: Host, fault: Fault, shown: t.Callable[[str, str, str], None]
) -> None:
    if fault.code in MOUNTS and os.geteuid() != 0:
        pytest.skip("mounting a filesystem needs root")
    fault.inject(host)
    began = time.process_time()
    found: dict[str, dict[str, t.Any]] = {}

    def named() -> bool:
        # A busy machine may need a second run until a server answers in time.
        found.update(findings(host, by_timer=fault.by_timer))
        return fault.code in found

    assert World.real().wait_until(named, 60.0, 1.0), found
    assert fault.fix in found[fault.code]["fix"]
    assert time.process_time() - began < 60
    shown(fault.name, found[fault.code]["what"], found[fault.code]["fix"])


def test_host_with_healthy_backups_has_no_finding_of_them(host: Host) -> None:
    host.backups()
    host.stack["socket"] = str(host.folder / "none.sock")
    assert set(findings(host)) - {"watch_silent", "promise_no_data"} == {"engine_no_answer"}


def test_host_without_faults_has_no_finding(host: Host) -> None:
    host.alone(endpoints=[{"url": f"http://127.0.0.1:{host.serve(200)}/"}])
    assert findings(host, by_timer=True) == {}


def test_enough_faults_are_injected() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 28
