# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Colima profile: case 23. A real file is edited; tests/testbed/mac/fake_colima.py simulates ``colima``."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import profile as colima
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima import settings, yaml_text
from ansible_collections.onebox.stack.plugins.module_utils.vm.colima.yaml_text import Document, Mount
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman import filesystems
from hypothesis import given
from hypothesis import strategies as st
from recorded import world

TESTS = pathlib.Path(__file__).resolve().parents[2]
HOME = "/Users/omni"

CONFIG = """\
# CPUs of the virtual machine.
# Default: 2
cpu: 2   # small on purpose

# Disk in GiB.
disk: 100
memory: 2
arch: aarch64
runtime: docker

network:
  # reachable address
  address: false
  dns: []

docker: {}
vmType: vz
mountType: virtiofs

# EXAMPLE
# mounts:
#   - location: ~/secrets
#     writable: false
#
mounts: []   # nothing of our own yet

env: {}
"""

OURS = """\
mounts: # ours
  - location: ~/Projects # code
    writable: true

  # the big one
  - location: "/Volumes/Big"
    mountPoint: /mnt/big
    writable: false
"""
LISTED = CONFIG.replace("mounts: []   # nothing of our own yet\n", OURS)


def document(text: str) -> Document:
    return Document(text, "colima.yaml")


def decide(
    wanted: colima.Wanted, text: str = CONFIG, applied: str | None = CONFIG, word: str = "Running"
) -> colima.Outcome:
    state = None if applied is None else document(applied)
    return colima.plan(wanted, document(text), state, word, HOME, "/s")


def want(*locations: str, writable: bool = True, **more: t.Any) -> colima.Wanted:
    return colima.Wanted(mounts=tuple(Mount(one, writable) for one in locations), **more)


def test_adding_a_disk_keeps_the_home_directory_and_every_comment() -> None:
    outcome = decide(want("/Volumes/Work"))
    assert outcome.text is not None
    assert yaml.safe_load(outcome.text)["mounts"] == [
        {"location": "~", "writable": True},
        {"location": "/Volumes/Work", "writable": True},
    ]
    comments = [line for line in CONFIG.splitlines() if "#" in line]
    assert all(line.replace("mounts: []   #", "mounts: #") in outcome.text for line in comments)
    rest = yaml.safe_load(outcome.text)
    del rest["mounts"]
    was = yaml.safe_load(CONFIG)
    del was["mounts"]
    assert rest == was
    assert decide(want("/Volumes/Work"), outcome.text, outcome.text).text is None


def test_shared_directory_is_not_added_again() -> None:
    for location in ("~/Projects", HOME, f"{HOME}/x/y", "~"):
        assert decide(want(location)).text is None
    assert decide(want("~/Projects/a"), LISTED, LISTED).text is None


def test_mount_is_added_after_the_existing_ones() -> None:
    outcome = decide(want("/Volumes/Work"), LISTED, LISTED)
    assert outcome.text is not None
    assert [one["location"] for one in yaml.safe_load(outcome.text)["mounts"]] == [
        "~/Projects", "/Volumes/Big", "/Volumes/Work",
    ]  # fmt: skip
    assert "# the big one" in outcome.text
    assert "# code" in outcome.text


def test_writable_is_changed_in_its_line() -> None:
    outcome = decide(want("/Volumes/Big"), LISTED, LISTED)
    assert outcome.text is not None
    assert yaml.safe_load(outcome.text)["mounts"][1] == {
        "location": "/Volumes/Big", "mountPoint": "/mnt/big", "writable": True,
    }  # fmt: skip
    assert outcome.before == {"/Volumes/Big": "read-only"}


def test_null_mounts_remain_without_the_home_directory() -> None:
    outcome = decide(want("/Volumes/Work"), CONFIG.replace("mounts: []", "mounts: null"))
    assert outcome.text is not None
    assert [one["location"] for one in yaml.safe_load(outcome.text)["mounts"]] == ["/Volumes/Work"]


