# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that roles pass to modules, compared with a record, which changes only with an option or a default.

``python tests/unit/roles/test_role_invocations.py`` writes the record again.
"""

from __future__ import annotations

import json
import pathlib
import tempfile

import pytest
from role_invocations import RECORDED, Case, invocations

# A file at the path of the state directory: the module fails before it searches an engine.
STACK = {
    "compose_stack_name": "web",
    "compose_stack_source": "",
    "compose_stack_state_dir": "FOLDER/play.json",
    "compose_stack_project_dir": "/opt/elsewhere",
    "compose_stack_files": ["one.yml", "two.yml"],
    "compose_stack_profiles": ["debug"],
    "compose_stack_env": {"LEVEL": "info", "NUMBER": 7},
    "compose_stack_required_env": ["LEVEL"],
    "compose_stack_secrets": [{"name": "token", "value": "sesame"}],
    "compose_stack_engine": "docker",
    "compose_stack_provider": "docker-compose",
    "compose_stack_pull": "newer",
    "compose_stack_wait_timeout": 7.5,
    "compose_stack_lock_timeout": 1,
    "compose_stack_http_checks": [{"url": "http://127.0.0.1:1/", "status": 204}],
    "compose_stack_prometheus_checks": [{"url": "http://127.0.0.1:2", "jobs": ["web"]}],
    "compose_stack_public_ports": [443],
    "compose_stack_exposure": "lan",
    "compose_stack_defaults": "derive",
    "compose_stack_remove_orphans": True,
    "compose_stack_adopt": True,
    "compose_stack_backed_up": ["db"],
    "compose_stack_show_env": ["LEVEL"],
    "compose_stack_verify": False,
    "compose_stack_vm": "colima",
    "compose_stack_vm_name": "second",
    "compose_stack_boot": False,
    "compose_stack_rollback": False,
    "compose_stack_keep": 10,
    "compose_stack_freeze": [{"days": ["mon"], "start": "09:00", "end": "17:00", "timezone": "Asia/Seoul"}],
    "compose_stack_force": True,
    "compose_stack_revision": "abc123",
}
# Defaults that need facts are replaced.
NO_MACHINE = {
    "podman_machine_executable": "/bin/false",
    "podman_machine_packages": [],
    "podman_machine_agent_dir": "/nowhere",
    "podman_machine_agent_directory": "/nowhere",
}
MACHINE = {
    **NO_MACHINE,
    "podman_machine_name": "second",
    "podman_machine_state": "stopped",
    "podman_machine_provider": "qemu",
    "podman_machine_cpus": 3,
    "podman_machine_memory": "5GB",
    "podman_machine_disk_size": "100GB",
    "podman_machine_swap": "512",
    "podman_machine_rootful": "false",
    "podman_machine_volumes": ["/srv:/srv"],
    "podman_machine_image": "image.raw",
    "podman_machine_timezone": "Asia/Seoul",
    "podman_machine_default_connection": False,
    "podman_machine_allow_restart": True,
    "podman_machine_recreate": "when_needed",
    "podman_machine_allow_destroy": True,
    "podman_machine_recover": "kill_stale",
    "podman_machine_must_see": ["/srv"],
    "podman_machine_mend_clock": True,
    "podman_machine_timeout_start": 7.5,
    "podman_machine_environment": {"XDG_CONFIG_HOME": "/nowhere"},
}
COLIMA = {
    "colima_profile_executable": "/bin/false",
    "colima_profile_packages": [],
    "colima_profile_name": "second",
    "colima_profile_state": "stopped",
    "colima_profile_mounts": [{"location": "/srv", "writable": False}],
    "colima_profile_check_paths": ["FOLDER"],
    "colima_profile_allow_restart": True,
}
DIRS = {
    "data_dirs_base": "FOLDER",
    "data_dirs_deploy_dir": "FOLDER/deployed",
    "data_dirs_state_dir": "FOLDER/state",
    "data_dirs_directories": [{"path": "FOLDER/deployed/in", "class": "log", "mode": "0750", "recursive": True}],
}
STATES = ("present", "stopped", "absent", "rolled_back")
CASES = [
    *(Case(f"compose_stack_{state}", "compose_stack", {**STACK, "compose_stack_state": state}) for state in STATES),
    Case("compose_stack_plan", "compose_stack", STACK, "plan"),
    # Without a value most options of this role are not passed at all.
    Case("podman_machine_defaults", "podman_machine", NO_MACHINE),
    Case("podman_machine", "podman_machine", MACHINE),
    Case("colima_profile", "colima_profile", COLIMA),
    Case("data_dirs", "data_dirs", DIRS),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return invocations(CASES, tmp_path_factory.mktemp("roles"))


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_role_passes_the_recorded_options(name, found):
    assert found[name] == json.loads((RECORDED / f"{name}.json").read_text())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        for case_name, calls in invocations(CASES, pathlib.Path(made)).items():
            (RECORDED / f"{case_name}.json").write_text(json.dumps(calls, indent=1, sort_keys=True) + "\n")
