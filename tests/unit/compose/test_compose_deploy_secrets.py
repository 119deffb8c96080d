# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret files, environment files and modes in a deploy. The engine is on paper."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack, ComposeError
from paper_engine import Paper, actions, without_staging


def test_staged_environment_file_is_deployed_each_time(paper: Paper):
    paper.env = None
    paper.write(**{".env": "LEVEL=one\n"})
    (paper.source / ".env").chmod(0o600)
    for level in ("one", "two", "three"):
        (paper.source / ".env").write_text(f"LEVEL={level}\n")
        assert not paper.deploy().get("failed")
        assert paper.running()["web"]["LEVEL"] == level


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
    looked = paper.stack(staged_dir="").preview()
    assert actions(looked, paper) == {".env": "create"}
    assert set(paper.texts()) == {"compose.yml"}
    result = paper.deploy(staged_dir="")
    assert not result.get("failed"), result["msg"]
    assert paper.running() == {"web": {"LEVEL": "info"}}
    assert set(paper.texts()) == {"compose.yml", ".env"}
    before = without_staging(paper)
    paper.env = {"LEVEL": "debug"}
    with pytest.raises(BadStack):
        paper.deploy(staged_dir="", required_env=["OTHER"])
    assert without_staging(paper) == before


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
    looked = paper.stack(secrets=(secret,), staged_dir=str(paper.stage())).preview()
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
