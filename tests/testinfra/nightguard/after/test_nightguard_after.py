# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nightguard as site.yml leaves it on a VM with Podman that it reached over SSH."""

import json


def test_nightguard_runs_and_is_healthy(containers):
    (entry,) = containers("nightguard").values()
    assert entry["State"]["Running"]
    assert entry["State"]["Health"]["Status"] == "healthy"


def test_nightguard_was_reached_over_ssh(host):
    assert "Accepted publickey for nightguard" in host.check_output("journalctl --no-pager -u ssh.service")


def test_image_is_built_from_its_dockerfile(host, containers):
    (entry,) = containers("nightguard").values()
    (image,) = json.loads(host.check_output("podman image inspect %s", entry["Image"]))
    assert image["Config"]["Cmd"] == ["python3", "nightguard.py"]
    assert "localhost/nightguard:latest" in image["RepoTags"]


def test_reports_are_on_the_host(host):
    directory = host.file("/srv/97layer/nightguard")
    assert (directory.uid, directory.mode) == (10097, 0o750)
    assert host.check_output("ls /srv/97layer/nightguard/trends").endswith(".md")


def test_nothing_is_reached_from_outside(host):
    assert host.socket("tcp://127.0.0.1:8897").is_listening
    assert not host.socket("tcp://0.0.0.0:8897").is_listening


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