def test_sizes_keep_the_comment_behind_them() -> None:
    outcome = decide(colima.Wanted(cpus=4, memory_gib=8.5, disk_gib=120))
    assert outcome.text is not None
    assert "cpu: 4 # small on purpose\n" in outcome.text
    values = yaml.safe_load(outcome.text)
    assert (values["cpu"], values["memory"], values["disk"]) == (4, 8.5, 120)
    assert outcome.before == {"cpus": "2", "memory_gib": "2", "disk_gib": "100"}
    assert decide(colima.Wanted(cpus=2, memory_gib=2.0, disk_gib=100)).text is None


def test_running_profile_needs_a_restart() -> None:
    waiting = decide(want("/Volumes/Work", state="started"))
    assert waiting.restart_required
    assert waiting.steps == []
    assert "next colima stop and start" in waiting.warnings[0]
    done = decide(want("/Volumes/Work", state="started", allow_restart=True))
    assert done.steps == [("stop", "--profile", "default"), ("start", "--profile", "default")]
    stopped = decide(want("/Volumes/Work", state="started"), word="Stopped")
    assert (stopped.restart_required, stopped.steps) == (False, [("start", "--profile", "default")])


def test_drift_without_an_edit_is_found() -> None:
    """``colima start --cpu 4`` on a running profile: the file says 4, the VM has 2."""
    outcome = decide(colima.Wanted(), CONFIG.replace("cpu: 2", "cpu: 4"), CONFIG)
    assert outcome.text is None
    assert outcome.restart_required


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (colima.Wanted(vm_type="qemu"), "vm_type: vz was fixed"),
        (colima.Wanted(mount_type="sshfs"), "mount_type: virtiofs was fixed"),
        (colima.Wanted(runtime="containerd"), "runtime: docker was fixed"),
        (colima.Wanted(arch="x86_64"), "arch: aarch64 was fixed"),
        (colima.Wanted(disk_gib=102400), "more than 65536 GiB"),
        (colima.Wanted(disk_gib=60), "a disk only grows"),
        (want("relative"), "absolute path"),
        (want("/Volumes/Extreme SSD"), "diskutil rename '/Volumes/Extreme SSD' NAME"),
        (want("/Users"), "overlap"),
    ],
)
def test_invalid_settings_are_refused_without_an_edit(wish: colima.Wanted, words: str) -> None:
    outcome = decide(wish)
    assert words in outcome.refusal
    assert (outcome.text, outcome.steps) == (None, [])


def test_overlap_by_text_is_refused_as_colima_does() -> None:
    assert "compares them as text" in decide(want("/Volumes/Bigger"), LISTED, LISTED).refusal


def test_fixed_keys_are_free_before_the_first_start() -> None:
    outcome = decide(colima.Wanted(vm_type="qemu"), applied=None, word="")
    assert outcome.text is not None
    assert yaml.safe_load(outcome.text)["vmType"] == "qemu"


def test_broken_profile_needs_allow_restart() -> None:
    assert "is Broken: set allow_restart" in decide(colima.Wanted(state="started"), word="Broken").refusal
    outcome = decide(colima.Wanted(state="started", allow_restart=True), word="Broken")
    assert outcome.steps == [("stop", "--profile", "default", "--force"), ("start", "--profile", "default")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cpu: 2\ncpu: 3\n", "line 2 repeats a key"),
        ("mounts: [{location: ~}]\n", "line 1 has"),
        ("mounts: *home\n", "line 1 has a value"),
        ("mounts:\n  - ~/x\n", "line 2 is not a known part"),
        ("mounts:\n  - location: ~/x\n    sshfs: {}\n", "line 3 is not a known part"),
        ("mounts:\n  - location: ~/x\n    writable: maybe\n", "line 3 must be true or false"),
        ("mounts:\n\t- location: x\n", "line 2 is indented with a tab"),
        ("cpu: 2\n---\ncpu: 3\n", "second document"),
        ("cpu: &n 2\n", "line 1 has a value"),
    ],
)
def test_unknown_syntax_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(MachineError, match=words):
        decide(colima.Wanted(cpus=4, mounts=(Mount("/Volumes/W", True),)), text, None)


