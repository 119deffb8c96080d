# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployed stack on Docker 26 with Compose 2.26 and on Podman 5.4, checked from outside."""

import json

DATA = "/srv/observer data"


def test_every_service_runs_and_is_healthy(containers):
    found = containers("observer")
    assert sorted(found) == ["web", "writer"]
    assert all(entry["State"]["Running"] for entry in found.values())
    assert found["web"]["State"]["Health"]["Status"] == "healthy"


def test_page_of_the_host_answers_from_outside(host, get):
    assert get(8080, "/page.html") == (200, "served from the host")
    assert host.socket("tcp://0.0.0.0:8080").is_listening or host.socket("tcp://:::8080").is_listening


def test_files_of_the_container_are_on_the_host(host):
    first = int(host.file(f"{DATA}/beat").content_string)
    assert abs(first - int(host.check_output("date +%s"))) <= 5


def test_kernel_agrees_about_the_mounts(host, containers):
    inode = host.check_output("stat -c %%d:%%i %s", DATA)
    for service, entry in containers("observer").items():
        pid = entry["State"]["Pid"]
        assert host.check_output("stat -c %%d:%%i /proc/%s/root/data", str(pid)) == inode, service
        options = next(
            line.split()[5]
            for line in host.file(f"/proc/{pid}/mountinfo").content_string.splitlines()
            if line.split()[4] == "/data"
        )
        assert options.split(",")[0] == ("ro" if service == "web" else "rw")


def test_application_runs_on_the_host(host):
    assert any("httpd" in process.args for process in host.process.filter(comm="httpd"))


def test_deployed_files_have_owner_and_mode(host):
    deployed = host.file("/opt/onebox/observer/compose.yml")
    assert (deployed.user, deployed.mode) == ("root", 0o644)
    secret = host.file("/opt/onebox/observer/.env")
    assert (secret.user, secret.mode) == ("root", 0o600)
    assert "not to be read by others" in secret.content_string
    assert not host.file("/opt/onebox/observer/data").exists


def test_state_does_not_give_the_secret_away(host):
    # A set to roll back to holds the stack's environment as well: that is for its owner alone, like the file itself.
    assert host.check_output("find /var/lib/onebox/observer -type f") != ""
    holders = host.run("grep -rl 'not to be read by others' /var/lib/onebox").stdout.splitlines()
    assert [path for path in holders if host.file(path).mode & 0o077] == []
    assert [path for path in holders if not path.endswith("/.env")] == []


def test_comes_back_after_a_reboot(host):
    units = host.check_output("systemctl list-unit-files --state=enabled --no-legend").splitlines()
    assert [unit for unit in units if "observer" in unit]
    # A healthcheck of Podman is a unit of its own, which fails when it comes before the service listens.
    failed = host.check_output("systemctl --failed --no-legend").splitlines()
    assert [unit for unit in failed if "podman healthcheck run" not in unit] == []


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_state_is_json(host):
    for path in host.check_output("find /var/lib/onebox/observer -name '*.json'").splitlines():
        json.loads(host.file(path).content_string)
