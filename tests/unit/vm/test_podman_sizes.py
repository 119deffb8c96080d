# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and shared directories as users write them."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import sizes, volumes
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.volumes import Volume
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("4768", "MiB", 4768),
        ("4768MiB", "MiB", 4768),
        ("4768 mib", "MiB", 4768),
        ("5GB", "MiB", 4768),
        ("4.5 GiB", "MiB", 4608),
        ("100GB", "GiB", 93),
        ("93 GiB", "GiB", 93),
        ("1TiB", "GiB", 1024),
        ("1023MiB", "GiB", 0),
    ],
)
def test_size_is_converted_to_the_unit(text: str, unit: str, expected: int) -> None:
    assert sizes.parse(text, unit, "memory_mib") == expected


@pytest.mark.parametrize("text", ["", "5G", "M", "-1", "4,5GB", "4 GB 3", "1e3"])
def test_invalid_size_is_refused(text: str) -> None:
    with pytest.raises(MachineError, match="^memory_mib: "):
        sizes.parse(text, "MiB", "memory_mib")


@given(st.integers(min_value=0, max_value=2**24))
def test_returned_values_are_accepted_as_options(number: int) -> None:
    for unit in ("MiB", "GiB"):
        assert sizes.parse(f"{number}{unit}", unit, "x") == sizes.parse(str(number), unit, "x") == number


ENV = {"HOME": "/Users/97layer", "W": "/Volumes/Work"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a", Volume("/a", "/a")),
        ("/a/:/b/:ro", Volume("/a", "/b", True)),
        ("$HOME", Volume("/Users/97layer", "/Users/97layer")),
        ("~/x:/mnt/x", Volume("/Users/97layer/x", "/mnt/x")),
        ("${W}/a b:/mnt/a b:rw", Volume("/Volumes/Work/a b", "/mnt/a b")),
    ],
)
def test_volume_is_parsed_with_defaults(text: str, expected: Volume) -> None:
    assert volumes.parse(text, ENV) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not source"),
        (":/a", "is not source"),
        ("/a:/b:ro:x", "is not source"),
        ("a:/b", "absolute"),
        ("/a:b", "absolute"),
        ("/a:/b:z", "option 'z'"),
        ("$NONE/a", r"\$NONE, which is not set"),
        ("/a:/home", "would cover /home"),
        ("/a:/var/", "would cover /var"),
        ("/a:/mnt/../etc", "would cover /etc"),
        ("/", "would cover /"),
    ],
)
def test_invalid_volume_is_refused(text: str, words: str) -> None:
    with pytest.raises(MachineError, match=words):
        volumes.parse(text, ENV)


def test_links_in_sources_are_followed_for_the_comparison(tmp_path: pathlib.Path) -> None:
    (tmp_path / "private").mkdir()
    os.symlink("private", tmp_path / "tmp")
    left = [Volume(str(tmp_path / "tmp"), "/t/"), Volume("/a", "/a")]
    right = [Volume("/a", "/a"), Volume(str(tmp_path / "private"), "/t")]
    assert volumes.same(left, right)
    assert not volumes.same(left, right[1:])
    assert not volumes.same(left, [*right[:1], Volume(right[1].source, "/t", True)])
