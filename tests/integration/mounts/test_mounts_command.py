"""The ways to run the check: the module through Ansible, the playbook for monitors, the command of the timer."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle
from mounts_lab import Lab

ROOT = pathlib.Path(__file__).resolve().parents[3]


def play(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "playbooks/verify.yml", "-l", "demo", *words],
        cwd=ROOT,
        env=dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_LOCALHOST_WARNING="false"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def stack(lab: Lab) -> tuple[Lab, str, list[str]]:
    """A project with three containers, and the options of the playbook for it."""
    project = f"obx-mounts-{os.getpid()}"
    names = []
    for service in ("web", "worker", "journal"):
        data = lab.directory(service)
        labels = (
            "--label",
            f"com.docker.compose.project={project}",
            "--label",
            f"com.docker.compose.service={service}",
        )
        names.append(lab.run("-v", f"{data}:/data", *labels))
    return lab, project, names


def test_playbook_reports_three_different_breaks_and_fails(
    stack: tuple[Lab, str, list[str]], tmp_path: pathlib.Path
) -> None:
    lab, project, names = stack
    options = ["-e", f"container_engine={lab.name}", "-e", f"compose_stack_name={project}"]
    options += ["-e", f"verify_json={tmp_path}", "-e", f"verify_textfile={tmp_path}/mounts.prom"]
    options += ["-e", "verify_working_dir="]  # compose did not make these
    good = play(*options)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "3 of 3 mounts proven" in good.stdout
    assert "changed=0" in good.stdout

    shutil.rmtree(lab.folder / "web")
    lab.directory("web")
    (lab.folder / "worker").rename(lab.folder / "worker.old")
    lab.directory("worker")
    lab.inside(names[2], "umount", "/data")
    bad = play(*options)
    assert bad.returncode != 0
    for verdict in ("stale_deleted", "stale_renamed", "unmounted_inside"):
        assert verdict in bad.stdout
    assert f"{lab.name} restart {names[0]}" in " ".join(bad.stdout.split())
    saved = json.loads((tmp_path / "demo.json").read_text())
    assert saved["summary"] == {"checked": 3, "ok": 0, "failed": 3, "unverifiable": 0}
    assert f'onebox_mounts_ok{{stack="{project}"}} 0' in (tmp_path / "mounts.prom").read_text()

    for name in names:  # the commands from the findings
        lab.restart(name)
    elsewhere = play(*options, "-e", "verify_working_dir=/opt/onebox/elsewhere")
    assert elsewhere.returncode != 0
    assert "not from /opt/onebox/elsewhere" in " ".join(elsewhere.stdout.split())
    assert play(*options).returncode == 0


def test_stopped_stack_is_not_a_success(lab: Lab) -> None:
    done = play("-e", f"container_engine={lab.name}", "-e", "compose_stack_name=obx-mounts-none")
    assert done.returncode != 0
    assert "is the stack up" in " ".join(done.stdout.split())


def test_one_file_for_the_timer_works_by_itself(stack: tuple[Lab, str, list[str]], tmp_path: pathlib.Path) -> None:
    """Away from the checkout and in isolated mode, with the system's Python."""
    lab, project, _names = stack
    program = tmp_path / "bin" / "onebox-verify"
    python = shutil.which("python3", path="/usr/bin") or sys.executable
    assert bundle.install(str(program), python, check=True)
    assert not program.exists()
    assert bundle.install(str(program), python, check=False)
    assert not bundle.install(str(program), python, check=False)
    options = ["--engine", lab.name, "--project", project, "--textfile", str(tmp_path / "m.prom"), "--json"]
    done = subprocess.run(
        [python, "-I", str(program), *options], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"]
    assert "onebox_mounts_ok" in (tmp_path / "m.prom").read_text()
    assert subprocess.run([program, "--help"], capture_output=True, check=False).returncode == 0
    assert bundle.remove(str(program), check=False)
    assert not bundle.remove(str(program), check=False)


def test_module_names_an_option_it_does_not_know_and_changes_nothing_in_check_mode(lab: Lab) -> None:
    name = lab.run("-v", f"{lab.directory('data')}:/data")

    def module(arguments: dict[str, t.Any], *words: str) -> str:
        ansible = str(pathlib.Path(sys.executable).parent / "ansible")
        call = [ansible, "demo", "-m", "onebox.stack.bind_mount_verify", "-a", json.dumps(arguments), "-o", *words]
        environment = dict(os.environ, ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
        return subprocess.run(
            call, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        ).stdout

    checked = module({"engine": lab.name, "containers": [name]}, "--check")
    assert '"ok": true' in checked
    assert '"changed": false' in checked
    assert "acces" in module({"acces": "write"})
    assert "destination must be an absolute path" in module(
        {"engine": lab.name, "containers": [name], "expected": [{"container": name, "destination": "data"}]}
    )
    assert "no such" in module({"engine": lab.name, "containers": ["obx-mounts-nobody"]}).lower()
