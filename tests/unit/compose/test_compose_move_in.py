# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a deploy on a real file system: writing, removal, and copies of edited files."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.deployed_files import SavedCopies
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath
from deploy_place import AT, Place


def test_first_deploy_writes_everything_and_second_one_nothing(place: Place):
    place.ship(compose="one", conf__a="a")
    assert place.actions() == {"compose": "create", "conf": "create", "conf/a": "create"}
    assert not place.host.exists()
    assert [row["path"] for row in place.deploy().rows()] == [f"{place.host}/compose", f"{place.host}/conf/a"]
    assert place.texts() == {"compose": "one", "conf/a": "a"}
    assert place.actions() == {}


def test_changed_file_is_written_in_the_same_inode(place: Place):
    place.ship(compose="a longer text")
    place.deploy()
    before = (place.host / "compose").stat().st_ino
    place.ship(compose="two")
    place.deploy()
    assert place.texts() == {"compose": "two"}
    assert (place.host / "compose").stat().st_ino == before


def test_atomic_file_is_replaced(place: Place):
    place.ship(env="one")
    place.deploy()
    before = (place.host / "env").stat().st_ino
    place.ship(env="two")
    place.deploy(atomic=("env",))
    assert (place.host / "env").stat().st_ino != before


def test_file_that_left_the_source_is_removed_and_its_directory_with_it(place: Place):
    place.ship(compose="one", conf__deep__a="a", conf__b="b")
    place.deploy()
    place.ship(compose="one", conf__b="b")
    assert {row["path"]: row["action"] for row in place.deploy().rows()} == {f"{place.host}/conf/deep/a": "remove"}
    assert place.texts() == {"compose": "one", "conf/b": "b"}
    assert not (place.host / "conf/deep").exists()


def test_unknown_files_stay_and_only_topmost_names_are_listed(place: Place):
    place.ship(compose="one", conf__a="a")
    place.deploy()
    (place.host / "data" / "deep" / "er").mkdir(parents=True)
    (place.host / "data" / "deep" / "er" / "rows").write_text("rows")
    (place.host / "conf" / "local").write_text("local")
    place.ship(compose="two")
    found = place.deploy()
    assert sorted(found.foreign) == ["conf/local", "data"]
    assert place.texts() == {"compose": "two", "conf/local": "local", "data/deep/er/rows": "rows"}


def test_edited_file_that_left_the_source_stays_and_is_foreign_from_then_on(place: Place):
    place.ship(compose="one", notes="a")
    place.deploy()
    (place.host / "notes").write_text("edited by hand")
    place.ship(compose="one")
    assert {change.name: change.action for change in place.deploy().changes} == {"notes": "keep_edited"}
    assert place.texts()["notes"] == "edited by hand"
    found = place.compare()
    assert (found.changes, found.foreign) == ([], ["notes"])


def test_edited_file_is_copied_privately_before_it_is_overwritten(place: Place):
    place.ship(compose="one")
    place.deploy()
    (place.host / "compose").write_text("edited by hand")
    place.ship(compose="two")
    assert place.actions() == {"compose": "overwrite"}
    place.deploy()
    assert place.texts() == {"compose": "two"}
    assert place.saved() == {"compose": "edited by hand"}
    copy = place.state / "saved" / AT / "compose"
    assert [path.stat().st_mode & 0o777 for path in (copy, copy.parent, copy.parent.parent)] == [0o600, 0o700, 0o700]


def test_edited_file_is_copied_also_when_the_source_did_not_change(place: Place):
    place.ship(compose="one")
    place.deploy()
    (place.host / "compose").write_text("edited by hand")
    assert place.actions() == {"compose": "overwrite"}


def test_file_that_was_there_first_is_copied_unless_it_is_the_same(place: Place):
    place.host.mkdir()
    (place.host / "compose").write_text("somebody else's")
    (place.host / "same").write_text("same")
    place.ship(compose="one", same="same")
    assert place.actions() == {"compose": "overwrite"}
    place.deploy()
    assert place.saved() == {"compose": "somebody else's"}
    place.ship(compose="one")
    assert place.actions() == {"same": "remove"}


def test_saved_copies_are_bounded(place: Place, tmp_path: pathlib.Path):
    place.host.mkdir()
    (place.host / "a").write_text("a")
    for day in range(1, 31):
        saved = SavedCopies(str(place.state), f"2026-11-{day:02}T00:00:00Z")
        with beneath.open_directory(str(place.host)) as directory:
            first, second = (saved.keep(directory, "a", "a") for _twice in range(2))
        assert first != second
        saved.forget_old()
    names = sorted(path.name for path in (place.state / "saved").iterdir())
    assert (len(names), names[0], names[-1]) == (20, "2026-11-11T00:00:00Z", "2026-11-30T00:00:00Z")


