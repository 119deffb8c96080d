# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports and volumes in every spelling."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import (
    Bind,
    PortRow,
    port,
    seconds,
    volume,
)


@pytest.mark.parametrize(
    ("row", "ports"),
    [
        ("80", [("", 0, 80, "tcp")]),
        (80, [("", 0, 80, "tcp")]),
        ("8080:80", [("", 8080, 80, "tcp")]),
        ("127.0.0.1:8080:80", [("127.0.0.1", 8080, 80, "tcp")]),
        ("127.0.0.1::80", [("127.0.0.1", 0, 80, "tcp")]),
        ("[::1]:8080:80/udp", [("::1", 8080, 80, "udp")]),
        ("8000-8001:80-81", [("", 8000, 80, "tcp"), ("", 8001, 81, "tcp")]),
        ("8000-8010:80", [("", 0, 80, "tcp")]),
        ({"target": 80, "published": "8080", "host_ip": "127.0.0.1"}, [("127.0.0.1", 8080, 80, "tcp")]),
        ({"target": 80}, [("", 0, 80, "tcp")]),
    ],
)
def test_ports_are_parsed(row, ports):
    assert port(row) == [PortRow(*each) for each in ports]


@pytest.mark.parametrize("row", ["a:b", "80:http", "1-2:1-3"])
def test_invalid_port_is_refused(row):
    with pytest.raises(ValueError, match="."):
        port(row)


@pytest.mark.parametrize(
    ("row", "made"),
    [
        ("/a:/b", Bind("/a", "/b", False, False, "/a")),
        ("/a b:/b:ro,Z", Bind("/a b", "/b", True, False, "/a b")),
        ("./a:/b", Bind("/base/a", "/b", False, True, "./a")),
        ("../a:/b:Z", Bind("/a", "/b", False, True, "../a")),
        ("data:/b", ("data", "/b")),
        ("/cache", ("", "/cache")),
        ({"type": "bind", "source": "/a", "target": "/b", "read_only": True}, Bind("/a", "/b", True, False, "/a")),
        ({"type": "volume", "source": "data", "target": "/b"}, ("data", "/b")),
        ({"type": "tmpfs", "target": "/b"}, None),
    ],
)
def test_volumes_are_parsed(row, made):
    assert volume(row, "/base") == made


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.0.1.1", True), ("::1", True), ("", False), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_which_addresses_only_this_host_reaches(address, loopback):
    assert PortRow(address, 1, 1, "tcp").loopback is loopback


@pytest.mark.parametrize(
    ("text", "number"), [(None, 10), ("0s", 0), ("1m30s", 90), ("500ms", 1), ("2h", 7200), ("1.5s", 2), (3, 3)]
)
def test_durations_are_parsed(text, number):
    assert seconds(text, 10) == number


@pytest.mark.parametrize("text", ["10", "1 s", "s", "-1s"])
def test_invalid_duration_is_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text, 10)
