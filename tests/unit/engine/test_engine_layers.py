# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of containers on the host. The table is a line of a Docker 28 with the image store of containerd."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine import layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.layers import Layers
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container, parse_inspect

ID = "9c23db790b0d398aa54221df34557a5ccf78d10814f282045cce4f601115fad5"
STORE = "/var/lib/docker/containerd/daemon/io.containerd.snapshotter.v1.overlayfs/snapshots"
MERGED = f"/var/lib/docker/rootfs/overlayfs/{ID}"
TABLE = (
    f"1101 1084 0:714 / {MERGED} rw,relatime shared:57 - overlay overlay rw,"
    f"lowerdir={STORE}/4/fs:{STORE}/2/fs,upperdir={STORE}/5/fs,workdir={STORE}/5/work\n"
)
FOUND = Layers(f"{STORE}/5/fs", (f"{STORE}/4/fs", f"{STORE}/2/fs"), MERGED)


def container(data: t.Any = None, status: str = "running", identity: str = ID) -> Container:
    graph = {"Name": "overlayfs", "Data": data}
    return parse_inspect({"Id": identity, "State": {"Status": status, "Pid": 7}, "GraphDriver": graph})


@pytest.fixture
def table(tmp_path: pathlib.Path) -> t.Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "mountinfo"
        path.write_text(f"22 27 0:21 / /sys rw,nosuid - sysfs sysfs rw\n{text}")
        return str(path)

    return write


def test_directories_that_the_engine_reports_are_used(table):
    data = {"UpperDir": "/l/up", "LowerDir": "/l/2:/l/1", "MergedDir": "/l/all"}
    assert layers.of(container(data), table(TABLE)) == Layers("/l/up", ("/l/2", "/l/1"), "/l/all")


def test_running_container_of_containerd_is_found_in_the_mounts_of_the_host(table):
    assert layers.of(container(), table(TABLE)) == FOUND


def test_shortened_and_separate_layers_are_found(table):
    short = TABLE.replace(f"lowerdir={STORE}/4/fs:{STORE}/2/fs", "lowerdir=4/fs:2/fs")
    apart = TABLE.replace(f"lowerdir={STORE}/4/fs:{STORE}/2/fs", f"lowerdir+={STORE}/4/fs,lowerdir+={STORE}/2/fs")
    assert layers.of(container(), table(short)) == FOUND
    assert layers.of(container(), table(apart)) == FOUND


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"status": "exited"}, TABLE),
        ({"identity": "a" * 64}, TABLE),
        ({"identity": ""}, TABLE),
        ({}, TABLE.replace(" - overlay overlay", " - ext4 /dev/vda")),
        ({}, TABLE.replace(f"{ID} rw", f"{ID}/inside rw")),
        ({}, ""),
    ],
    ids=["stopped", "other container", "no id", "other file system", "below the container", "not mounted"],
)
def test_other_containers_and_mounts_have_unknown_directories(table, changes, text):
    assert layers.of(container(**changes), table(text)) == Layers()


def test_host_without_a_table_of_mounts_has_unknown_directories(tmp_path):
    assert layers.of(container(), str(tmp_path / "missing")) == Layers()
