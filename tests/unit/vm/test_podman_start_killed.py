# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A start by another process is awaited, a killed start is not. Podman's answers are recordings."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import ensure
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.apply import Limits
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Wanted
from recorded import Recorded, client, data, home_with

STARTING = {**data("5.4.2", "config-97layerOS.json"), "Starting": True}


class Waited(Exception):
    """The module sleeps until the other start has ended."""


def wait_or_refuse(tmp_path: pathlib.Path, age: float) -> None:
    env = home_with(tmp_path, ("qemu", {**STARTING, "ImagePath": {"Path": str(tmp_path / "disk.qcow2")}}))
    file = tmp_path / ".config/containers/podman/machine/qemu/97layerOS.json"
    (tmp_path / "disk.qcow2").touch()
    written = file.stat().st_mtime - age
    os.utime(file, (written, written))
    recorded = Recorded("5.4.2", {"inspect": ("5.4.2", "86-inspect-while-starting")})

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        return process.run(argv, timeout=10.0) if argv[0] == "ps" else recorded(argv, **options)

    def sleep(seconds: float) -> t.NoReturn:
        raise Waited

    podman = client(run, env, sleep=sleep)
    options = ensure.Options("linux", limits=Limits(start=300.0))
    ensure.ensure(podman, Wanted("97layerOS", state="started"), options, ensure.host_facts(podman))


def test_start_without_processes_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ensure.Refused, match="recover: kill_stale"):
        wait_or_refuse(tmp_path, age=60.0)


def test_start_with_a_running_vm_is_awaited(tmp_path: pathlib.Path) -> None:
    argv = [sys.executable, "-c", "print(flush=True); input()", str(tmp_path / "disk.qcow2")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as vm:
        assert vm.stdout is not None
        vm.stdout.readline()
        with pytest.raises(Waited):
            wait_or_refuse(tmp_path, age=60.0)
        vm.communicate(b"\n")


def test_start_of_a_second_ago_is_awaited(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Waited):
        wait_or_refuse(tmp_path, age=1.0)


def test_start_over_its_time_limit_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ensure.Refused, match="recover: kill_stale"):
        wait_or_refuse(tmp_path, age=301.0)
