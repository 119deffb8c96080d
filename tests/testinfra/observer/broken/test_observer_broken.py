# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another compose file was brought up under the same name: the container has no mounts, and the plan says so."""

HOME = "/home/ubuntu"


def test_container_runs_and_has_no_mounts(containers):
    entry = containers("observer")["observer"]
    assert entry["State"]["Running"]
    assert entry["Mounts"] == []


def test_plan_says_recreate_and_which_mounts(playbook):
    result = playbook("plan.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "recreate" in result.stdout, result.stdout
    assert "mounts./app/data" in result.stdout, result.stdout


def test_good_build_is_what_the_environment_says(host):
    # After a bad one: its rollback wrote it.
    assert "IMAGE_TAG=build-20260129-090000" in host.file("/opt/onebox/observer/.env").content_string


def test_no_directory_was_made_where_none_belongs(host):
    for path in ("/opt/onebox/observer/data", f"{HOME}/observer/date"):
        assert not host.file(path).exists, path
