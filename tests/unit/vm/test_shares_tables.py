# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories a virtual machine is configured to share; a file that cannot be read makes the answer None."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine, shares
from recorded import VERSIONS, data, world


def podman_answers(text: str) -> process.Runner:
    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        assert list(argv) == ["podman", "machine", "inspect", "97layerOS"]
        return process.Result(tuple(argv), 0, text, "", 0.0)

    return run


def nothing_runs(argv: t.Sequence[str], **options: t.Any) -> process.Result:
    raise AssertionError(f"nothing is to be started, and {argv} was")


def colima(home: pathlib.Path, text: str, folder: str = ".colima", **environ: str) -> list[tuple[str, str]] | None:
    """The table of a Colima whose applied file has ``text``."""
    path = home / folder / "_lima" / "colima" / "colima.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return shares(Machine.of("colima", environ={}), world(run=nothing_runs, home=str(home), environ=environ), 5)


@pytest.mark.parametrize("version", VERSIONS)
def test_podman_table_is_read_from_the_files_of_every_version(version: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "97layerOS.json").write_text(json.dumps(data(version, "config-97layerOS.json")))
    row = json.loads((pathlib.Path(__file__).parent / "fixtures" / version / "13-inspect.stdout").read_text())[0]
    row["ConfigDir"] = {"Path": str(tmp_path)}
    found = shares(Machine.of("podman", "97layerOS", environ={}), world(run=podman_answers(json.dumps([row]))), 5)
    assert found is not None
    assert ("/home/mac", "/home/mac") in found


@pytest.mark.parametrize(
    "config", ["", "[]", "null", '{"Mounts": 3}', '{"Mounts": ["/a"]}', '{"Mounts": [{"Source": "/a"}]}', "\xff"]
)
def test_podman_table_of_a_damaged_file_is_unknown(config: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "97layerOS.json").write_bytes(config.encode("latin-1"))
    told = json.dumps([{"Name": "97layerOS", "ConfigDir": {"Path": str(tmp_path)}}])
    assert shares(Machine.of("podman", "97layerOS", environ={}), world(run=podman_answers(told)), 5) is None


@pytest.mark.parametrize("told", ["", "null", "[]", "[3]", '[{"Name": "97layerOS"}]', "{}"])
def test_podman_table_without_an_inspection_is_unknown(told: str) -> None:
    assert shares(Machine.of("podman", "97layerOS", environ={}), world(run=podman_answers(told)), 5) is None


def test_colima_mount_point_is_the_directory_in_the_guest(tmp_path: pathlib.Path) -> None:
    text = "mounts:\n  - location: ~/code\n    mountPoint: /mnt/code\n    writable: true\n"
    assert colima(tmp_path, text) == [(f"{tmp_path}/code", "/mnt/code")]


def test_colima_without_mounts_shares_nothing(tmp_path: pathlib.Path) -> None:
    assert colima(tmp_path, "mounts: null\n") == []


def test_colima_below_the_configuration_directory_is_found(tmp_path: pathlib.Path) -> None:
    assert colima(tmp_path, "mounts: []\n", ".config/colima") == [(str(tmp_path), str(tmp_path))]


def test_colima_below_colima_home_is_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".colima").mkdir()
    elsewhere = colima(tmp_path, "mounts: []\n", "elsewhere", COLIMA_HOME=f"{tmp_path}/elsewhere")
    assert elsewhere == [(str(tmp_path), str(tmp_path))]


@pytest.mark.parametrize("text", ["mounts: [{location: /a}]\n", "mounts:\n\t- location: /a\n", "cpu: 1\ncpu: 2\n"])
def test_colima_table_of_a_file_with_unknown_syntax_is_unknown(text: str, tmp_path: pathlib.Path) -> None:
    assert colima(tmp_path, text) is None


def test_colima_table_without_a_file_is_unknown(tmp_path: pathlib.Path) -> None:
    assert shares(Machine.of("colima", environ={}), world(run=nothing_runs, home=str(tmp_path), environ={}), 5) is None
