# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories a machine sees: the token is on a real disk; the guest is a shell on this host."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import visible
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.volumes import Volume
from recorded import Recorded, client, home_with, seed, world


def test_guest_path_follows_the_shared_directories() -> None:
    machine = seed(config_volumes=(Volume("/Users", "/Users"), Volume("/Users/x/w", "/mnt/w"), Volume("/", "/host")))
    paths = ["/Users/a b", "/Users/x/w/y", "/Users/x/wy", "/opt/z"]
    assert [visible.guest_path(path, machine) for path in paths] == [
        "/Users/a b", "/mnt/w/y", "/Users/x/wy", "/host/opt/z",
    ]  # fmt: skip
    assert visible.guest_path("/Volumes/V", seed()) == ""


def look(tmp_path: pathlib.Path, paths: list[str], shared: tuple[Volume, ...]) -> list[dict[str, t.Any]]:
    asked: list[str] = []

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        assert list(argv[1:4]) == ["machine", "ssh", "97layerOS"]
        asked.append(argv[4])
        done = subprocess.run(["sh", "-c", argv[4]], text=True, capture_output=True, check=True)
        return process.Result(tuple(argv), 0, done.stdout, done.stderr, 0.0)

    podman = client(Recorded("5.8.6", {}), home_with(tmp_path))
    podman.world = world(run=run)
    rows = visible.check(podman, seed(config_volumes=shared), paths, "abc123")
    assert len(asked) <= 1
    return rows


def test_each_directory_has_its_own_result(tmp_path: pathlib.Path) -> None:
    good, lost, outside = tmp_path / "it's good", tmp_path / "lost", tmp_path / "outside"
    for folder in (good, lost, outside):
        folder.mkdir()
    shared = (Volume(str(good), str(good)), Volume(str(lost), str(tmp_path / "nothing here")))
    rows = look(tmp_path, [str(good), str(lost), str(outside), str(tmp_path / "none")], shared)
    assert [row["ok"] for row in rows] == [True, False, False, False]
    for row, words in zip(rows[1:], ["does not see the content of", "not below any directory", "no such directory"]):
        assert words in row["message"]
    assert [list(folder.iterdir()) for folder in (good, lost, outside)] == [[], [], []]


def test_guest_that_does_not_answer_leaves_no_token(tmp_path: pathlib.Path) -> None:
    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        raise process.CommandError("ssh", process.Result(tuple(argv), 255, "", "", 0.0))

    folder = tmp_path / "x"
    folder.mkdir()
    podman = client(Recorded("5.8.6", {}), home_with(tmp_path))
    podman.world = world(run=run)
    with pytest.raises(MachineError, match="cannot be queried for shared directories"):
        visible.check(podman, seed(config_volumes=(Volume("/", "/"),)), [str(folder)], "abc")
    assert os.listdir(folder) == []
