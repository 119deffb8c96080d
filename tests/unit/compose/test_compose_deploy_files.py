# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy does to files: judge first, then move in; a refused deploy leaves no byte. The engine is on paper."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import ports
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history, image_tags
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from paper_engine import Paper


@pytest.fixture
def paper(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Paper:
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    paper = Paper(tmp_path, monkeypatch)
    paper.write()
    return paper


def codes(paper: Paper, **changes) -> set[str]:
    with pytest.raises(BadStack) as caught:
        paper.deploy(**changes)
    assert "was not touched" in str(caught.value)
    return {problem.code for problem in caught.value.problems}


def actions(result: dict, paper: Paper) -> dict[str, str]:
    return {os.path.relpath(row["path"], paper.host): row["action"] for row in result["files"]}


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
    for result in (paper.stack(staged_dir=staged).look(blind_is_fine=True), paper.stack(staged_dir=staged).info()):
        assert actions(result, paper) == {
            "compose.yml": "update",
            "conf": "overwrite",
            "gone": "remove",
            "new": "create",
        }
    after = {name: value for name, value in paper.listing().items() if not name.startswith("staging/x")}
    assert after == before


def test_data_beside_the_compose_file_stays_in_deploy_refusal_rollback_and_removal(paper: Paper):
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
    looked = paper.stack(state="absent", staged_dir="").look()
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


def test_compose_file_of_others_that_would_be_read_first_is_a_refusal(paper: Paper):
    (paper.source / "compose.yml").unlink()
    paper.file = "docker-compose.yml"
    paper.write()
    paper.host.mkdir()
    (paper.host / "compose.yml").write_text("{}")
    assert codes(paper) == {"foreign_compose_file"}
    assert paper.texts() == {"compose.yml": "{}"}


@pytest.mark.parametrize("name", ["compose.override.yml", "compose.override.yaml", "docker-compose.override.yml"])
def test_override_file_of_others_that_would_be_read_is_a_refusal(paper: Paper, name: str):
    paper.host.mkdir()
    (paper.host / name).write_text("{}")
    assert codes(paper) == {"foreign_compose_file"}
    assert paper.texts() == {name: "{}"}
    result = paper.deploy(files=("compose.yml",))
    assert not result.get("failed"), result["msg"]
    assert result["files_read"] == [str(paper.host / "compose.yml"), str(paper.host / ".env")]


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


def test_staged_environment_file_is_deployed_each_time(paper: Paper):
    paper.env = None
    paper.write(**{".env": "LEVEL=one\n"})
    (paper.source / ".env").chmod(0o600)
    for level in ("one", "two", "three"):
        (paper.source / ".env").write_text(f"LEVEL={level}\n")
        assert not paper.deploy().get("failed")
        assert paper.running()["web"]["LEVEL"] == level


def test_same_staged_directory_can_be_judged_twice(paper: Paper):
    paper.deploy()
    (paper.host / "mine").write_text("mine")
    staged = str(paper.stage("x"))
    for _twice in range(2):
        assert paper.stack(staged_dir=staged).look()["foreign_files"] == [str(paper.host / "mine")]
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


def test_change_of_the_marker_alone_is_no_change_for_a_frozen_stack(paper: Paper):
    paper.deploy()
    (paper.host / ".onebox-stack").unlink()
    frozen = ({"days": None, "start": "00:00", "end": "00:00", "timezone": "UTC"},)
    assert not paper.deploy(freeze=frozen).get("failed")
    assert (paper.host / ".onebox-stack").read_text() == "shop\n"


def test_deploy_directory_behind_a_link_in_a_bound_directory_is_refused(paper: Paper):
    (paper.root / "bound").mkdir()
    (paper.root / "real").mkdir()
    (paper.root / "bound" / "stack").symlink_to(paper.root / "real")
    paper.services["web"]["volumes"] = [f"{paper.root}/bound:/all"]
    paper.write()
    assert "unsafe_path" in codes(paper, project_dir=str(paper.root / "bound" / "stack"))
    assert list((paper.root / "real").iterdir()) == []


def test_release_is_what_was_judged(paper: Paper):
    paper.deploy()
    paper.services["web"]["environment"]["NEW"] = "1"
    paper.write()
    paper.before = lambda step: (paper.host / "compose.yml").write_text("{}") if step == "up web" else None
    result = paper.deploy()
    paper.before = lambda step: None
    assert not result.get("failed"), result["msg"]
    assert any("no release of stack shop was kept: somebody changed compose.yml" in each for each in result["warnings"])
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


def test_variables_that_are_set_no_longer_leave_the_environment_file_and_those_of_others_stay(paper: Paper):
    paper.host.mkdir()
    (paper.host / ".env").write_text("MINE=1\n")
    (paper.host / ".env").chmod(0o600)
    paper.deploy()
    assert "MINE=1" in paper.texts()[".env"]
    paper.services["web"]["environment"] = {}
    paper.env = None
    paper.write()
    paper.deploy()
    assert paper.texts()[".env"] == "MINE=1\n"


def test_stack_on_the_host_gets_its_variables_only_after_it_was_judged(paper: Paper):
    paper.host.mkdir()
    (paper.host / "compose.yml").write_bytes((paper.source / "compose.yml").read_bytes())
    looked = paper.stack(staged_dir="").look()
    assert actions(looked, paper) == {".env": "create"}
    assert set(paper.texts()) == {"compose.yml"}
    result = paper.deploy(staged_dir="")
    assert not result.get("failed"), result["msg"]
    assert paper.running() == {"web": {"LEVEL": "info"}}
    assert set(paper.texts()) == {"compose.yml", ".env"}
    before = _without_staging(paper)
    paper.env = {"LEVEL": "debug"}
    with pytest.raises(BadStack):
        paper.deploy(staged_dir="", required_env=["OTHER"])
    assert _without_staging(paper) == before


def test_private_file_stays_private_and_umask_does_not_matter(paper: Paper):
    paper.write(key="secret", open="x", tool="x", shared="x", private__a="x")
    for name, mode in (("key", 0o600), ("open", 0o664), ("tool", 0o775), ("shared", 0o640), ("private", 0o700)):
        (paper.source / name).chmod(mode)
    paper.deploy()
    modes = {name: (paper.host / name).stat().st_mode & 0o777 for name in ("key", "open", "tool", "shared", "private")}
    assert modes == {"key": 0o600, "open": 0o644, "tool": 0o755, "shared": 0o640, "private": 0o700}


def test_secret_file_is_written_with_the_deploy_and_in_one_step(paper: Paper, tmp_path: pathlib.Path):
    (tmp_path / "elsewhere").mkdir()
    path = tmp_path / "elsewhere" / "password"
    paper.services["web"]["volumes"] = [f"{path}:/run/password:ro"]
    paper.write()
    secret = {"path": str(path), "value": "hunter22"}
    looked = paper.stack(secrets=(secret,), staged_dir=str(paper.stage())).look()
    assert {"path": str(path), "action": "create"} in looked["files"]
    assert not path.exists()
    result = paper.deploy(secrets=(secret,))
    assert not result.get("failed"), result["msg"]
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("hunter22", 0o400)
    inode = path.stat().st_ino
    assert paper.deploy(secrets=(secret,))["changed"] is False
    assert path.stat().st_ino == inode
    result = paper.deploy(secrets=({**secret, "value": "hunter33"},))
    assert (path.read_text(), path.stat().st_ino == inode) == ("hunter33", False)
    assert not [entry for entry in os.scandir(path.parent) if entry.name != "password"]
    if os.geteuid() == 0:
        paper.deploy(secrets=({**secret, "value": "hunter33", "owner": "1000"},))
        assert path.stat().st_uid == 1000


def _bad_yaml(paper: Paper) -> dict:
    (paper.source / "compose.yml").write_text("{")
    return {}


def _missing_variable(paper: Paper) -> dict:
    paper.services["web"]["environment"]["NEW"] = "${NOBODY:?}"
    paper.write()
    return {}


def _unset_variable(paper: Paper) -> dict:
    paper.services["web"]["environment"]["NEW"] = "${NOBODY}"
    paper.write()
    return {}


def _required(paper: Paper) -> dict:
    return {"required_env": ["OTHER"]}


def _no_source(paper: Paper) -> dict:
    paper.services["web"]["volumes"] = ["/nowhere/data:/data"]
    paper.write()
    return {}


def _public_port(paper: Paper) -> dict:
    paper.services["web"]["ports"] = [{"target": 80, "published": "8080", "protocol": "tcp"}]
    paper.write()
    return {}


def _frozen(paper: Paper) -> dict:
    return {"freeze": ({"days": None, "start": "00:00", "end": "00:00", "timezone": "UTC"},)}


def _link_out(paper: Paper) -> dict:
    (paper.source / "link").symlink_to("/etc/passwd")
    return {}


def _directory_in_the_way(paper: Paper) -> dict:
    (paper.host / "new").mkdir(parents=True)
    return {}


def _bad_env(paper: Paper) -> dict:
    return {"env": {"LEVEL": "${expanded}"}}


def _bad_owner(paper: Paper) -> dict:
    return {"secrets": ({"path": str(paper.root / "elsewhere" / "s"), "value": "x", "owner": "no-such-user"},)}


def _podman_secret(paper: Paper) -> dict:
    return {"secrets": ({"name": "key", "value": "x"},)}


REFUSALS = [
    _bad_yaml,
    _missing_variable,
    _unset_variable,
    _required,
    _no_source,
    _public_port,
    _frozen,
    _link_out,
    _directory_in_the_way,
    _bad_env,
    _bad_owner,
    _podman_secret,
]


@pytest.mark.parametrize("deployed", [True, False])
@pytest.mark.parametrize("spoil", REFUSALS)
def test_refused_deploy_leaves_no_new_byte(paper: Paper, spoil, deployed: bool):
    (paper.root / "elsewhere" / "data").mkdir(parents=True)
    (paper.state / "shop").mkdir(parents=True)
    (paper.state / "shop" / "lock").write_text("")
    if deployed:
        paper.write(conf="one", gone="gone")
        assert not paper.deploy().get("failed")
        (paper.source / "gone").unlink()
    paper.env = {"LEVEL": "debug"}
    paper.write(conf="two", new="new")
    content = paper.root / "staging" / "content"
    content.mkdir(parents=True)
    (content / "app").write_text("app")
    options = {
        "secrets": ({"path": str(paper.root / "elsewhere" / "password"), "value": "hunter22"},),
        "content": ((str(content), str(paper.root / "elsewhere" / "data")),),
        **spoil(paper),
    }
    staged = paper.stage("x")
    before = _without_staging(paper)
    with pytest.raises(OneboxError) as caught:
        paper.deploy(staged_dir=str(staged), **options)
    assert _without_staging(paper) == before
    assert "hunter22" not in str(caught.value)


def test_port_that_is_taken_leaves_no_new_byte(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    paper.deploy()
    monkeypatch.setattr(ports, "listeners", lambda: [ports.Listener("127.0.0.1", 8080, "tcp", "1")])
    paper.services["web"]["ports"] = [
        {"target": 80, "published": "8080", "protocol": "tcp", "host_ip": "127.0.0.1", "mode": "ingress"}
    ]
    paper.write()
    before = _without_staging(paper)
    assert codes(paper) == {"port_taken"}
    assert _without_staging(paper) == before


def test_full_disk_leaves_no_new_byte(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    paper.write(big="x" * 4096)
    monkeypatch.setattr(trees, "free_bytes", lambda path: 1 << 20)
    (paper.state / "shop").mkdir(parents=True)
    (paper.state / "shop" / "lock").write_text("")
    before = _without_staging(paper)
    assert codes(paper) == {"disk_full"}
    assert _without_staging(paper) == before


def test_disk_that_fills_up_meanwhile_is_a_failure_that_is_written_down(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    paper.write(a="a", b="b")
    paper.deploy()
    paper.services["web"]["environment"]["NEW"] = "1"
    paper.write(a="aa", b="bb")
    written = beneath.Directory.overwrite

    def full(self, name, blocks, mode):
        if name == "b":
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, name, blocks, mode)

    with monkeypatch.context() as patch:
        patch.setattr(beneath.Directory, "overwrite", full)
        result = paper.deploy()
    assert (result["failed"], result["changed"]) == (True, True)
    assert f"{paper.host}/b: cannot be deployed (No space left on device)" in result["msg"]
    assert history.last(str(paper.state / "shop"), 1)[0]["message"] == result["msg"]
    assert paper.running() == {"web": {"LEVEL": "info"}}
    assert not paper.deploy().get("failed")
    assert paper.running()["web"]["NEW"] == "1"
    assert paper.texts()["b"] == "bb"


def _without_staging(paper: Paper) -> dict[str, tuple]:
    """Everything on the host. The lock file, which must be there, says who held it last."""
    return {
        name: value
        for name, value in paper.listing().items()
        if not name.startswith("staging") and not name.endswith("/lock")
    }


def test_no_private_directory_is_left_behind(paper: Paper, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    secret = {"path": str(tmp_path / "elsewhere" / "password"), "value": "hunter22"}
    paper.deploy(secrets=(secret,))
    with pytest.raises(ComposeError):
        paper.deploy(secrets=({**secret, "value": "other"},), required_env=["OTHER"])
    assert list((tmp_path / "tmp").iterdir()) == []


def test_secrets_wait_in_the_directory_that_the_role_removes(paper: Paper, tmp_path: pathlib.Path):
    (tmp_path / "elsewhere").mkdir()
    secret = {"path": str(tmp_path / "elsewhere" / "password"), "value": "hunter22"}
    staged = paper.stage("x")
    seen: list[str] = []

    def look(step: str) -> None:
        seen.extend(path.read_text() for path in staged.parent.rglob("password"))

    paper.before = look
    paper.deploy(secrets=(secret,), staged_dir=str(staged), staging_dir=str(staged.parent))
    assert "hunter22" in seen
    assert list(staged.parent.rglob("password")) == []


@pytest.mark.parametrize("place", ["/", "/opt", "/etc", "/usr/lib/x", "/root", "/var/lib", "/proc/x", "/home"])
def test_directory_of_the_system_is_refused(paper: Paper, place: str):
    assert "bad_project_dir" in codes(paper, project_dir=place)


@pytest.mark.parametrize("where", ["{}", "{}/inner", "{}/inner/most", ".."])
def test_directory_of_another_stack_its_parent_and_its_child_are_refused(paper: Paper, where: str):
    paper.deploy()
    place = os.path.normpath(where.format(paper.host)) if "{" in where else str(paper.root)
    assert codes(paper, name="other", project_dir=place) & {"project_dir_of_another", "bad_project_dir"}


def test_directory_marked_as_that_of_a_stack_with_another_state_directory_is_refused(paper: Paper):
    paper.deploy()
    other = str(paper.root / "other-state")
    found = codes(paper, name="other", state_dir=other, adopt=True)
    assert found == {"project_dir_of_another"}
    assert codes(paper, name="other", state_dir=other, adopt=True, project_dir=str(paper.host / "in")) == found
