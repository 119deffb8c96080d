# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a deploy writes, keeps, saves and removes. The engine is on paper."""

from __future__ import annotations

from paper_engine import Paper, actions, codes


def test_first_deploy_brings_files_and_second_one_changes_nothing(paper: Paper):
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    assert actions(result, paper) == {"compose.yml": "create", ".env": "create", ".onebox-stack": "create"}
    assert paper.running() == {"web": {"LEVEL": "info"}}
    assert (paper.host / ".env").stat().st_mode & 0o777 == 0o600
    result = paper.deploy()
    assert (result["changed"], result["files"], result["foreign_files"]) == (False, [], [])


def test_check_mode_names_every_file_and_changes_nothing(paper: Paper):
    paper.write(conf="one", gone="gone")
    paper.deploy()
    (paper.host / "conf").write_text("edited by hand")
    paper.services["web"]["environment"]["MORE"] = "1"
    (paper.source / "gone").unlink()
    paper.write(new="new")
    before = paper.listing()
    staged = str(paper.stage("x"))
    for result in (
        paper.stack(staged_dir=staged).preview(tolerate_missing=True),
        paper.stack(staged_dir=staged).info(),
    ):
        assert actions(result, paper) == {
            "compose.yml": "update",
            "conf": "overwrite",
            "gone": "remove",
            "new": "create",
        }
    after = {name: value for name, value in paper.listing().items() if not name.startswith("staging/x")}
    assert after == before


def test_data_next_to_the_compose_file_survives_deploy_refusal_rollback_and_removal(paper: Paper):
    paper.write(conf__a="a")
    paper.deploy()
    for name in ("data/deep/er/rows", "conf/mine", "notes"):
        path = paper.host / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    mine = {"data/deep/er/rows": "precious", "conf/mine": "precious", "notes": "precious"}

    def kept() -> bool:
        return mine.items() <= paper.texts().items()

    paper.write(conf__b="b")
    result = paper.deploy()
    assert kept()
    assert set(result["foreign_files"]) == {str(paper.host / name) for name in ("data", "notes", "conf/mine")}
    paper.services["web"]["environment"]["NEW"] = "${NOBODY:?}"
    paper.write()
    codes(paper)
    assert kept()
    paper.services["web"]["environment"] = {"BAD": "1"}
    paper.write()
    assert paper.deploy()["rolled_back"]
    assert kept()
    result = paper.stack(state="absent", staged_dir="").converge()
    assert paper.texts() == mine
    assert sorted(result["foreign_files"]) == sorted(str(paper.host / name) for name in ("data", "notes", "conf/mine"))
    assert not (paper.state / "shop" / "files.json").exists()


def test_removal_of_an_untouched_stack_leaves_no_deploy_directory(paper: Paper):
    paper.write(conf__a="a")
    paper.deploy()
    looked = paper.stack(state="absent", staged_dir="").preview()
    assert paper.host.exists()
    result = paper.stack(state="absent", staged_dir="").converge()
    assert looked["files"] == result["files"]
    assert not paper.host.exists()


def test_removal_keeps_edited_files_and_variables_of_others(paper: Paper):
    paper.write(conf="a")
    paper.deploy()
    (paper.host / "conf").write_text("edited")
    with (paper.host / ".env").open("a") as stream:
        stream.write("MINE=1\n")
    result = paper.stack(state="absent", staged_dir="").converge()
    assert set(paper.texts()) == {"conf", ".env"}
    assert any(".env stays" in warning for warning in result["warnings"])


def test_renamed_compose_file_is_the_one_in_force(paper: Paper):
    paper.deploy()
    (paper.source / "compose.yml").unlink()
    paper.file = "compose.yaml"
    paper.services["web"]["environment"]["NAME"] = "yaml"
    paper.write()
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    assert paper.running()["web"]["NAME"] == "yaml"
    assert set(paper.texts()) == {"compose.yaml", ".env", ".onebox-stack"}
    assert paper.deploy()["changed"] is False


def test_files_of_others_count_as_if_they_were_in_the_source(paper: Paper):
    paper.host.mkdir()
    (paper.host / "local.env").write_text("LOCAL=1\n")
    (paper.host / "conf").mkdir()
    (paper.host / "conf" / "app").write_text("x")
    paper.services["web"].update(env_file=["local.env"], volumes=["./conf/app:/conf:ro"])
    paper.write()
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    assert paper.running()["web"]["LOCAL"] == "1"
    assert paper.deploy()["changed"] is False
    assert {"local.env", "conf/app"} <= set(paper.texts())
    (number,) = (paper.state / "shop" / "good").iterdir()
    kept = {str(path.relative_to(number / "files")) for path in (number / "files").rglob("*") if path.is_file()}
    assert kept == {"compose.yml", ".env", "conf/app"}


