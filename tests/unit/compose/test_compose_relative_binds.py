# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Relative binds are what they are: content comes with the stack, data stays. The stack's own .env is used."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags
from paper_engine import Paper


@pytest.fixture
def paper(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Paper:
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    return Paper(tmp_path, monkeypatch)


def deploy(paper: Paper, **changes) -> dict:
    paper.write()
    result = paper.deploy(**changes)
    assert not result.get("failed"), result["msg"]
    return result


def plan(result: dict) -> tuple[str, tuple[str, ...]]:
    (row,) = [row for row in result["plan"] if row["service"] == "web"]
    return row["action"], tuple(row["reasons"])


def test_writable_file_that_comes_with_the_stack_restarts_its_service_when_it_changes(paper: Paper):
    paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml"]
    paper.write(**{"app.yaml": "one"})
    deploy(paper)
    assert plan(deploy(paper)) == ("keep", ())
    paper.write(**{"app.yaml": "two"})
    assert plan(deploy(paper)) == ("restart", ("config_changed",))
    assert plan(deploy(paper)) == ("keep", ())
    assert (paper.host / "app.yaml").read_text() == "two"


def test_rollback_brings_a_writable_file_of_the_stack_back(paper: Paper):
    paper.services["web"]["volumes"] = ["./app.yaml:/etc/app.yaml"]
    paper.write(**{"app.yaml": "one"})
    deploy(paper)
    paper.services["web"]["environment"] = {"BAD": "1"}
    paper.write(**{"app.yaml": "two"})
    assert paper.deploy()["rolled_back"]
    assert (paper.host / "app.yaml").read_text() == "one"


def test_missing_relative_directory_is_created_and_its_data_stays(paper: Paper):
    paper.services["web"].update(volumes=["./data:/data"], user=f"{os.getuid()}:{os.getgid()}")
    result = deploy(paper)
    assert [row["path"] for row in result["directories"]] == [str(paper.host / "data")]
    assert result["directories"][0]["reason"].startswith("user: ")
    (paper.host / "data" / "rows").write_text("precious")
    result = deploy(paper)
    assert (result["changed"], result["directories"], result["foreign_files"]) == (False, [], []), result["plan"]
    assert plan(result) == ("keep", ())
    paper.stack(state="absent", staged_dir="").converge()
    assert (paper.host / "data" / "rows").read_text() == "precious"


def test_missing_directory_is_created_for_a_service_that_reads_what_another_writes(paper: Paper):
    paper.services["web"]["volumes"] = ["./ssl:/ssl:ro"]
    paper.write()
    with pytest.raises(BadStack, match="ssl does not exist"):
        paper.deploy()
    paper.services["acme"] = {"image": "shop:1", "volumes": ["./ssl:/acme"]}
    assert [row["path"] for row in deploy(paper)["directories"]] == [str(paper.host / "ssl")]


def test_data_next_to_shipped_files_restarts_nothing(paper: Paper):
    paper.services["web"]["volumes"] = ["./config:/config"]
    paper.write(config__app="one")
    deploy(paper)
    (paper.host / "config" / "rows").write_text("precious")
    assert plan(deploy(paper)) == ("keep", ())
    paper.write(config__app="two")
    assert plan(deploy(paper))[0] == "restart"
    assert (paper.host / "config" / "rows").read_text() == "precious"


def test_data_without_deployed_files_is_not_content(paper: Paper):
    paper.services["web"]["volumes"] = ["./data:/data"]
    deploy(paper)
    (paper.state / "shop" / "files.json").unlink()
    before = plan(paper.stack(staged_dir="", env=None).preview())
    (paper.host / "data" / "rows").write_text("precious")
    assert plan(paper.stack(staged_dir="", env=None).preview()) == before


def test_check_mode_names_the_directory_and_creates_nothing(paper: Paper):
    paper.services["web"]["volumes"] = ["./data:/data"]
    paper.write()
    looked = paper.stack(staged_dir=str(paper.stage("x"))).preview(tolerate_missing=True)
    assert [row["path"] for row in looked["directories"]] == [str(paper.host / "data")]
    assert not paper.host.exists()


def test_refused_deploy_creates_no_directory(paper: Paper):
    paper.services["web"].update(volumes=["./data:/data"], ports=["8080:80"])
    paper.write()
    with pytest.raises(BadStack):
        paper.deploy()
    assert not (paper.host / "data").exists()


def test_derive_creates_an_absolute_directory_that_was_refused_before(paper: Paper, tmp_path: pathlib.Path):
    paper.services["web"]["volumes"] = [f"{tmp_path}/srv/new:/data"]
    paper.write()
    with pytest.raises(BadStack, match="data_dirs_directories"):
        paper.deploy()
    result = deploy(paper, rules=declaration.Rules(derive=True))
    assert (tmp_path / "srv/new").is_dir()
    assert [row["path"] for row in result["directories"]] == [f"{tmp_path}/srv/new"]


# The environment file of the stack's folder


def test_environment_file_of_the_stack_is_deployed_private(paper: Paper):
    paper.env = None
    paper.write(**{".env": "LEVEL=debug\n"})
    (paper.source / ".env").chmod(0o644)
    deploy(paper)
    assert paper.running()["web"]["LEVEL"] == "debug"
    assert (paper.host / ".env").stat().st_mode & 0o777 == 0o600
    assert deploy(paper)["changed"] is False


def test_variables_of_the_inventory_win_over_those_of_the_file(paper: Paper):
    paper.services["web"]["environment"]["OTHER"] = "${OTHER:?}"
    paper.write(**{".env": "LEVEL=of-the-file\nOTHER=kept\n"})
    paper.env = {"LEVEL": "of-the-inventory"}
    deploy(paper)
    assert paper.running()["web"] == {"LEVEL": "of-the-inventory", "OTHER": "kept"}


def test_values_of_the_file_are_secrets(paper: Paper):
    paper.services["web"]["environment"]["OTHER"] = "${OTHER:?}"
    paper.services["web"]["command"] = ["serve", "--with=${OTHER}"]
    paper.write(**{".env": "OTHER=canary-of-the-file\n"})
    first = deploy(paper)
    paper.write(**{".env": "OTHER=second-canary-value\n"})
    second = deploy(paper)
    assert "canary" not in str(first) + str(second)
