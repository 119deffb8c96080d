# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules and the program of the watch: their examples, the schema, and one run with everything real."""

from __future__ import annotations

import io
import json
import os
import pathlib
import stat
import subprocess
import sys
import typing as t

import jsonschema
import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose import plan_program
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch import cli, config, install, run
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.commands import Commands
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Finding, WatchError
from ansible_collections.onebox.stack.plugins.module_utils.watch.probe import host as probe
from examples_runner import examples, run_examples, run_tasks, with_words
from watch_facts import NOW
from watch_hosts import document, hosts

ROOT = pathlib.Path(__file__).resolve().parents[3]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "watch.schema.json").read_text())


@pytest.fixture
def declared(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    """A configuration without stacks, since this host may have no engine."""
    return {
        "version": 1,
        "name": "demo",
        "state_dir": str(tmp_path / "state"),
        "paths": [str(tmp_path)],
        "clock": False,
        "units": [],
        "tell": {"metrics_file": str(tmp_path / "watch.prom")},
    }


def write(tmp_path: pathlib.Path, declared: t.Mapping[str, t.Any]) -> str:
    path = str(tmp_path / "watch.json")
    install.configuration(path, declared, False)
    return path


@pytest.mark.parametrize("name", ["demo", "oci-vm", "macbook", "omnivibe-mac"])
def test_document_keeps_its_schema(name: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(hosts()[name])))


