# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single agents are installed and removed, against a launchctl that answers as the real ones do (tests/testbed/mac).

There is no launchd on Linux: the fake serves answers of macOS 12 and 15.
"""

from __future__ import annotations

import json
import pathlib
import plistlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.mac import own_agent
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError
from test_mac_launch_agents import Mac

LABEL = "stack.onebox.beat"
BEAT = {"ProgramArguments": ["/bin/beat", "--fast"], "StartInterval": 300, "RunAtLoad": True}


@pytest.fixture(params=[(12, 0, True), (15, 3, True), (15, 0, False)], ids=["macos12", "macos15-slow", "headless"])
def mac(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Mac:
    return Mac(tmp_path, *request.param)


def folder(mac: Mac) -> own_agent.Folder:
    return own_agent.Folder(mac.launchctl(), str(mac.folder), "auto", 5.0)


def test_agent_is_installed_once_reloaded_when_it_changes_and_removed(mac: Mac) -> None:
    before = mac.snapshot()
    path = mac.folder / f"{LABEL}.plist"
    assert folder(mac).ensure("beat", LABEL, BEAT, check=True).changed
    assert mac.snapshot() == before
    assert folder(mac).ensure("beat", LABEL, BEAT, check=False).written == [str(path)]
    assert f"{mac.domain}/{LABEL}" in mac.snapshot()[0]["jobs"]
    assert not folder(mac).ensure("beat", LABEL, BEAT, check=False).changed
    change = folder(mac).ensure("beat", LABEL, {**BEAT, "StartInterval": 600}, check=False)
    assert change.changed
    assert change.commands == {"beat": ["/bin/beat", "--fast"]}
    assert "<integer>600</integer>" in change.after[str(path)]
    assert plistlib.loads(path.read_bytes())["StartInterval"] == 600
    assert folder(mac).remove("beat", LABEL, from_within=False, check=True).changed
    assert path.exists()
    assert folder(mac).remove("beat", LABEL, from_within=False, check=False).commands == change.commands
    assert mac.snapshot() == before
    assert not folder(mac).remove("beat", LABEL, from_within=False, check=False).changed


def test_disabled_agent_is_enabled_and_loaded(mac: Mac) -> None:
    folder(mac).ensure("beat", LABEL, BEAT, check=False)
    mac.launchctl().set_disabled(mac.domain, LABEL, True)
    mac.launchctl().unload(mac.domain, LABEL, 5.0)
    change = folder(mac).ensure("beat", LABEL, BEAT, check=False)
    assert (change.written, change.started) == ([], ["beat"])
    assert f"{mac.domain}/{LABEL}" in mac.snapshot()[0]["jobs"]


def test_agent_removed_from_within_loses_its_file_and_stays_loaded(mac: Mac) -> None:
    folder(mac).ensure("beat", LABEL, BEAT, check=False)
    calls = len(mac.verbs())
    assert folder(mac).remove("beat", LABEL, from_within=True, check=False).changed
    assert not (mac.folder / f"{LABEL}.plist").exists()
    assert f"{mac.domain}/{LABEL}" in mac.snapshot()[0]["jobs"]
    assert len(mac.verbs()) == calls


def test_agent_without_its_file_is_unloaded(mac: Mac) -> None:
    folder(mac).ensure("beat", LABEL, BEAT, check=False)
    files.remove(str(mac.folder / f"{LABEL}.plist"))
    assert folder(mac).remove("beat", LABEL, from_within=False, check=False).changed
    assert f"{mac.domain}/{LABEL}" not in mac.snapshot()[0]["jobs"]


def test_file_that_is_not_a_property_list_is_removed_and_not_replaced(mac: Mac) -> None:
    path = mac.folder / f"{LABEL}.plist"
    path.write_text("")
    with pytest.raises(MacError, match="is not a property list"):
        folder(mac).ensure("beat", LABEL, BEAT, check=False)
    assert path.read_text() == ""
    change = folder(mac).remove("beat", LABEL, from_within=False, check=False)
    assert (change.removed, change.commands) == ([str(path)], {})
    assert not path.exists()


def test_agent_that_does_not_stop_keeps_its_file(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    folder(mac).ensure("beat", LABEL, BEAT, check=False)
    state = json.loads(mac.state.read_text())
    mac.state.write_text(json.dumps({**state, "slow": 1000}))
    with pytest.raises(MacError, match="is still loaded"):
        folder(mac).remove("beat", LABEL, from_within=False, check=False)
    assert (mac.folder / f"{LABEL}.plist").exists()
