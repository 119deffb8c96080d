# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports for the tests: no two tests get the same one, no program gets one by chance, a dead process keeps none."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import typing as t

import pytest

TESTBED = pathlib.Path(__file__).resolve().parents[2] / "testbed"
sys.path.insert(0, str(TESTBED))

from onebox_testbed import base, ports  # noqa: E402

OTHER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from onebox_testbed import ports
ports.CLAIMS, ports.RANGE = pathlib.Path(sys.argv[2]), range(20000, int(sys.argv[3]))
print(ports.claim(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def four(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[set[int]]:
    """Four ports, claimed by this test only, whatever this machine serves."""
    ports._claims.cache_clear()
    monkeypatch.setattr(ports, "CLAIMS", tmp_path / "ports")
    monkeypatch.setattr(ports, "RANGE", range(20000, 20004))
    monkeypatch.setattr(ports, "_own", set())
    monkeypatch.setattr(ports, "_listens", lambda port: False)
    yield set(ports.RANGE)
    ports._claims.cache_clear()


def test_two_processes_never_hold_the_same_port(four: set[int], tmp_path: pathlib.Path) -> None:
    words = [sys.executable, "-c", OTHER, TESTBED, tmp_path / "ports", "20004"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        theirs = int(other.stdout.readline())
        ours = {ports.claim() for _number in range(3)}
        assert ours == four - {theirs}
        with pytest.raises(base.TestbedError, match="20000 to 20003"):
            ports.claim()
        other.kill()
        other.wait()
        assert ports.claim() == theirs


def test_port_with_a_listener_is_not_given_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert ports._listens(taken)
    assert not ports._listens(taken)


def test_kernel_gives_none_of_them_out_by_chance() -> None:
    range_of_kernel = pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not range_of_kernel.exists():
        pytest.skip("only Linux tells its range")
    assert max(ports.RANGE) < int(range_of_kernel.read_text().split()[0])
