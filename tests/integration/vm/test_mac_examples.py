# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EXAMPLES of the Mac's modules, copied from their documentation, run twice: the second run changes nothing.

Only paths and the provider are replaced; module defaults set the paths of programs. Machines are created, not booted.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from examples_runner import examples
from machine_lab import ROOT, Lab
from test_mac_playbooks import Host

FAKES = ROOT / "tests/testbed/mac"


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def run(
    host: Host, module: str, defaults: dict[str, t.Any], replace: dict[str, str], env: dict[str, str] | None = None
) -> tuple[int, int, str]:
    text = examples(module)
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    play = {
        "hosts": "all",
        "gather_facts": False,
        "environment": env or {},
        "module_defaults": {f"onebox.stack.{module}": defaults},
        "tasks": yaml.safe_load(text),
    }
    file = host.home / "examples.yml"
    file.write_text(json.dumps([play]))
    return host.play(file)


def test_examples_of_podman_machine_run_twice(host: Host, lab5: Lab) -> None:
    (lab5.home / "Work").mkdir()
    defaults = {
        "state": "present", "timezone": "UTC", "image": str(lab5.image), "executable": str(lab5.bin / "podman"),
        "environment": lab5.env,
    }  # fmt: skip
    replace = {"libkrun": "qemu", "/Volumes/Work:/Volumes/Work": f"{lab5.home}/Work:/Volumes/Work"}
    code, changed, said = run(host, "podman_machine", defaults, replace)
    assert (code, changed) == (0, 3), said
    made = lab5.file("97layerOS")
    assert (made["Resources"]["Memory"], made["Resources"]["DiskSize"]) == (8192, 93)
    assert [mount["Target"] for mount in made["Mounts"]] == [str(lab5.home), "/Volumes/Work"]
    where = {"executable": str(lab5.bin / "podman"), "environment": lab5.env}
    code, changed, said = run(host, "podman_machine_info", where, {})
    assert (code, changed) == (0, 0), said


def test_examples_of_launch_agents_run_twice(host: Host) -> None:
    defaults = {
        "executable": str(FAKES / "fake_launchctl.py"),
        "directory": str(host.folder),
        "archive_dir": str(host.home / "retired"),
    }
    replace = {"/Users/97layer": str(host.home)}
    code, changed, said = run(host, "launch_agents", defaults, replace)
    assert (code, changed) == (0, 4), said
    # Retired and restored again; the two that were loaded are unchanged.
    code, changed, said = run(host, "launch_agents", defaults, replace)
    assert (code, changed) == (0, 2), said


def test_examples_of_scheduled_job_run_twice(host: Host) -> None:
    """launchd is simulated with recorded answers, because Linux does not have it."""
    defaults = {"kind": "launchd", "launchctl": str(FAKES / "fake_launchctl.py"), "directory": str(host.folder)}
    code, changed, said = run(host, "scheduled_job", defaults, {})
    assert (code, changed) == (0, 4), said
    jobs = {name.rpartition(".")[2] for name in json.loads(host.state.read_text())["jobs"] if "onebox" in name}
    assert jobs == {"check-certificates", "report-daily", "report-weekly"}
    # The last task removes what the second one installs.
    code, changed, said = run(host, "scheduled_job", defaults, {})
    assert (code, changed) == (0, 2), said


def test_examples_of_host_hygiene_run(host: Host) -> None:
    code, changed, said = run(host, "host_hygiene", {}, {"/Users/97layer/97layerOS": str(host.project)})
    assert (code, changed) == (0, 1), said
    assert not (host.project / "__pycache__").exists()


def test_examples_of_colima_profile_run_twice(host: Host) -> None:
    work = host.home / "Work"
    disk = host.home / "Extreme SSD/02_GitHub.nosync/30_OmniVibePro"
    for folder in (work, disk, host.home / ".colima"):
        folder.mkdir(parents=True)
    env = {
        "HOME": str(host.home / "me"),
        "COLIMA_HOME": str(host.home / ".colima"),
        "FAKE_COLIMA": str(host.home / "profiles.json"),
    }
    replace = {"/Volumes/Work": str(work), "/Volumes/Extreme SSD": str(host.home / "Extreme SSD")}
    code, changed, said = run(host, "colima_profile", {"executable": str(FAKES / "fake_colima.py")}, replace, env)
    assert (code, changed) == (0, 1), said
    assert "move the project to the Mac's own APFS disk" in said
    code, changed, said = run(host, "colima_profile", {"executable": str(FAKES / "fake_colima.py")}, replace, env)
    assert (code, changed) == (0, 0), said
