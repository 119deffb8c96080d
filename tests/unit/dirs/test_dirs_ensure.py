# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""data_dirs on the file system of the tests, as the user that runs them. Root is in the integration tests."""

from __future__ import annotations

import os

from dirs_stack import Stack, mode, tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def test_check_mode_predicts_and_a_second_run_changes_nothing(stack):
    entries = [
        {"path": "."},
        {"path": "a/b/journal"},
        {"path": "logs", "class": "log"},
        {"path": "s p\n한 '\"", "class": "secret"},
    ]
    before = tree(stack.place)
    checked = stack.run(*entries, check=True)
    assert tree(stack.place) == before
    done = stack.run(*entries)
    assert checked["changed"]
    assert done["changed"]
    assert checked["diff"] == done["diff"]
    assert done["diff"]["before"][f"{stack.base}/a/b"] == {"state": "absent"}
    assert done["diff"]["after"][f"{stack.base}/a/b"]["mode"] == "0755"
    assert [(row["path"], row["mode"]) for row in checked["directories"]] == [
        (row["path"], row["mode"]) for row in done["directories"]
    ]
    assert mode(stack.base) == 0o750
    assert mode(stack.base / "a") == mode(stack.base / "a" / "b") == 0o755  # parents that are not listed
    assert mode(stack.base / "a" / "b" / "journal") == 0o750
    assert mode(stack.base / "s p\n한 '\"") == 0o700
    after = tree(stack.place)
    again = stack.run(*entries)
    assert not again["changed"]
    assert again["diff"] == {"before": {}, "after": {}}
    assert tree(stack.place) == after


def test_umask_does_not_change_the_modes(stack):
    before = os.umask(0o077)
    try:
        stack.run({"path": "a/b", "mode": "0775"})
    finally:
        os.umask(before)
    assert (mode(stack.base / "a"), mode(stack.base / "a" / "b")) == (0o755, 0o775)


def test_wrong_mode_is_fixed_and_content_is_kept(stack):
    journal = stack.base / "journal"
    journal.mkdir(parents=True, mode=0o777)
    (journal / "file").write_text("x")
    inode, inside = journal.stat().st_ino, (journal / "file").stat()
    result = stack.run({"path": "journal"})
    assert result["diff"]["before"][str(journal)]["mode"] != "0750"
    assert result["diff"]["after"][str(journal)]["mode"] == "0750"
    assert (journal.stat().st_ino, (journal / "file").stat()) == (inode, inside)


def test_links_anywhere_in_the_path_are_refused(stack):
    stack.base.mkdir()
    (stack.place / "elsewhere").mkdir()
    (stack.base / "link").symlink_to(stack.place / "elsewhere")
    (stack.base / "dangling").symlink_to("nowhere")
    on_the_way, at_the_end, dangling = stack.problems(
        {"path": "link/data"}, {"path": "link"}, {"path": "dangling"}
    )  # in the order of their paths
    assert "dangling is a symbolic link" in on_the_way
    assert f"Set {stack.place}/elsewhere instead" in at_the_end
    assert "is a symbolic link" in dangling
    assert list((stack.place / "elsewhere").iterdir()) == []


def test_file_at_the_path_is_not_replaced(stack):
    stack.base.mkdir()
    (stack.base / "file").write_text("precious")
    os.mkfifo(stack.base / "pipe")
    for message in stack.problems({"path": "file"}, {"path": "file/below"}, {"path": "pipe"}):
        assert "exists and is not a directory. Move it away" in message
    assert (stack.base / "file").read_text() == "precious"


def test_one_problem_prevents_all_changes_and_all_are_reported(stack):
    stack.base.mkdir()
    (stack.base / "file").touch()
    messages = stack.problems(
        {"path": "fine"}, {"path": "file"}, {"path": "x", "mode": "u+x"}, {"path": "/"}, {"path": "y" * 300}
    )
    assert len(messages) == 4
    assert any("name too long" in message for message in messages)
    assert not (stack.base / "fine").exists()