def test_edited_file_is_saved_before_a_deploy_and_before_a_rollback_overwrite_it(paper: Paper):
    paper.deploy()
    (paper.host / "compose.yml").write_text("edited by hand")
    result = paper.deploy()
    assert not result.get("failed"), result["msg"]
    (warning,) = [each for each in result["warnings"] if "compose.yml" in each]
    assert "edited by hand" in [path.read_text() for path in (paper.state / "shop/saved").rglob("compose.yml")]
    assert str(paper.state) in warning
    # While the failing deploy runs, somebody edits the file again.
    paper.services["web"]["environment"]["BAD"] = "1"
    paper.write()
    paper.before = lambda step: (paper.host / "compose.yml").write_text("edited again") if step == "up web" else None
    result = paper.deploy()
    paper.before = lambda step: None
    assert result["rolled_back"], result["msg"]
    assert "edited again" in [path.read_text() for path in (paper.state / "shop/saved").rglob("compose.yml*")]
    assert paper.running() == {"web": {"LEVEL": "info"}}


def test_same_staged_directory_can_be_judged_twice(paper: Paper):
    paper.deploy()
    (paper.host / "mine").write_text("mine")
    staged = str(paper.stage("x"))
    for _twice in range(2):
        assert paper.stack(staged_dir=staged).preview()["foreign_files"] == [str(paper.host / "mine")]
    assert paper.deploy(staged_dir=staged)["changed"] is False


def test_files_of_others_in_a_directory_that_left_the_source_do_not_end_the_deploy(paper: Paper):
    paper.services["web"]["env_file"] = ["old/deep/mine.env"]
    paper.write(old__deep__a="a")
    (paper.host / "old" / "deep").mkdir(parents=True)
    (paper.host / "old" / "deep" / "mine.env").write_text("MINE=1\n")
    assert not paper.deploy().get("failed")
    (paper.source / "old" / "deep" / "a").unlink()
    (paper.source / "old" / "deep").rmdir()
    (paper.source / "old").rmdir()
    staged = paper.stage("x")
    result = paper.deploy(staged_dir=str(staged))
    assert not result.get("failed"), result["msg"]
    assert paper.running()["web"]["MINE"] == "1"
    assert (paper.host / "old" / "deep" / "mine.env").exists()
    assert not (paper.host / "old" / "deep" / "a").exists()
    assert not (staged / "old").exists()
    assert paper.deploy()["changed"] is False


def test_odd_names_are_deployed_and_removed(paper: Paper):
    names = ["\udcff", "a\nb", "'\"$x", "\u00e4", "-rf", ".env.local", "." + "x" * 240]
    for name in names:
        (paper.source / name).write_text(name[:1].encode("utf-8", "surrogateescape").hex())
    assert not paper.deploy().get("failed")
    assert {path.name for path in paper.host.iterdir()} == {*names, "compose.yml", ".env", ".onebox-stack"}
    assert paper.deploy()["changed"] is False
    for name in names:
        (paper.source / name).unlink()
    paper.deploy()
    assert {path.name for path in paper.host.iterdir()} == {"compose.yml", ".env", ".onebox-stack"}


def test_change_of_the_marker_alone_is_allowed_in_a_freeze(paper: Paper):
    paper.deploy()
    (paper.host / ".onebox-stack").unlink()
    frozen = ({"days": None, "start": "00:00", "end": "00:00", "timezone": "UTC"},)
    assert not paper.deploy(freeze=frozen).get("failed")
    assert (paper.host / ".onebox-stack").read_text() == "shop\n"


def test_release_is_what_was_judged(paper: Paper):
    paper.deploy()
    paper.services["web"]["environment"]["NEW"] = "1"
    paper.write()
    paper.before = lambda step: (paper.host / "compose.yml").write_text("{}") if step == "up web" else None
    result = paper.deploy()
    paper.before = lambda step: None
    assert not result.get("failed"), result["msg"]
    assert any("the release was not kept, because compose.yml" in each for each in result["warnings"])
    assert [path.name for path in (paper.state / "shop" / "good").iterdir()] == ["1"]
    assert result["last_good"]["number"] == 1


def test_rollback_removes_a_file_that_only_the_failed_deploy_had(paper: Paper):
    paper.services["web"]["volumes"] = ["./conf:/conf:ro"]
    paper.write(conf__a="a")
    paper.deploy()
    paper.services["web"]["environment"]["BAD"] = "1"
    paper.write(conf__b="b")
    result = paper.deploy()
    assert result["rolled_back"], result["msg"]
    assert "conf/b" not in paper.texts()
    assert paper.texts()["conf/a"] == "a"
    paper.services["web"]["environment"].pop("BAD")
    paper.write()
    paper.deploy()
    assert paper.texts()["conf/b"] == "b"
