# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode: no machine, every agent and all clutter where it was."""

import json

HOME = "/home/97layer"


def test_machine_does_not_exist(host):
    assert not host.file(f"{HOME}/.config/containers/podman/machine/qemu/97layerOS.json").exists


def test_every_agent_is_there_and_loaded(host):
    assert len(host.file(f"{HOME}/Library/LaunchAgents").listdir()) == 3
    state = json.loads(host.file(f"{HOME}/launchd.json").content_string)
    assert len(state["jobs"]) == 2
    assert state["disabled"] == {}


def test_clutter_is_there(host):
    assert host.file(f"{HOME}/97layerOS/.DS_Store").exists
    assert host.file(f"{HOME}/97layerOS/libs/__pycache__").exists
