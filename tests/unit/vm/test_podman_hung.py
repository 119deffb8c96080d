# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine whose process hangs: podman queries it and waits forever.

The process is real. Podman's answers are recordings; while the process lives, podman does not answer.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import Hung
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import ensure
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Wanted
from recorded import Recorded, client, data, home_with


@pytest.fixture
def vm(tmp_path: pathlib.Path) -> t.Iterator[subprocess.Popen[bytes]]:
    disk = tmp_path / "disk.qcow2"
    disk.touch()
    argv = [sys.executable, "-c", "print(flush=True); input()", str(disk)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        os.kill(started.pid, signal.SIGSTOP)
        yield started
        started.kill()


class Silent(Recorded):
    """No answer while the virtual machine lives."""

    def __init__(self, vm: subprocess.Popen[bytes]) -> None:
        super().__init__("5.4.2", {"inspect": ("5.4.2", "13-inspect")})
        self.vm = vm

    def __call__(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        if argv[0] == "ps":
            return process.run(argv, timeout=10.0)
        if argv[1:3] == ["machine", "inspect"] and self.vm.poll() is None:
            raise process.CommandTimeout("inspect did not finish", process.Result(tuple(argv), -1, "", "", 30.0))
        return super().__call__(argv, **options)


def want_stopped(tmp_path: pathlib.Path, vm: subprocess.Popen[bytes], recover: str, check: bool) -> dict[str, t.Any]:
    config = {**data("5.4.2", "config-97layerOS.json"), "ImagePath": {"Path": str(tmp_path / "disk.qcow2")}}
    podman = client(Silent(vm), home_with(tmp_path, ("qemu", config)))
    wanted = Wanted("97layerOS", state="stopped", recover=recover)
    return ensure.ensure(podman, wanted, ensure.Options("darwin", check=check), ensure.host_facts(podman))


@pytest.mark.parametrize(("recover", "check"), [("none", False), ("none", True), ("kill_stale", True)])
def test_hung_machine_is_reported_and_kept(
    tmp_path: pathlib.Path, vm: subprocess.Popen[bytes], recover: str, check: bool
) -> None:
    with pytest.raises(Hung, match="does not answer podman. Run again with recover: kill_stale"):
        want_stopped(tmp_path, vm, recover, check)
    assert vm.poll() is None


def test_hung_machine_is_killed_with_kill_stale(tmp_path: pathlib.Path, vm: subprocess.Popen[bytes]) -> None:
    result = want_stopped(tmp_path, vm, "kill_stale", False)
    assert vm.wait(10) == -signal.SIGKILL
    assert (result["changed"], result["machine"]["state"]) == (True, "stopped")
    assert result["actions"] == [["kill", sys.executable]]
