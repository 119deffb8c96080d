# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a recorded probe saves the next one. The directory is a real one; the clock is a test's own."""

from __future__ import annotations

import dataclasses
import pathlib
import types

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.passed_probe import PassedProbe

NOW = 1_796_000_000.0


def engine(**changes):
    return types.SimpleNamespace(**{"name": "docker", "version": "29.0", "socket": "/run/docker.sock", **changes})


def world(runtime, now=NOW, **environ):
    environ = {**({"XDG_RUNTIME_DIR": str(runtime)} if runtime else {}), **environ}
    return dataclasses.replace(World.real(), uid=1000, environ=environ, epoch=lambda: now)


def test_recorded_probe_is_newer_than_an_earlier_change(tmp_path):
    PassedProbe(engine(), world(tmp_path)).record()
    later = PassedProbe(engine(), world(tmp_path, NOW + 100))
    assert later.is_newer_than(NOW - 1)
    assert not later.is_newer_than(NOW + 1)


@pytest.mark.parametrize(
    ("changes", "now", "environ"),
    [
        ({"version": "29.1"}, NOW, {}),
        ({"socket": "/srv/docker.sock"}, NOW, {}),
        ({"name": "podman"}, NOW, {}),
        ({}, NOW, {"CONTAINERS_CONF": "/srv/other.conf"}),
        ({}, NOW - 100, {}),  # the clock was set back
    ],
    ids=["version", "socket", "engine", "settings", "clock"],
)
def test_probe_of_something_else_does_not_count(tmp_path, changes, now, environ):
    PassedProbe(engine(), world(tmp_path)).record()
    assert not PassedProbe(engine(**changes), world(tmp_path, now, **environ)).is_newer_than(0.0)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100000, '{"engine": 1}', '{"engine": {}, "passed_at": "x"}'])
def test_damaged_record_does_not_count(tmp_path, text):
    PassedProbe(engine(), world(tmp_path)).record()
    (tmp_path / "onebox" / "probe-docker.json").write_text(text)
    assert not PassedProbe(engine(), world(tmp_path)).is_newer_than(0.0)


def test_record_that_is_a_link_does_not_count(tmp_path):
    PassedProbe(engine(), world(tmp_path)).record()
    record = tmp_path / "onebox" / "probe-docker.json"
    record.rename(tmp_path / "elsewhere.json")
    record.symlink_to(tmp_path / "elsewhere.json")
    assert not PassedProbe(engine(), world(tmp_path)).is_newer_than(0.0)


@pytest.mark.parametrize("kind", ["none", "missing", "file"])
def test_user_without_a_runtime_directory_probes_each_time(tmp_path, kind):
    runtime = {"none": None, "missing": tmp_path / "missing", "file": tmp_path / "file"}[kind]
    pathlib.Path(tmp_path / "file").write_text("")
    passed = PassedProbe(engine(), world(runtime))
    passed.record()
    assert not passed.is_newer_than(0.0)