NAMES = st.text(alphabet="abcXYZ019._-", min_size=1, max_size=8).filter(lambda text: text not in (".", ".."))


@given(
    old=st.lists(st.tuples(NAMES, st.booleans()), max_size=4, unique_by=lambda pair: pair[0]),
    new=st.lists(NAMES, min_size=1, max_size=3, unique=True),
    cpus=st.integers(min_value=1, max_value=64),
)
def test_edited_file_is_read_equally_by_a_yaml_parser(old: list[tuple[str, bool]], new: list[str], cpus: int) -> None:
    """Compare with a real YAML parser: all old values, all requested values, and no change by a second edit."""
    listed = "".join(f"- location: /m/{name}/x # c\n  writable: {str(flag).lower()}\n" for name, flag in old)
    text = CONFIG.replace("mounts: []   # nothing of our own yet", "mounts:\n" + listed if old else "mounts: []")
    wanted = colima.Wanted(cpus=cpus, mounts=tuple(Mount(f"/n{name}/{index}", True) for index, name in enumerate(new)))
    outcome = decide(wanted, text, None, "")
    if outcome.refusal:
        assert "overlap" in outcome.refusal
        return
    assert outcome.text is not None
    values = yaml.safe_load(outcome.text)
    locations = [one["location"] for one in values["mounts"]]
    assert locations[: len(old)] == [f"/m/{name}/x" for name, _unused in old] or locations[0] == "~"
    assert set(locations) >= {one.location for one in wanted.mounts} | ({"~"} if not old else set())
    assert values["cpu"] == cpus
    assert values["network"] == {"address": False, "dns": []}
    assert decide(wanted, outcome.text, None, "").text is None