def test_deploy_directory_with_another_name_is_recognized(stack):
    """One directory with two names: the deploy path is a link to it, which is recognized by identity."""
    deploy = stack.place / "deploy"
    deploy.mkdir()
    (stack.place / "current").symlink_to(deploy)
    (message,) = stack.problems({"path": str(deploy / "data")}, deploy_dir=str(stack.place / "current"))
    assert "is in the deploy directory" in message


def test_similar_directory_in_the_deploy_directory_is_a_warning(stack):
    (stack.place / "srv" / "deploy" / "observer").mkdir(parents=True)
    result = stack.run({"path": "observer"}, deploy_dir=str(stack.base / "deploy"))
    assert result["problems"] == []
    (warning,) = result["warnings"]
    assert f"has a look-alike in the deploy directory, {stack.base}/deploy/observer" in warning


def test_path_that_is_not_a_mount_point_is_refused(stack):
    stack.base.mkdir()
    (there,) = stack.problems({"path": ".", "mountpoint": True})
    assert "is not a mount point: the disk is not mounted" in there
    (gone,) = stack.problems({"path": "gone", "mountpoint": True})
    assert "does not exist: the disk is not mounted" in gone


def test_secrets_readable_by_others_or_not_by_the_owner_are_a_warning(stack):
    place = stack.base / "secrets"
    place.mkdir(parents=True, mode=0o700)
    for name, bits in (("good", 0o400), ("also good", 0o600), ("open", 0o644), ("locked", 0o200)):
        (place / name).touch()
        (place / name).chmod(bits)
    before = tree(place)
    (warning,) = stack.run({"path": "secrets", "class": "secret"})["warnings"]
    assert "These are not: 'locked', 'open' " in warning
    assert tree(place) == before
    mine = str(os.getuid())
    result = stack.run({"path": "secrets", "class": "secret", "owner": mine, "recursive": True})
    assert (result["changed"], result["directories"][0]["given"]) == (True, 3)
    assert {path.name: mode(path) for path in place.iterdir()} == dict.fromkeys(
        ("good", "also good", "open", "locked"), 0o400
    )


MODES = st.sampled_from(["0700", "0750", "0755", "1777", "2770"])

NAMES = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=5).filter(
    lambda name: name not in (".", "..") and not name.startswith("~")
)

ENTRIES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), MODES, min_size=1, max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(existing=ENTRIES, entries=ENTRIES, files=st.lists(NAMES, max_size=2))
def test_any_layout_is_converged_or_unchanged(tmp_path_factory, existing, entries, files):
    """The state before is arbitrary, with files at paths of directories."""
    stack = Stack(tmp_path_factory.mktemp("layout"))
    stack.base.mkdir()
    for name in files:
        (stack.base / name).write_text("kept")
    for path, bits in existing.items():
        if not any((stack.base / path.split("/")[0]).name == name for name in files):
            (stack.base / path).mkdir(parents=True, exist_ok=True)
            (stack.base / path).chmod(int(bits, 8))
    inodes = {path: path.lstat().st_ino for path in stack.base.rglob("*")}
    wanted = [{"path": path, "mode": bits} for path, bits in entries.items()]
    blocked = [path for path in entries if path.split("/")[0] in files]
    before = tree(stack.place)
    checked = stack.run(*wanted, check=True)
    assert tree(stack.place) == before
    done = stack.run(*wanted)
    assert bool(done["problems"]) == bool(blocked)
    assert (checked["changed"], checked["diff"], checked["problems"]) == (
        done["changed"],
        done["diff"],
        done["problems"],
    )
    if blocked:
        assert tree(stack.place) == before
        return
    for path, bits in entries.items():
        assert mode(stack.base / path) == int(bits, 8)
    assert {path: path.lstat().st_ino for path in inodes} == inodes
    assert not stack.run(*wanted)["changed"]