@pytest.mark.parametrize("target", ["/etc/passwd", "../elsewhere", "conf/../../x", ".."])
def test_link_that_leads_out_of_the_source_is_refused(place: Place, target: str):
    place.ship(compose="one")
    (place.source / "link").symlink_to(target)
    assert [problem.code for problem in place.compare().problems] == ["link_leads_out"]


def test_link_inside_is_made_again_and_removed_with_the_source(place: Place):
    place.ship(compose="one", conf__a="a")
    (place.source / "current").symlink_to("conf/a")
    place.deploy()
    assert os.readlink(place.host / "current") == "conf/a"
    assert place.actions() == {}
    place.ship(compose="one", conf__a="a")
    place.deploy()
    assert not os.path.lexists(place.host / "current")


def test_nothing_is_written_through_a_link_on_the_host(place: Place, tmp_path: pathlib.Path):
    place.ship(compose="one", conf__a="a")
    (tmp_path / "victim").mkdir()
    place.host.mkdir()
    (place.host / "conf").symlink_to(tmp_path / "victim")
    found = place.compare()
    assert {problem.code for problem in found.problems} == {"kind_differs", "unsafe_path"}
    assert list((tmp_path / "victim").iterdir()) == []


def test_deploy_directory_that_is_a_link_of_others_is_refused(place: Place, tmp_path: pathlib.Path):
    place.ship(compose="one")
    (tmp_path / "real").mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "link").symlink_to(tmp_path / "real")
    found = place.compare(path=str(tmp_path / "open" / "link"))
    assert [problem.code for problem in found.problems] == ["unsafe_path"]


@pytest.mark.parametrize(("first", "second"), [("a", "a__b"), ("a__b__c", "a__b")])
def test_file_of_ours_makes_room_for_a_directory_and_no_directory_for_a_file(place: Place, first: str, second: str):
    place.ship(**{first: "one"})
    place.deploy()
    place.ship(**{second: "two"})
    if len(first) < len(second):
        place.deploy()
        assert place.texts() == {"a/b": "two"}
        assert place.actions() == {}
    else:
        assert [problem.code for problem in place.compare().problems] == ["kind_differs"]
        assert place.texts() == {"a/b/c": "one"}


def test_link_of_ours_makes_room_for_a_directory(place: Place):
    place.ship(real__a="a")
    (place.source / "conf").symlink_to("real")
    place.deploy()
    place.ship(real__a="a", conf__b="b")
    place.deploy()
    assert place.texts() == {"real/a": "a", "conf/b": "b"}


def test_special_file_in_the_way_is_refused(place: Place):
    place.host.mkdir()
    os.mkfifo(place.host / "compose")
    place.ship(compose="one")
    assert [problem.code for problem in place.compare().problems] == ["kind_differs"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755])
def test_file_gets_its_mode_and_changed_mode_is_a_change(place: Place, mode: int):
    place.ship(compose="one")
    (place.source / "compose").chmod(mode)
    place.deploy()
    assert (place.host / "compose").stat().st_mode & 0o777 == mode
    (place.host / "compose").chmod(0o604)
    assert place.actions() == {"compose": "update"}
    place.deploy()
    assert (place.host / "compose").stat().st_mode & 0o777 == mode


def test_private_content_never_lies_in_a_file_others_can_read(place: Place, monkeypatch: pytest.MonkeyPatch):
    place.ship(key="public")
    place.deploy()
    place.ship(key="secret")
    (place.source / "key").chmod(0o600)
    modes = []
    blocks = beneath.Directory.blocks

    def watched(self, name):
        if str(place.source) in self.path:
            modes.append((place.host / "key").stat().st_mode & 0o777)
        yield from blocks(self, name)

    monkeypatch.setattr(beneath.Directory, "blocks", watched)
    place.deploy()
    assert modes[-1] == 0o600


def test_file_with_a_second_name_is_replaced_and_the_other_name_keeps_its_content(place: Place, tmp_path: pathlib.Path):
    place.ship(compose="one")
    place.deploy()
    os.link(place.host / "compose", tmp_path / "other")
    place.ship(compose="two")
    place.deploy()
    assert (place.texts(), (tmp_path / "other").read_text()) == ({"compose": "two"}, "one")


def test_data_keeps_modes_and_owner_and_is_never_removed(place: Place):
    place.ship(app="one", tool="run")
    (place.source / "tool").chmod(0o755)
    place.host.mkdir()
    if os.geteuid() == 0:
        os.chown(place.host, 1000, 1000)
    data = {"data": True, "prune": False, "outside": True}
    place.deploy(**data)
    (place.host / "app").chmod(0o660)
    assert place.actions(**data) == {}
    place.ship(app="two", sub__new="new")
    place.deploy(**data)
    assert place.texts() == {"app": "two", "tool": "run", "sub/new": "new"}
    assert (place.host / "app").stat().st_mode & 0o777 == 0o660
    owner = place.host.stat()
    assert {(path.stat().st_uid, path.stat().st_gid) for path in place.host.rglob("*")} == {
        (owner.st_uid, owner.st_gid)
    }
