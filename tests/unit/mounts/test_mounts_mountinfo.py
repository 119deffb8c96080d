"""The mountinfo parser, on a recorded file of a real container and on generated ones."""

from __future__ import annotations

import os
import pathlib
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.mountinfo import Table, parse_row, unescape
from hypothesis import given
from hypothesis import strategies as st

RECORDED = pathlib.Path(__file__).parent / "fixtures" / "docker-20.10.mountinfo"


@pytest.fixture(scope="module")
def table() -> Table:
    return Table.parse(RECORDED.read_bytes())


def escape(path: bytes) -> bytes:
    """What the kernel does (fs/seq_file.c, mangle with " \\t\\n\\\\")."""
    return b"".join(b"\\%03o" % byte if byte in b" \t\n\\" else bytes([byte]) for byte in path)


def test_recorded_names_are_parsed(table: Table) -> None:
    folder = "/var/tmp/obx-mounts-cap"
    roots = {row.point: row.root for row in table.rows if row.root.startswith(folder)}
    assert roots["/nl"] == f"{folder}/new\nline"
    assert roots["/bs"] == f"{folder}/back\\slash"
    assert roots["/with space"] == f"{folder}/with space"
    assert roots["/ünï"] == f"{folder}/ünï"


def test_recorded_states_are_parsed(table: Table) -> None:
    by_point = {row.point: row for row in table.rows}
    assert by_point["/gone"].deleted
    assert by_point["/gone"].root == "/var/tmp/obx-mounts-cap/gone"
    assert by_point["/f"].deleted
    assert not by_point["/old"].deleted
    assert by_point["/old"].root.endswith("/older")
    assert by_point["/ünï"].read_only
    assert not by_point["/old"].read_only
    assert by_point["/proc/acpi"].file_system_read_only
    assert by_point["/"].propagation == ("master:4",)
    assert by_point["/"].fstype == "overlay"


def test_stack_and_below(table: Table) -> None:
    assert [row.fstype for row in table.at("/late")] == ["ext4", "tmpfs"]
    assert table.at("/lat") == []
    assert {row.point for row in table.below("/proc")} == {row.point for row in table.rows if row.point[:6] == "/proc/"}
    assert len(table.below("/")) == len(table.rows) - 1
    assert table.by_id(104).point == "/proc/bus"  # type: ignore[union-attr]
    assert table.by_id(1) is None


def test_paths_of_an_object() -> None:
    rows = ("25 1 8:1 / /", "30 25 8:1 /srv /mnt", "31 25 8:2 / /d")
    table = Table.parse("".join(f"{row} rw - ext4 /dev/sda1 rw\n" for row in rows).encode())
    assert table.paths_of("8:1", "/srv/data") == ["/srv/data", "/mnt/data"]
    assert table.paths_of("8:1", "/srv") == ["/srv", "/mnt"]
    assert table.paths_of("8:1", "/srvx") == ["/srvx"]
    assert table.paths_of("8:2", "/") == ["/d"]
    assert table.paths_of("9:9", "/") == []


@pytest.mark.parametrize(
    "line", ["", "1 2 8:1 / /", "1 2 8:1 / / rw shared:1 ext4 /dev/sda1", "x 2 8:1 / / rw - a b c"]
)
def test_text_that_is_not_mountinfo_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"mountinfo|invalid literal"):
        parse_row(line)


@given(st.binary(min_size=1).filter(lambda data: b"\0" not in data))
def test_every_name_comes_back(name: bytes) -> None:
    line = (
        b"7 1 8:1 /" + escape(name) + b" /p/" + escape(name) + b" rw,noatime shared:3 master:1 - ext4 /dev/x rw,a=b\n"
    )
    (row,) = Table.parse(line).rows
    root = os.fsencode(row.root)
    if name.endswith(b"//deleted"):
        assert row.deleted
    else:
        assert root == b"/" + name
    assert os.fsencode(row.point) == b"/p/" + name
    assert row.propagation == ("shared:3", "master:1")


@given(st.text(alphabet=st.characters(blacklist_characters="\\", blacklist_categories=("Cs",))))
def test_text_without_escapes_is_left_alone(text: str) -> None:
    assert unescape(text) == text


def test_ten_thousand_lines_take_no_time_to_speak_of() -> None:
    row = "{} 1 8:1 /srv/d{} /mnt/with\\040space/d{} rw,relatime shared:{} - ext4 /dev/sda1 rw"
    data = "\n".join(row.format(number, number, number, number) for number in range(10_000)).encode()
    began = time.process_time()
    table = Table.parse(data)
    assert len(table.below("/mnt/with space")) == 10_000
    assert len(table.at("/mnt/with space/d77")) == 1
    assert time.process_time() - began < 2.0  # 0.06 s where it was written; room for a slow runner
