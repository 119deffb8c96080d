# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role by ansible-playbook on this machine: check mode and plan.yml know the files that are not copied yet."""

import datetime
import json
import pathlib
import re
import tempfile

import pytest
from onebox_testbed import ports
from role_box import ROOT, Box


@pytest.fixture
def box(make_lab):
    lab = make_lab("docker+2.26")
    lab.services["web"] = lab.service(environment={"LEVEL": "${LEVEL}"}, volumes=["./conf:/conf:ro"])
    lab.services["steady"] = lab.service(volumes=["${DATA}:/data"])
    (lab.folder / "conf").write_text("one\n")
    lab.write()
    with tempfile.TemporaryDirectory(prefix="obx-role-") as home:
        yield Box(lab, pathlib.Path(home))


def test_check_mode_and_the_plan_know_what_is_not_there_yet(box: Box):
    lab = box.lab
    before_anything = box.run("--check", "--diff")
    assert "web: create" in before_anything
    assert not box.deployed.exists()
    assert lab.containers() == {}

    box.run()
    assert box.changed() == 0
    assert box.changed("--check") == 0
    states, files = lab.states(), box.files()

    lab.services["web"]["environment"] = {"LEVEL": "${LEVEL}", "MORE": "1"}
    lab.variables["LEVEL"] = "debug"
    lab.write()
    for said in (box.run("--check", "--diff"), box.run(playbook="playbooks/plan.yml")):
        assert "web: recreate" in said
        assert "environment.LEVEL" in said
        assert "environment.MORE" in said
        assert "steady: re" not in said
    assert (lab.states(), box.files()) == (states, files)
    assert list(box.temporary.iterdir()) == []

    lab.services["web"]["environment"]["BAD"] = "${NOBODY:?}"
    lab.write()
    said = box.run("--check", expect=2)
    assert "NOBODY" in said
    assert str(box.deployed) in said
    assert (lab.states(), box.files()) == (states, files)
    assert list(box.temporary.iterdir()) == []


def test_stack_that_is_on_the_host_already_is_planned_with_its_new_variables(box: Box):
    box.run()
    box.variables["compose_stack_source"] = ""
    box.lab.variables["LEVEL"] = "debug"
    assert "web: recreate" in box.run("--check", "--diff")
    assert "web: recreate" in box.run(playbook="playbooks/plan.yml")


def test_database_that_no_backup_source_names_is_a_warning_of_the_plan(box: Box, tmp_path: pathlib.Path):
    # With the inventory's own rule for what is backed up.
    box.use_group_vars(ROOT / "inventories/group_vars/all.yml")
    lab = box.lab
    lab.services["db"] = {"image": "docker.io/library/postgres:15"}
    lab.services["cache"] = {"image": "localhost/valkey:8", "container_name": "the-cache"}
    lab.services["metrics"] = {"image": "quay.io/prometheuscommunity/postgres-exporter:v0.15.0"}
    lab.write()
    for said in (box.run(playbook="playbooks/plan.yml"), box.run("--check")):
        named = re.findall(r"service (\S+) runs (\S+) and no backup source names it", " ".join(said.split()))
        assert set(named) == {("db", "docker.io/library/postgres:15"), ("cache", "localhost/valkey:8")}

    box.variables["backups_sources"] = [
        {"name": "a", "kind": "postgresql", "service": "db"},
        {"name": "b", "kind": "redis", "container": "the-cache"},
        {"name": "c", "kind": "directory", "path": str(tmp_path)},
    ]
    assert "no backup source" not in " ".join(box.run(playbook="playbooks/plan.yml").split())


def test_data_next_to_the_compose_file_survives_a_deploy_and_a_refusal(box: Box):
    box.run()
    data = box.deployed / "data" / "rows.jsonl"
    data.parent.mkdir()
    data.write_text("one row\n")
    box.lab.variables["LEVEL"] = "debug"
    box.run()
    assert data.read_text() == "one row\n"
    box.lab.services["web"]["environment"]["BAD"] = "${NOBODY:?}"
    box.lab.write()
    box.run(expect=2)
    assert data.read_text() == "one row\n"


def test_edited_file_is_saved_and_a_removed_one_is_deleted(box: Box):
    (box.lab.folder / "old").write_text("old\n")
    box.run()
    (box.deployed / "conf").write_text("by hand\n")
    (box.lab.folder / "old").unlink()
    said = box.run("--check", "--diff")
    assert f"{box.deployed}/conf: overwrite" in said
    assert f"{box.deployed}/old: remove" in said
    assert (box.deployed / "old").exists()
    assert "was edited after the last deploy" in " ".join(box.run().split())
    assert (box.deployed / "conf").read_text() == "one\n"
    assert not (box.deployed / "old").exists()
    saved = pathlib.Path(box.variables["compose_stack_state_dir"]) / box.lab.project / "saved"
    assert [path.read_text() for path in saved.rglob("conf")] == ["by hand\n"]


