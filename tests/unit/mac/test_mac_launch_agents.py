# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retire and restore, case 24, against a launchctl that answers as the real ones do (tests/testbed/mac).

There is no launchd on Linux; the exit codes and texts are those of macOS 12 and 15.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import pathlib
import plistlib
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process, ps
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mac import agents, launchd
from ansible_collections.onebox.stack.plugins.module_utils.mac.errors import MacError

FAKE = pathlib.Path(__file__).resolve().parents[2] / "testbed" / "mac" / "fake_launchctl.py"
sys.path.insert(0, str(FAKE.parent))

import fake_launchctl  # noqa: E402

SERVICES = ["os", "snapshot_daemon", "technical_daemon", "telegram_daemon", "a", "b", "c", "d"]


class Mac:
    """A user's Mac: eight agents of the old system and a kept one, some binary, one file with a wrong name."""

    def __init__(self, home: pathlib.Path, macos: int, slow: int = 0, gui: bool = True) -> None:
        self.folder, self.archive, self.state = home / "LaunchAgents", home / "archive", home / "launchd.json"
        self.folder.mkdir()
        self.domain = "gui/501" if gui else "user/501"
        jobs = {}
        for number, name in enumerate([*SERVICES, "podman"]):
            label = f"com.97layer.{name}"
            content = {"Label": label, "ProgramArguments": ["/usr/bin/python3", f"/p/{name}.py"], "KeepAlive": True}
            form = plistlib.FMT_BINARY if number % 2 else plistlib.FMT_XML
            file = self.folder / (f"{label}.plist" if name != "os" else "something else.plist")
            file.write_bytes(plistlib.dumps(content, fmt=form))
            if name != "a":  # one that is not loaded
                jobs[f"{self.domain}/{label}"] = {"path": str(file), "pid": 0 if name == "b" else 4000 + number}
        jobs[f"{self.domain}/com.97layer.ghost"] = {"path": "/gone.plist", "pid": 4999}
        jobs[f"{self.domain}/com.apple.other"] = {"path": "/x", "pid": 1}
        (self.folder / "com.apple.other.plist").write_bytes(plistlib.dumps({"Label": "com.apple.other"}))
        domains = ["gui/501", "user/501"] if gui else ["user/501"]
        disabled = {f"{one}/com.97layer.c": True for one in domains}
        self._write({"macos": macos, "slow": slow, "domains": domains, "jobs": jobs, "disabled": disabled})

    def _write(self, state: dict[str, t.Any]) -> None:
        self.state.write_text(json.dumps(state))

    def launchctl(self, running: t.Sequence[ps.Process] = ()) -> launchd.Launchctl:
        """launchd, on a host where ``running`` are all processes."""

        def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
            if argv[0] == "ps":
                text = "".join(f"{one.pid} {one.parent} {one.uid} {one.command}\n" for one in running)
                return process.Result(tuple(argv), 0, text, "", 0.0)
            out, err = io.StringIO(), io.StringIO()
            os.environ["FAKE_LAUNCHD"] = str(self.state)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = fake_launchctl.main(list(argv[1:]))
            return process.Result(tuple(argv), code, out.getvalue(), err.getvalue(), 0.0)

        ticks = itertools.count()
        world = dataclasses.replace(
            World.real(), uid=501, run=run, monotonic=lambda: next(ticks) * 0.5, sleep=lambda seconds: None
        )
        return launchd.Launchctl(world)

    def selection(self, *patterns: str, keep: t.Sequence[str] = ()) -> agents.Selection:
        return agents.Selection(str(self.folder), str(self.archive), patterns, tuple(keep))

    def retire(self, check: bool = False, stamp: str = "one", running: t.Sequence[ps.Process] = ()) -> agents.Result:
        selection = self.selection("com.97layer.*", keep=["com.97layer.podman"])
        return agents.retire(self.launchctl(running), selection, domain="auto", stamp=stamp, timeout=5.0, check=check)

    def restore(self, check: bool = False) -> agents.Result:
        return agents.restore(self.launchctl(), self.selection("com.97layer.*"), timeout=5.0, check=check)

    def snapshot(self) -> tuple[dict[str, t.Any], dict[str, bytes]]:
        state = json.loads(self.state.read_text())
        # Enabled and never mentioned are the same; process ids change with every start.
        disabled = sorted(label for label, value in state["disabled"].items() if value)
        return {"jobs": sorted(state["jobs"]), "disabled": disabled}, {
            file.name: file.read_bytes() for file in self.folder.iterdir()
        }

    def verbs(self) -> list[str]:
        return [json.loads(line)[0] for line in pathlib.Path(f"{self.state}.log").read_text().splitlines()]