def test_schema_refuses_a_document_without_a_part() -> None:
    found = document("demo", runs=1)
    del found["stacks"][0]["live"]["containers"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(found)


def test_run_of_the_timer_keeps_notes_document_and_metrics(tmp_path: pathlib.Path, declared: dict[str, t.Any]) -> None:
    path = write(tmp_path, declared)
    assert cli.main(["--config", path, "run"], io.StringIO()) == 0
    found = json.loads((tmp_path / "state" / "watch.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert (found["ok"], found["disks"][0]["path"]) == (True, str(tmp_path))
    assert "onebox_watch_ok" in (tmp_path / "watch.prom").read_text()
    assert stat.S_IMODE(os.stat(tmp_path / "state" / "watch.json").st_mode) == 0o600
    out = io.StringIO()
    assert cli.main(["--config", path, "check"], out) == 0
    assert out.getvalue() == "all as promised\n"


def test_check_by_a_person_changes_nothing_and_reports_a_silent_timer(
    tmp_path: pathlib.Path, declared: dict[str, t.Any]
) -> None:
    path = write(tmp_path, declared)
    out = io.StringIO()
    assert cli.main(["--config", path, "check"], out) == 1
    assert "the timer of the watch has never run" in out.getvalue()
    assert Commands(probe.scheduler(World.real())).timer_status("demo") in out.getvalue()
    assert not (tmp_path / "state").exists()


def test_missing_path_is_a_finding_of_a_person_at_once(tmp_path: pathlib.Path, declared: dict[str, t.Any]) -> None:
    path = write(tmp_path, {**declared, "paths": [str(tmp_path / "none")]})
    cli.main(["--config", path, "run"], io.StringIO())
    out = io.StringIO()
    assert cli.main(["--config", path, "--json", "check"], out) == 1
    assert [row["code"] for row in json.loads(out.getvalue())["findings"]] == ["disk_no_data"]


def test_configuration_that_is_wrong_ends_with_2(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert cli.main(["--config", str(tmp_path / "x.json"), "run"], io.StringIO()) == 2
    assert "watch.name: is missing" in capsys.readouterr().err


def test_notes_survive_a_state_directory_that_cannot_be_written(
    tmp_path: pathlib.Path, declared: dict[str, t.Any]
) -> None:
    """On a full disk the notes go into the runtime directory, so that a finding is still confirmed."""
    (tmp_path / "state").write_text("not a directory")
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    world = World(**{**vars(World.real()), "uid": 1000, "environ": {"XDG_RUNTIME_DIR": str(runtime)}})
    found = config.parse({**declared, "paths": [str(tmp_path / "none")]})
    for number in range(2):
        document, failure = cli.once(found, world)
        assert "state" in failure
        assert [row["code"] for row in document["findings"]] == (["disk_no_data"] if number else [])


def test_notes_in_memory_of_another_watch_with_the_same_name_are_not_read(
    tmp_path: pathlib.Path, declared: dict[str, t.Any]
) -> None:
    (tmp_path / "other").write_text("not a directory")
    world = World(**{**vars(World.real()), "uid": 1000, "environ": {"XDG_RUNTIME_DIR": str(tmp_path)}})
    other = config.parse({**declared, "state_dir": str(tmp_path / "other")})
    cli.once(other, world)
    assert run.load_notes(other, world)["at"] > 0
    assert run.load_notes(config.parse(declared), world) == {}


def test_damaged_notes_begin_again(tmp_path: pathlib.Path, declared: dict[str, t.Any]) -> None:
    found = config.parse(declared)
    for text in ("{", "[]", '{"version": 99}', "\xff"):
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state" / "notes.json").write_bytes(text.encode("latin-1"))
        assert run.load_notes(found, World.real()) == {}


def test_line_of_a_finding_names_severity_age_and_command() -> None:
    row = {**vars(Finding("drift", "x", "what", "type this", NOW)), "severity": "warning", "acknowledged": ""}
    assert run.line(row, NOW + 7200) == "warning: what, for 2 h. Type: type this" or "120 min" in run.line(
        row, NOW + 7200
    )


def test_program_runs_as_one_file(tmp_path: pathlib.Path, declared: dict[str, t.Any]) -> None:
    path = write(tmp_path, declared)
    program = str(tmp_path / "onebox-watch")
    assert install.program(program, sys.executable, False) is True
    assert install.program(program, sys.executable, False) is False
    done = subprocess.run([program, "--config", path, "run"], capture_output=True, text=True, cwd="/", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "all as promised\n", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a mapping of options"),
        ('{"nmae": "x"}', "is not a mapping of options"),
        ('{"name": "x"}', "project_dir is missing"),
    ],
)
def test_options_of_the_plan_program_are_checked(text: str, said: str) -> None:
    with pytest.raises(ComposeError) as error:
        plan_program.parameters(text, "/etc/x.plan.json")
    assert said in str(error.value)


def test_plan_program_prints_why_there_is_no_plan(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"name": "x", "project_dir": str(tmp_path / "none")}))
    out = io.StringIO()
    assert plan_program.main([str(tmp_path / "x.json")], out) in (0, 1)
    found = json.loads(out.getvalue())
    assert found.get("msg") or found["problems"]


def test_examples_of_stack_watch(tmp_path: pathlib.Path, declared: dict[str, t.Any]) -> None:
    path = write(tmp_path, declared)
    cli.main(["--config", path, "run"], io.StringIO())
    replace = {"/etc/onebox/watch/demo.json": path, "/var/lib/onebox-watch/demo": str(tmp_path / "other")}
    results = run_examples("stack_watch", replace=replace)
    assert results["Check all that was promised"]["ok"] is True
    assert "watch_silent" in {row["code"] for row in results["Check a host that has no timer"]["findings"]}
    assert any("never run" in line for line in results["Show one line a finding"]["msg"])


def test_examples_of_stack_watch_runner(tmp_path: pathlib.Path) -> None:
    replace = {
        "/usr/local/bin": str(tmp_path / "bin"),
        "/etc/onebox/watch": str(tmp_path / "etc"),
        "/var/lib/onebox-watch/demo": str(tmp_path / "state"),
    }
    results = run_examples("stack_watch_runner", replace=replace, check=True)
    assert results["Install the watch"]["changed"] is True
    assert not (tmp_path / "etc").exists()
    (task,) = yaml.safe_load(with_words(examples("stack_watch_runner"), replace))
    results = run_tasks([task, {**task, "name": "Install the watch again"}])
    assert results["Install the watch"]["changed"] is True
    assert results["Install the watch again"]["changed"] is False
    for name in ("demo.json", "demo.webhook", "demo.97layer.plan.json"):
        assert stat.S_IMODE(os.stat(tmp_path / "etc" / name).st_mode) == 0o600
    assert "ntfy.sh" not in (tmp_path / "etc" / "demo.json").read_text()


def test_wrong_declaration_changes_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(WatchError):
        install.configuration(str(tmp_path / "etc" / "x.json"), {"name": "x"}, False)
    assert not (tmp_path / "etc").exists()


def test_examples_of_stack_page(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "onebox.html"
    replace = {"/srv/reports/onebox.html": str(page), "/var/lib/onebox-watch/demo": str(tmp_path / "state")}
    assert run_examples("stack_page", replace=replace, check=True)["Write the page"]["changed"] is True
    assert not page.exists()
    results = run_examples("stack_page", replace=replace)
    assert results["Write the page"]["bytes"] == page.stat().st_size
    assert "did not answer" in page.read_text()


def test_page_of_something_else_is_refused(tmp_path: pathlib.Path) -> None:
    task = {"name": "page", "onebox.stack.stack_page": {"path": str(tmp_path / "x"), "hosts": {"a": {"b": 1}}}}
    results = run_tasks([{**task, "ignore_errors": True}])
    assert "hosts.a: is not a document of stack_watch" in results["page"]["msg"]


def chosen(**values: t.Any) -> dict[str, t.Any]:
    """The declaration that the role makes of its variables, by Ansible itself."""
    role = ROOT / "roles" / "watch"
    variables: dict[str, t.Any] = {"ansible_facts": {"user_uid": 0, "system": "Linux", "user_dir": "/root"}}
    for part in ("defaults", "vars"):
        variables |= yaml.safe_load((role / part / "main.yml").read_text())
    variables.pop("ansible_facts")
    tasks = [
        {"name": "facts", "ansible.builtin.setup": {"gather_subset": ["!all", "!min", "platform", "user"]}},
        {"name": "declared", "ansible.builtin.debug": {"msg": "{{ __watch_declaration }}"}},
    ]
    return t.cast(
        "dict[str, t.Any]", run_tasks(tasks, variables={**variables, "onebox_stack": "", **values})["declared"]["msg"]
    )


def test_role_declares_what_the_program_accepts() -> None:
    made = chosen(
        watch_name="demo",
        watch_stacks=[{"name": "shop", "restart": {"services": ["web"]}}, {"name": "other"}],
        watch_webhook_url="https://ntfy.sh/x",
        watch_metrics_dir="/var/lib/node",
    )
    found = config.parse(made)
    assert found.stacks[0].restart.services == ("web",)
    assert found.tell.webhook_file.endswith("/onebox/watch/demo.webhook")
    assert found.tell.metrics_file == "/var/lib/node/onebox_watch_demo.prom"


def test_plan_command_is_added_to_the_stacks_with_options() -> None:
    path, program = "/etc/onebox/watch/demo.json", "/usr/local/bin/onebox-plan"
    made = install.with_plans({"stacks": [{"name": "shop"}, {"name": "other"}]}, path, program, ["shop"])
    assert made["stacks"] == [
        {"name": "shop", "plan": [program, "/etc/onebox/watch/demo.shop.plan.json"]},
        {"name": "other"},
    ]
    with pytest.raises(WatchError, match="gone is not a stack in watch_stacks"):
        install.with_plans({"stacks": []}, path, program, ["gone"])


def test_role_without_stacks_still_watches_the_host() -> None:
    assert config.parse(chosen(watch_name="demo")).stacks == ()
