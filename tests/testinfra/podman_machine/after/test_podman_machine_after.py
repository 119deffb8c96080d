# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's machine, agents and project, checked from outside."""

import json
import plistlib

import pytest

HOME = "/home/97layer"


@pytest.fixture
def podman(host):
    """Podman as its user calls it."""

    def ask(words: str) -> str:
        return host.check_output(f"su 97layer -c 'XDG_RUNTIME_DIR={HOME}/run podman {words}'")

    return ask


def test_podman_shows_the_seeds_numbers(podman):
    table = podman("machine list")
    assert "97layerOS*" in table
    assert "4.656GiB" in table
    assert "93GiB" in table


def test_settings_are_whole_numbers_of_podmans_units(podman):
    (machine,) = json.loads(podman("machine inspect 97layerOS"))
    assert machine["Resources"]["CPUs"] == 2
    assert (machine["Resources"]["Memory"], machine["Resources"]["DiskSize"]) == (4768, 93)
    assert (machine["State"], machine["Rootful"]) == ("stopped", False)


def test_old_agents_are_retired_and_can_come_back(host):
    state = json.loads(host.file(f"{HOME}/launchd.json").content_string)
    assert sorted(state["jobs"]) == ["gui/1500/com.97layer.podman", "gui/1500/com.97layer.podman.logs"]
    assert state["disabled"]["gui/1500/com.97layer.os"] is True
    left = host.file(f"{HOME}/Library/LaunchAgents").listdir()
    assert sorted(left) == ["com.97layer.podman.logs.plist", "com.97layer.podman.plist"]
    archive = f"{HOME}/Library/Application Support/onebox/retired-agents"
    (stamp,) = host.file(archive).listdir()
    kept = host.file(f"{archive}/{stamp}").listdir()
    assert sorted(kept) == ["com.97layer.os.plist", "com.97layer.telegram_daemon.plist", "manifest.json"]


def test_machines_agent_starts_a_script_for_its_owner_only(host):
    plist = plistlib.loads(host.file(f"{HOME}/Library/LaunchAgents/com.97layer.podman.plist").content)
    assert plist["RunAtLoad"] is True
    assert plist["AbandonProcessGroup"] is True
    assert "KeepAlive" not in plist
    script = host.file(plist["ProgramArguments"][1])
    assert (script.user, script.mode) == ("97layer", 0o700)
    assert host.run(f"sh -n {script.path}").rc == 0


def test_clutter_is_gone_and_nothing_else(host):
    # A file that begins with ._ but is not from macOS belongs to a user.
    there = {name: host.file(f"{HOME}/97layerOS/{name}").exists for name in ("._notes.md", "notes.md", "libs")}
    assert all(there.values()), there
    assert not host.file(f"{HOME}/97layerOS/.DS_Store").exists
    assert not host.file(f"{HOME}/97layerOS/libs/__pycache__").exists