@pytest.fixture(params=[(12, 0, True), (15, 3, True), (15, 0, False)], ids=["macos12", "macos15-slow", "headless"])
def mac(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Mac:
    return Mac(tmp_path, *request.param)


def test_eight_agents_are_retired_and_restored_byte_for_byte(mac: Mac) -> None:
    before = mac.snapshot()
    result = mac.retire()
    assert result.changed
    # Nine items: the eight files, and a job that launchd runs without a file.
    assert len(result.agents) == 9
    state, files = mac.snapshot()
    assert state["jobs"] == [f"{mac.domain}/com.97layer.podman", f"{mac.domain}/com.apple.other"]
    assert sorted(files) == ["com.97layer.podman.plist", "com.apple.other.plist"]
    assert f"{mac.domain}/com.97layer.os" in state["disabled"]
    again = mac.retire(stamp="two")
    assert (again.changed, again.agents) == (False, [])
    back = mac.restore()
    assert back.changed
    state, files = mac.snapshot()
    assert files == before[1]  # binary files are still binary
    assert state["disabled"] == before[0]["disabled"]  # com.97layer.c ran although it was disabled, and is restored so
    assert set(before[0]["jobs"]) - set(state["jobs"]) == {
        f"{mac.domain}/com.97layer.ghost"
    }  # there is no file to load
    assert not mac.restore().changed


def test_items_have_the_previous_state_of_each_agent(mac: Mac) -> None:
    rows = {row["label"]: row for row in mac.retire(check=True).agents}
    assert "com.97layer.podman" not in rows
    assert (rows["com.97layer.os"]["pid"], rows["com.97layer.os"]["loaded_before"]) == (4000, True)
    assert rows["com.97layer.os"]["plist_from"].endswith("/something else.plist")
    assert not rows["com.97layer.a"]["loaded_before"]
    assert (rows["com.97layer.b"]["pid"], rows["com.97layer.b"]["loaded_before"]) == (0, True)
    assert rows["com.97layer.c"]["disabled_before"]
    assert rows["com.97layer.ghost"]["plist_from"] == ""


def test_check_mode_plans_and_changes_nothing(mac: Mac) -> None:
    before = mac.snapshot()
    assert mac.retire(check=True).changed
    assert mac.snapshot() == before
    assert set(mac.verbs()) <= {"print", "print-disabled", "list"}
    assert not mac.archive.exists()


def test_job_that_does_not_stop_is_named_and_keeps_its_file(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15, slow=10**9)
    with pytest.raises(MacError, match="still loaded 5 s after launchctl bootout"):
        agents.retire(
            mac.launchctl(), mac.selection("com.97layer.os"), domain="auto", stamp="one", timeout=5.0, check=False
        )
    assert (mac.folder / "something else.plist").exists()
    assert (mac.archive / "one" / "manifest.json").exists()


def test_agents_are_kept_if_the_archive_cannot_be_written(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    mac.archive.write_text("a file where the folder belongs")
    before = mac.snapshot()
    with pytest.raises(MacError, match=rf"{mac.archive}/one.*Nothing was retired, because it could not be undone"):
        mac.retire()
    assert mac.snapshot() == before
    assert set(mac.verbs()) <= {"print", "print-disabled", "list"}


def test_surviving_processes_are_named_and_not_ended(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    found = [
        ps.Process(700, 1, 501, "/usr/bin/python3 /p/os.py --daemon"),
        ps.Process(701, 1, 501, "/usr/bin/python3 /p/os.py2"),
        ps.Process(702, 1, 501, "vim /p/os.py"),
    ]
    result = mac.retire(running=found)
    assert {row["label"]: row["survivors"] for row in result.agents}["com.97layer.os"] == [700]
    assert any("process 700 of com.97layer.os still runs" in text for text in result.warnings)


def test_file_that_is_not_a_property_list_is_kept_and_named(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    for name, content in {
        "x.plist": b"<plist>",
        "y.plist": b"bplist00zz",
        "z.plist": plistlib.dumps(["Label"]),
    }.items():
        (mac.folder / name).write_bytes(content)
    result = mac.retire()
    assert sum("plutil" in text or "property list of list" in text for text in result.warnings) == 3
    assert (mac.folder / "x.plist").exists()


def test_existing_file_is_not_overwritten_by_restore(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    mac.retire()
    (mac.folder / "com.97layer.a.plist").write_bytes(b"new")
    with pytest.raises(MacError, match="exists and is not overwritten"):
        mac.restore()


def test_agent_is_written_loaded_and_reloaded_after_a_change(mac: Mac) -> None:
    def ensure(check: bool = False, **definition: t.Any) -> agents.Result:
        return agents.ensure_loaded(
            mac.launchctl(), folder=str(mac.folder), label="com.97layer.new", domain="auto", timeout=5.0, check=check,
            definition={"ProgramArguments": ["/bin/sh", "/x y.sh"], "RunAtLoad": True, **definition},
        )  # fmt: skip

    target = f"{mac.domain}/com.97layer.new"
    assert ensure(check=True).changed
    assert target not in mac.snapshot()[0]["jobs"]
    assert ensure().changed
    assert target in mac.snapshot()[0]["jobs"]
    assert not ensure().changed
    path = mac.folder / "com.97layer.new.plist"
    path.write_bytes(plistlib.dumps(plistlib.loads(path.read_bytes()), fmt=plistlib.FMT_BINARY))
    assert not ensure().changed
    assert ensure(Nice=5).changed
    assert path.read_bytes().startswith(b"bplist00")
    assert plistlib.loads(path.read_bytes())["Nice"] == 5
    state = json.loads(mac.state.read_text())
    state["disabled"][target] = True
    mac.state.write_text(json.dumps(state))
    assert ensure(Nice=5).changed
    assert not ensure(Nice=5).changed


@pytest.mark.parametrize("word", ["true", "disabled"])
def test_print_disabled_is_parsed_in_both_forms(word: str) -> None:
    other = {"true": "false", "disabled": "enabled"}[word]
    text = (
        f'\tdisabled services = {{\n\t\t"com.a" => {word}\n\t\t"com.b" => {other}\n\t}}\n'
        '\tlogin item associations = {\n\t\t"com.b" => disabled\n\t}\n'
    )
    assert launchd.parse_disabled(text) == {"com.a": True, "com.b": False}


def test_simulated_launchctl_refuses_unknown_arguments(tmp_path: pathlib.Path) -> None:
    mac = Mac(tmp_path, 15)
    env = {**os.environ, "FAKE_LAUNCHD": str(mac.state)}
    for argv in (["bootout", "--wait", "gui/501/x"], ["unloadd", "x"], []):
        assert process.run([sys.executable, str(FAKE), *argv], env=env, timeout=10, check=False).rc == 64


def test_host_without_launchd_is_refused() -> None:
    with pytest.raises(MacError, match="LaunchAgents exist only on macOS"):
        launchd.Launchctl(World.real(), "/nowhere/launchctl").job("gui/501", "x")