def test_saved_file_keeps_its_mode_and_a_previous_copy(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "colima.yaml"
    path.write_text("cpu: 2\n")
    path.chmod(0o640)
    settings.save(str(path), "cpu: 4\n")
    copy = tmp_path / "colima.yaml.bak"
    assert (path.read_text(), copy.read_text()) == ("cpu: 4\n", "cpu: 2\n")
    assert (path.stat().st_mode & 0o777, copy.stat().st_mode & 0o777) == (0o640, 0o640)
    assert sorted(os.listdir(tmp_path)) == ["colima.yaml", "colima.yaml.bak"]


def test_quoted_values_and_windows_line_ends_are_read() -> None:
    text = "cpu: '4'\r\nmounts:\r\n- location: 'it''s'\r\n  writable: \"true\"\r\nmemory: 2\r\n"
    read = document(text)
    assert read.mounts() == [Mount("it's", True)]
    assert (read.scalar("cpu"), read.scalar("memory"), read.scalar("nothing")) == ("4", "2", None)
    assert yaml_text.number("x") is None


def module(tmp_path: pathlib.Path, check: bool = False, **args: t.Any) -> dict[str, t.Any]:
    """The module as the target runs it, with the simulated ``colima`` as its command."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import conftest\n"
        "from ansible.module_utils.testing import patch_module_args\n"
        "with patch_module_args(json.load(sys.stdin)):\n"
        "    from ansible_collections.onebox.stack.plugins.modules import colima_profile\n"
        "    colima_profile.main()"
    )
    env = {**os.environ, "HOME": str(tmp_path), "COLIMA_HOME": str(tmp_path / "colima")}
    env["FAKE_COLIMA"] = str(tmp_path / "profiles.json")
    given = {"executable": str(TESTS / "testbed/mac/fake_colima.py"), "_ansible_check_mode": check, **args}
    done = subprocess.run(
        [sys.executable, "-c", code, str(TESTS)], input=json.dumps(given), env=env, text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return t.cast("dict[str, t.Any]", json.loads(done.stdout))


def test_new_profile_is_started_and_shares_a_disk(tmp_path: pathlib.Path) -> None:
    assert "Set state: started" in module(tmp_path)["msg"]
    made = module(tmp_path, state="started", cpus=2)
    assert made["actions"] == [["colima", "start", "--profile", "default", "--cpu", "2"]]
    assert made["profile"]["state"] == "Running"
    assert not module(tmp_path, state="started", cpus=2)["changed"]
    wish = {"state": "started", "mounts": [{"location": "/Volumes/Work"}]}
    assert module(tmp_path, check=True, **wish)["changed"]
    waiting = module(tmp_path, **wish)
    assert (waiting["changed"], waiting["restart_required"], waiting["actions"]) == (True, True, [])
    again = module(tmp_path, **wish)
    assert (again["changed"], again["restart_required"]) == (False, True)
    done = module(tmp_path, allow_restart=True, **wish)
    assert [words[1] for words in done["actions"]] == ["stop", "start"]
    final = module(tmp_path, allow_restart=True, **wish)
    assert (final["changed"], final["restart_required"]) == (False, False)
    assert [one["location"] for one in final["profile"]["mounts"]] == ["~", "/Volumes/Work"]
    assert (tmp_path / "colima/default/colima.yaml.bak").exists()


def test_simulated_colima_refuses_unknown_arguments(tmp_path: pathlib.Path) -> None:
    env = {**os.environ, "COLIMA_HOME": str(tmp_path), "FAKE_COLIMA": str(tmp_path / "p.json")}
    fake = str(TESTS / "testbed/mac/fake_colima.py")
    for argv in (["start", "--edit"], ["list", "--yaml"], ["explode", "--profile", "x"]):
        assert process.run([sys.executable, fake, *argv], env=env, timeout=10, check=False).rc == 1


# mount(8) of macOS, in the form of its manual page.
MOUNTS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
/dev/disk4s1 on /Volumes/Extreme SSD (exfat, local, nodev, nosuid, noowners, noatime)
/dev/disk5s1 on /Volumes/Work (apfs, local, nodev, nosuid, journaled, noowners)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


def test_external_disk_has_three_problems_with_fixes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """exFAT, a space, and not shared: three separate problems, with the best fix first."""
    project = "/Volumes/Extreme SSD/02_GitHub.nosync/30_OmniVibePro"
    monkeypatch.setattr(os.path, "isdir", lambda path: True)

    def run(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        assert list(argv) == ["/sbin/mount"]
        return process.Result(tuple(argv), 0, MOUNTS, "", 0.0)

    found = filesystems.diagnose(
        project, engine="colima", shared=[HOME], system="darwin", spaces_work=False, world=world(run=run)
    )
    assert (found["filesystem"], found["mount_point"]) == ("exfat", "/Volumes/Extreme SSD")
    assert found["problems"] == ["not_shared", "space_in_path", "no_unix_permissions"]
    assert found["ways_out"][0] == "move the project to the Mac's own APFS disk, for example ~/Projects/30_OmniVibePro"
    assert found["ways_out"][1].startswith("rename the disk: diskutil rename '/Volumes/Extreme SSD' ExtremeSSD")
    assert "Podman 5.5" in found["ways_out"][2]
    good = filesystems.diagnose("/Volumes/Work/x", engine="podman", shared=["/Volumes/Work"], system="darwin",
                                spaces_work=True, world=world(run=run))  # fmt: skip
    assert (good["ok"], good["problems"], good["ways_out"]) == (True, [], [])
    bare = filesystems.diagnose("/Volumes/Work/x", engine="podman", shared=["/Users"], system="darwin",
                                spaces_work=True, world=world(run=run))  # fmt: skip
    assert bare["problems"] == ["not_shared"]
    assert "create the machine again with /Volumes/Work/x in volumes" in bare["ways_out"][0]


def test_directory_of_this_host_has_its_file_system(tmp_path: pathlib.Path) -> None:
    found = filesystems.of(str(tmp_path), system="linux", world=world())
    assert found.kind
    assert str(tmp_path).startswith(found.mount_point)
    missing = filesystems.diagnose("/nowhere", engine="colima", shared=[], system="linux", spaces_work=False,
                                   world=world())  # fmt: skip
    assert missing["problems"] == ["missing"]