@pytest.mark.parametrize(("name", "state"), [("", "present"), ("..", "absent"), ("shop\n", "rolled_back")])
def test_bad_name_is_refused_before_anything_is_touched(box: Box, name: str, state: str):
    (box.deployed / "other").mkdir(parents=True)
    (box.deployed / "other" / "compose.yml").write_text("services: {}\n")
    before = box.files()
    box.variables.update(
        compose_stack_name=name,
        compose_stack_state=state,
        compose_stack_project_dir=f"{box.deployed}/{{{{ compose_stack_name }}}}",
    )
    said = box.run(expect=2)
    assert "is not a name for a stack" in said
    assert "compose_stack_name" in said
    assert box.files() == before


def test_rollback_by_the_role_checks_the_urls(box: Box):
    url = f"http://127.0.0.1:{ports.claim()}/status"
    for level in ("info", "debug"):
        box.lab.variables["LEVEL"] = level
        box.run()
    box.variables.update(
        compose_stack_state="rolled_back",
        compose_stack_wait_timeout=3,
        compose_stack_http_checks=[{"url": url}],
    )
    said = box.run(expect=2)
    assert url in said
    # The release that ran before is back.
    assert box.lab.containers()["web"][0].env.count("LEVEL=debug") == 1


# Modules that run on the controller alone.
_NOT_ON_THE_HOST = ("assert", "include_tasks", "include_role", "set_fact", "debug", "validate_argument_spec")


def test_run_that_finds_nothing_to_do_makes_few_calls(box: Box):
    box.run()
    box.environ["ANSIBLE_STDOUT_CALLBACK"] = "ansible.posix.json"
    said = box.run()
    played, _rest = json.JSONDecoder().raw_decode(said, said.index("{\n"))
    calls = [
        result["action"]
        for play in played["plays"]
        for task in play["tasks"]
        for result in task["hosts"].values()
        if not result.get("skipped") and result["action"].rpartition(".")[2] not in _NOT_ON_THE_HOST
    ]
    assert "onebox.stack.compose_stack" in calls
    # The facts and the module, to which the files are an option.
    assert len(calls) <= 2, calls
    assert played["stats"]["box"]["changed"] == 0


def test_run_in_a_freeze_changes_no_file(box: Box):
    box.run()
    files, states = box.files(), box.lab.states()
    now = datetime.datetime.now(datetime.timezone.utc)
    hours = {
        "start": (now - datetime.timedelta(minutes=5)).strftime("%H:%M"),
        "end": (now + datetime.timedelta(minutes=30)).strftime("%H:%M"),
    }
    box.variables["compose_stack_freeze"] = [{**hours, "timezone": "UTC"}]
    assert box.changed() == 0
    (box.lab.folder / "conf").write_text("two\n")
    box.lab.variables["LEVEL"] = "debug"
    said = box.run(expect=2)
    assert "must not be changed until" in said
    assert (box.files(), box.lab.states()) == (files, states)
    assert list(box.temporary.iterdir()) == []
    box.variables["compose_stack_force"] = True
    assert box.changed() > 0
    assert box.files() != files


def test_secret_of_a_podman_that_prints_no_values_is_kept_by_digest(make_lab, tmp_path: pathlib.Path):
    """Debian 12's Podman 4.3: a new value must get there, and a known one must change nothing."""
    lab = make_lab("podman-compose")
    name = f"{lab.project}-key"
    lab.services["web"] = lab.service(secrets=[name])
    lab.top["secrets"] = {name: {"external": True}}
    lab.write()
    box = Box(lab, tmp_path)
    box.environ["PATH"] = f"{pathlib.Path(lab.backend.provider_path).parent}:{box.environ['PATH']}"
    try:
        for value in ("hunter22", "hunter33"):
            box.variables["compose_stack_secrets"] = [{"name": name, "value": value}]
            assert box.changed() > 0
            assert box.changed() == 0
            assert box.changed("--check") == 0
            (web,) = lab.containers()["web"]
            assert lab.backend.cli("exec", web.id, "cat", f"/run/secrets/{name}") == value
        lab.backend.cli("secret", "rm", name)
        assert box.changed() > 0
        written = b"".join(path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file())
        assert b"hunter33" not in written
    finally:
        lab.backend.cli("secret", "rm", name, check=False)
