# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A refused deploy leaves no new byte, an unfinished one is recorded. The engine is on paper."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import ports
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import history
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, trees
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from paper_engine import Paper, codes, without_staging


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


def test_deploy_directory_behind_a_link_in_a_bound_directory_is_refused(paper: Paper):
    (paper.root / "bound").mkdir()
    (paper.root / "real").mkdir()
    (paper.root / "bound" / "stack").symlink_to(paper.root / "real")
    paper.services["web"]["volumes"] = [f"{paper.root}/bound:/all"]
    paper.write()
    assert "unsafe_path" in codes(paper, project_dir=str(paper.root / "bound" / "stack"))
    assert list((paper.root / "real").iterdir()) == []


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
    before = without_staging(paper)
    with pytest.raises(OneboxError) as caught:
        paper.deploy(staged_dir=str(staged), **options)
    assert without_staging(paper) == before
    assert "hunter22" not in str(caught.value)


def test_port_that_is_taken_leaves_no_new_byte(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    paper.deploy()
    monkeypatch.setattr(ports, "listeners", lambda: [ports.Listener("127.0.0.1", 8080, "tcp", "1")])
    paper.services["web"]["ports"] = [
        {"target": 80, "published": "8080", "protocol": "tcp", "host_ip": "127.0.0.1", "mode": "ingress"}
    ]
    paper.write()
    before = without_staging(paper)
    assert codes(paper) == {"port_taken"}
    assert without_staging(paper) == before


def test_full_disk_leaves_no_new_byte(paper: Paper, monkeypatch: pytest.MonkeyPatch):
    paper.write(big="x" * 4096)
    monkeypatch.setattr(trees, "free_bytes", lambda path: 1 << 20)
    (paper.state / "shop").mkdir(parents=True)
    (paper.state / "shop" / "lock").write_text("")
    before = without_staging(paper)
    assert codes(paper) == {"disk_full"}
    assert without_staging(paper) == before


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
