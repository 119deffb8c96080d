# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks of quadlets on a systemd host: a user other than root, rollback, stop, and takeover from podman-compose.

Heavier: it runs with ``make test-quadlet``.
"""

from __future__ import annotations

import pytest
from onebox_testbed import docker
from onebox_testbed.base import wait_until
from quadlet_host import USER, Host, Stack

KEPT = {"web": "keep", "worker": "keep"}


@pytest.fixture(scope="module")
def host():
    made = Host(docker.find())
    try:
        yield made
    finally:
        made.remove()


@pytest.fixture
def make(host, tmp_path):
    """A function that declares a stack. The stack is removed after the test, so that it does not slow others down."""
    made = []

    def declare(name, user="root", **variables):
        made.append(Stack(host, tmp_path, name, user))
        made[-1].variables.update(variables)
        return made[-1]

    yield declare
    for stack in made:
        stack.remove()


@pytest.fixture
def deploy(make):
    """A function that deploys a stack, which is healthy then."""

    def declare(name, user="root", **variables):
        stack = make(name, user, **variables)
        stack.run()
        assert stack.is_healthy()
        return stack

    return declare


def assert_second_run_changes_nothing(stack):
    before = stack.ids()
    again = stack.run()
    assert "changed=0" in again.text, again.text
    assert again.actions == KEPT
    assert stack.ids() == before


def test_rootless_stack_is_proven_restarted_at_boot_and_removed(host, make):
    stack = make("rootless", USER)
    first = stack.run()
    assert first.result["mounts"]["ok"]
    assert first.result["mounts"]["summary"]["checked"] == 3
    assert stack.is_healthy()
    assert {row["Config"]["Labels"]["PODMAN_SYSTEMD_UNIT"] for row in stack.containers().values()} == {
        "rootless-web.service",
        "rootless-worker.service",
    }
    assert host.shell("podman ps --all --quiet") == ""
    assert_second_run_changes_nothing(stack)
    before = stack.ids()

    host.reboot()

    assert wait_until(stack.is_healthy, 60), stack.systemctl("status 'rootless-*'")
    assert not set(before.values()) & set(stack.ids().values())
    assert_second_run_changes_nothing(stack)
    stack.run("down.yml", "-e", "confirm=rootless")
    assert stack.containers() == {}
    assert stack.installed() == {}
    assert stack.systemctl("list-units --all --no-legend 'rootless-*'") == ""
    assert len(stack.workers()) == 2
    assert stack.shell(f"cat {stack.data}/page.html") == "served from the host"


def test_release_of_a_user_that_never_becomes_healthy_is_rolled_back(deploy):
    stack = deploy("unwell", USER)
    before, worker = stack.definition(), stack.workers()[0]
    stack.change(mode="broken")

    failed = stack.run(expect=2)

    assert failed.result["rolled_back"]
    assert "service web its healthcheck fails" in failed.text
    assert "was rolled back to the release of" in failed.text
    assert stack.is_healthy()
    assert stack.definition() == before
    assert stack.workers()[0] == worker
    stack.restore_source()
    assert_second_run_changes_nothing(stack)


def test_rollback_on_request_restores_units_images_and_variables(deploy):
    stack = deploy("request")
    before = stack.definition()
    stack.change(mode="good")
    stack.run()
    after = stack.definition()
    assert stack.is_healthy()
    assert after != before

    done = stack.run("rollback.yml")

    assert "request is rolled back to the release of" in done.text
    assert stack.is_healthy()
    assert stack.definition() == before
    stack.restore_source()
    assert_second_run_changes_nothing(stack)


def test_killed_deploys_and_rollbacks_are_completed_by_the_next_run(deploy):
    stack = deploy("killed")
    before, worker = stack.definition(), stack.workers()[0]
    stack.change(mode="broken")
    stack.kill_when(lambda: stack.mode() == "broken")
    failed = stack.run(expect=2)
    assert failed.result["rolled_back"]
    assert stack.is_healthy()
    assert stack.definition() == before
    seen = set()

    def rolling_back():
        seen.add(stack.mode())
        return "broken" in seen and stack.mode() == "good"

    stack.kill_when(rolling_back)
    stack.restore_source()
    stack.run()
    assert stack.is_healthy()
    assert stack.definition() == before
    assert stack.workers()[0] == worker
    assert_second_run_changes_nothing(stack)


def test_stopped_stack_stays_stopped_at_boot_and_starts_by_a_deploy(host, deploy):
    stack = deploy("stopped")
    worker = stack.workers()[0]
    # Stopped by hand, it has no container, but its unit would start one at boot.
    stack.systemctl("stop stopped-web")
    stack.variables["compose_stack_state"] = "stopped"

    stopped = stack.run()

    assert stopped.result["changed"]
    assert stack.containers() == {}
    assert [name for name in stack.installed() if not name.endswith((".network", ".volume"))] == []
    assert "changed=0" in stack.run().text
    host.reboot()
    assert stack.containers() == {}
    assert stack.page() == ""
    assert stack.workers() == [worker]
    stack.variables["compose_stack_state"] = "present"
    stack.run()
    assert stack.is_healthy()
    assert stack.workers()[0] == worker
    assert len(stack.workers()) == 2
    assert_second_run_changes_nothing(stack)


@pytest.mark.parametrize("user", ["root", USER])
def test_takeover_from_podman_compose_replaces_each_container_once(deploy, user):
    stack = deploy(f"moved-{user}", user, compose_stack_provider="podman-compose")
    old = stack.ids()
    stack.variables["compose_stack_provider"] = "quadlet"

    moved = stack.run()

    assert moved.actions == {"web": "recreate", "worker": "recreate"}
    assert stack.is_healthy()
    assert_second_run_changes_nothing(stack)
    new = stack.ids()
    # One id after the other: no two workers at once, and none in between.
    assert stack.workers() == [old["worker"][:12], new["worker"][:12]]
    assert stack.systemctl(f"list-units --all --no-legend 'onebox-{stack.name}*'") == ""
    stack.run("down.yml", "-e", f"confirm={stack.name}")
    assert stack.containers() == {}
    assert stack.installed() == {}
    stack.variables["compose_stack_provider"] = "podman-compose"
    stack.run()
    assert stack.is_healthy()
    assert stack.installed() == {}
    assert stack.workers() == [old["worker"][:12], new["worker"][:12], stack.ids()["worker"][:12]]


def test_killed_takeover_is_completed_by_the_next_run(deploy):
    stack = deploy("half", compose_stack_provider="podman-compose")
    old = stack.ids()
    stack.variables["compose_stack_provider"] = "quadlet"
    stack.kill_when(lambda: stack.ids().get("web", old["web"]) != old["web"])
    stack.run()
    assert stack.is_healthy()
    assert_second_run_changes_nothing(stack)
    assert stack.workers() == [old["worker"][:12], stack.ids()["worker"][:12]]


def test_unit_edited_by_hand_is_written_again_and_reported(deploy):
    stack = deploy("edited")
    before, ids = stack.definition(), stack.ids()
    stack.shell(f"sed -i 's/^\\[Container\\]/&\\nPodmanArgs=--oom-score-adj=500/' {stack.units}/edited-web.container")
    stack.systemctl("daemon-reload")
    stack.systemctl("restart edited-web")
    assert wait_until(stack.is_healthy, 30)

    again = stack.run()

    assert again.actions == {"web": "recreate", "worker": "keep"}
    assert f"{stack.units}/edited-web.container" in again.text
    assert "edited" in again.text
    assert stack.is_healthy()
    assert stack.definition() == before
    assert stack.containers()["web"]["HostConfig"]["OomScoreAdj"] == 0
    assert stack.ids()["worker"] == ids["worker"]
    assert_second_run_changes_nothing(stack)
    stack.shell(f"rm {stack.units}/edited-worker.container")
    assert f"{stack.units}/edited-worker.container" in stack.run().text
    assert stack.definition() == before
    assert stack.ids()["worker"] == ids["worker"]


def test_user_whose_services_would_wait_for_the_network_is_refused(host, make):
    stack = make("waits", USER)
    host.shell("systemctl stop network-online.target")
    try:
        refused = stack.run(expect=2)
    finally:
        host.shell("systemctl start network-online.target")
    assert "systemctl add-wants multi-user.target network-online.target" in refused.text
    assert stack.installed() == {}
