# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wrong clock of a guest: reported, and set with mend_clock. boot_macbook.py has a real guest."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import ensure, health
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.wanted import Host, Wanted
from recorded import SEED, Recorded, client, home_with


class Guest(Recorded):
    """The seed's machine, running, which records the calls of ssh."""

    def __init__(self) -> None:
        super().__init__("5.8.6", {"inspect": ("derived-macos", "inspect-libkrun-seed-running.json")})
        self.said: list[tuple[str, ...]] = []

    def __call__(self, argv: t.Sequence[str], **options: t.Any) -> process.Result:
        if argv[1:3] == ["machine", "ssh"]:
            self.said.append(tuple(argv[3:]))
            return process.Result(tuple(argv), 0, "", "", 0.0)
        return super().__call__(argv, **options)


def run(tmp_path: pathlib.Path, drift: float, **given: t.Any) -> tuple[dict[str, t.Any], Guest]:
    guest = Guest()
    home = home_with(tmp_path, ("libkrun", SEED))
    podman = client(
        guest, home, lambda _socket: health.Health(True, "5.8.6", drift), uid=501, epoch=lambda: 1764115200.4
    )
    host = Host(podman.version, str(tmp_path), 8, 16384, 500, lambda _path: True)
    image = tmp_path / "image"
    image.touch()
    return ensure.ensure(podman, Wanted("97layerOS"), ensure.Options("darwin", **given), host), guest


@pytest.fixture(autouse=True)
def disk_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the disk of the seed's machine, which is on another Mac."""
    from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import read

    monkeypatch.setattr(read.os.path, "exists", lambda _path: True)


def test_wrong_clock_is_a_warning_with_the_fix(tmp_path: pathlib.Path) -> None:
    result, guest = run(tmp_path, -600.0)
    assert not result["changed"]
    assert "-600 s off" in result["warnings"][0]
    assert "mend_clock: true" in result["warnings"][0]
    assert guest.said == []


def test_wrong_clock_is_set_with_the_option(tmp_path: pathlib.Path) -> None:
    result, guest = run(tmp_path, -600.0, mend_clock=True)
    assert result["changed"]
    assert guest.said == [("97layerOS", "sudo date --utc --set @1764115200")]
    assert result["actions"] == [["podman", "machine", "ssh", *guest.said[0]]]
    assert (result["diff"]["before"]["clock_drift"], result["machine"]["clock_drift"]) == (-600.0, 0.0)
    assert result["warnings"] == []


def test_wrong_clock_in_check_mode_is_only_reported(tmp_path: pathlib.Path) -> None:
    result, guest = run(tmp_path, 31.0, mend_clock=True, check=True)
    assert (result["changed"], guest.said, result["machine"]["clock_drift"]) == (True, [], 31.0)


def test_clock_difference_of_seconds_is_ignored(tmp_path: pathlib.Path) -> None:
    result, guest = run(tmp_path, 29.0, mend_clock=True)
    assert (result["changed"], result["warnings"], guest.said) == (False, [], [])
