# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for files that are not in the deploy directory yet is the plan of the deploy that follows their copy."""

import pathlib
import shutil

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from compose_lab import Lab, effect

TWO = pytest.mark.parametrize("lab", ["docker+2.26", "docker+2.40", "podman-compose"], indirect=True)


def base(lab: Lab) -> None:
    (lab.folder / "ctx").mkdir()
    (lab.folder / "ctx" / "Dockerfile").write_text(f"FROM {lab.backend.image}\nCOPY app /app\n")
    (lab.folder / "ctx" / "app").write_text(lab.project)  # of no earlier build
    (lab.folder / "web.env").write_text("MODE=one\n")
    (lab.folder / "conf").write_text("one\n")
    (lab.folder / "password").write_text("one")
    lab.top["secrets"] = {"password": {"file": "./password"}}
    lab.services.update(
        web=lab.service(env_file=["web.env"], environment={"LEVEL": "${LEVEL}"}, volumes=["./conf:/conf:ro"]),
        built=lab.service(image=f"localhost/{lab.project}:1", build="./ctx"),
        keeper=lab.service(secrets=["password"]),
        steady=lab.service(volumes=["${DATA}:/data"]),
    )


def actions(result: dict) -> dict[str, tuple[str, list[str]]]:
    return {row["service"]: (row["action"], row["reasons"]) for row in result["plan"]}


@pytest.fixture
def staged(lab: Lab, tmp_path: pathlib.Path):
    """Stage the changed files, without changing the deploy directory. Returns the directory of the staged files."""

    def stage(change) -> str:
        real, lab.folder = lab.folder, tmp_path / "staged"
        shutil.copytree(real, lab.folder)
        change()
        lab.write()
        place, lab.folder = lab.folder, real
        return str(place)

    return stage


def _copy(staged: str, lab: Lab) -> None:
    """What rsync would do: files that differ, in place."""
    for path in pathlib.Path(staged).rglob("*"):
        there = lab.folder / path.relative_to(staged)
        if path.is_file() and (not there.exists() or there.read_bytes() != path.read_bytes()):
            there.parent.mkdir(exist_ok=True)
            there.write_bytes(path.read_bytes())


@TWO
def test_nothing_to_copy_is_nothing_to_do(lab: Lab, staged):
    base(lab)
    lab.deploy()
    place = staged(lambda: None)
    assert {row[0] for row in actions(lab.info(staged_dir=place)).values()} == {"keep"}
    # Also without records of the containers: a file that is the same in both directories is as old as the deployed one.
    shutil.rmtree(lab.root / "state")
    assert actions(lab.info(staged_dir=place)) == actions(lab.info())


@TWO
def test_plan_of_staged_files_equals_that_after_the_copy(lab: Lab, staged):
    base(lab)
    lab.deploy()
    before = lab.states()

    def change() -> None:
        lab.variables["LEVEL"] = "debug"
        lab.services["new"] = lab.service()
        (lab.folder / "web.env").write_text("MODE=two\n")
        (lab.folder / "ctx" / "app").write_text("two")
        (lab.folder / "password").write_text("two")

    place = staged(change)
    expected = {
        "web": ("recreate", ["env_changed"]),
        "built": ("rebuild", ["build_context_changed"]),
        "keeper": ("restart", ["secret_changed"]),
        "steady": ("keep", []),
        "new": ("create", ["missing"]),
    }
    looked = lab.stack(staged_dir=place).preview(tolerate_missing=True)
    assert actions(looked) == expected
    diff = {row["service"]: set(row["diff"]) for row in looked["plan"]}
    assert diff["web"] == {"environment.LEVEL", "environment.MODE"}
    assert {row[0] for row in actions(lab.info()).values()} == {"keep"}
    assert lab.states() == before

    _copy(place, lab)
    assert actions(lab.info()) == expected


@TWO
def test_refusal_is_reported_before_the_copy(lab: Lab, staged):
    base(lab)
    lab.deploy()
    place = staged(lambda: lab.services["web"].update(volumes=["./gone:/gone:ro"], environment={"A": "${NOBODY:?}"}))
    with pytest.raises(BadStack) as caught:
        lab.stack(staged_dir=place).preview(tolerate_missing=True)
    assert {problem.code for problem in caught.value.problems} == {"unset_variable", "not_shipped"}
    assert place not in str(caught.value)


@TWO
def test_before_the_first_deploy(lab: Lab, staged):
    base(lab)
    place = staged(lambda: lab.services["steady"].update(volumes=["${DATA}/to-come:/data"]))
    shutil.rmtree(lab.folder)
    looked = lab.stack(staged_dir=place).preview(tolerate_missing=True)
    assert {name: row[0] for name, row in actions(looked).items()} == {
        "web": "create",
        "built": "rebuild",
        "keeper": "create",
        "steady": "create",
    }
    # An earlier step of the same playbook would make the directory, were this no check mode.
    assert sum("to-come" in warning for warning in looked["warnings"]) == 1


@TWO
def test_deploy_writes_the_staged_files_and_follows_the_plan(lab: Lab, staged):
    base(lab)
    lab.deploy()

    def change() -> None:
        lab.variables["LEVEL"] = "debug"
        (lab.folder / "ctx" / "app").write_text("two")
        (lab.folder / "password").write_text("two")
        (lab.folder / "conf").write_text("two\n")

    place = staged(change)
    inode = (lab.folder / "conf").stat().st_ino
    planned = lab.stack(staged_dir=place).preview(tolerate_missing=True)
    before = lab.states()
    result = lab.stack(staged_dir=place).converge()
    assert not result.get("failed"), result["msg"]
    assert actions(result) == actions(planned)
    happened = effect(before, lab.states())
    assert (happened["web"], happened["built"], happened["keeper"], happened["steady"]) == (
        "recreate",
        "recreate",
        "restart",
        "keep",
    )
    assert (lab.folder / "conf").read_text() == "two\n"
    assert (lab.folder / "conf").stat().st_ino == inode
    # The next plan, with the same files staged again and without staging, has no action.
    assert {row[0] for row in actions(lab.stack(staged_dir=place).converge()).values()} == {"keep"}
    assert {row[0] for row in actions(lab.info()).values()} == {"keep"}


@TWO
def test_failed_deploy_restores_its_files_and_keeps_those_of_others(lab: Lab, staged):
    base(lab)
    lab.deploy()
    (lab.folder / "data").mkdir()
    (lab.folder / "data" / "rows").write_text("precious")
    place = staged(lambda: lab.services["web"].update(command=["sh", "-c", "exit 3"]))
    shutil.rmtree(pathlib.Path(place) / "data")
    before = (lab.folder / "compose.yml").read_bytes()
    result = lab.stack(staged_dir=place, wait_timeout=6.0).converge()
    assert result["rolled_back"], result["msg"]
    assert (lab.folder / "compose.yml").read_bytes() == before
    assert (lab.folder / "data" / "rows").read_text() == "precious"
    assert result["foreign_files"] == [str(lab.folder / "data")]
