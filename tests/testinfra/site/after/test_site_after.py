# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""97layer as site.yml leaves it, on Docker and on Podman, checked from outside."""

import json

import pytest

WORKSPACE = "/srv/97layerOS"
SERVICES = ["gcp-mgmt", "receiver", "snapshot"]


def test_every_service_runs_and_is_healthy(containers):
    found = containers("97layer")
    assert sorted(found) == SERVICES
    for service, entry in found.items():
        assert entry["State"]["Running"], service
        assert entry["State"]["Health"]["Status"] == "healthy", service
        assert entry["RestartCount"] == 0, service


@pytest.mark.parametrize("port", [8081, 9876])
def test_endpoints_answer_from_outside(host, get, port):
    status, body = get(port, "/status")
    assert status == 200
    assert json.loads(body)
    assert host.socket(f"tcp://0.0.0.0:{port}").is_listening or host.socket(f"tcp://:::{port}").is_listening


def test_message_is_stored_on_the_host(host, get):
    before = json.loads(get(9876, "/status")[1])["stats"]["total_syncs"]
    status, _body = get(9876, "/sync", json.dumps({"messages": [{"text": "kept across the mount"}]}).encode())
    assert status == 201
    assert json.loads(get(9876, "/status")[1])["stats"]["total_syncs"] == before + 1
    assert host.run("grep -rq 'kept across the mount' %s", WORKSPACE).rc == 0


def test_bad_input_is_refused(get):
    status, _body = get(9876, "/sync", b"not json")
    assert 400 <= status < 500


def test_directories_have_owner_and_mode(host):
    for name in ("", "/execution", "/logs", "/knowledge"):
        directory = host.file(WORKSPACE + name)
        assert directory.is_directory
        assert (directory.user, directory.mode) == ("root", 0o750), name
    assert not host.file("/opt/onebox/97layer/97layerOS").exists


def test_deployed_files_have_owner_and_mode(host):
    assert host.file("/opt/onebox/97layer/compose.yml").mode == 0o644
    assert host.file("/opt/onebox/97layer/.env").mode == 0o600
    assert host.file(f"{WORKSPACE}/execution/mac_realtime_receiver.py").exists


def test_no_bytecode_in_the_workspace(host):
    assert host.check_output("find %s -name __pycache__", WORKSPACE) == ""


def test_every_container_sees_the_workspace(host, containers):
    inode = host.check_output("stat -c %%d:%%i %s", WORKSPACE)
    for service, entry in containers("97layer").items():
        assert host.check_output("stat -c %%d:%%i /proc/%s/root/app", str(entry["State"]["Pid"])) == inode, service


def test_report_is_kept_as_json(host):
    report = json.loads(host.file("/var/lib/onebox/97layer/report.json").content_string)
    assert report


def test_comes_back_after_a_reboot(host):
    units = host.check_output("systemctl list-unit-files --state=enabled --no-legend").splitlines()
    assert [unit for unit in units if "97layer" in unit]
    # A healthcheck of Podman is a unit of its own, which fails when it comes before the service listens.
    failed = host.check_output("systemctl --failed --no-legend").splitlines()
    assert [unit for unit in failed if "podman healthcheck run" not in unit] == []


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
