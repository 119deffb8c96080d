# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both systems run from their unchanged compose files, each service with data on the host that has the data."""

import hashlib
import json
import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
CANARY = "canary-observer-5b1d"
SUMMARY = "http://127.0.0.1:8000/summary"
# Stack -> its host, and its services without data.
STACKS = {"observer": ("one", set()), "coinpilot": ("two", {"bot", "collector", "dashboard"})}
# Tests run once, not on each host.
testinfra_hosts = [f"docker://obx-{os.environ.get('OBX_CHECKOUT')}-systems-three"]


def declared(stack: str) -> set[str]:
    return set(yaml.safe_load((ROOT / "stacks" / stack / "compose.yml").read_text())["services"])


@pytest.mark.parametrize("stack", STACKS)
def test_compose_file_on_the_host_is_the_one_of_the_system(systems, stack):
    host = systems.hosts[STACKS[stack][0]]
    wanted = (ROOT / "stacks" / stack / "compose.yml").read_bytes()
    assert host.file(f"/opt/onebox/{stack}/compose.yml").sha256sum == hashlib.sha256(wanted).hexdigest()


@pytest.mark.parametrize("stack", STACKS)
def test_all_services_are_healthy_and_data_is_on_its_host(systems, stack, eventually):
    where, without_data = STACKS[stack]
    own = [name for name in systems.services() if name.startswith(f"{stack}_")]
    assert {name.removeprefix(f"{stack}_") for name in own} == declared(stack)
    for name in own:
        eventually(lambda name=name: [row[1] for row in systems.tasks(name)] == ["Running"])
        ((node, _state, _error),) = systems.tasks(name)
        if name.removeprefix(f"{stack}_") not in without_data:
            assert node == where, name


def test_ticks_of_observer_are_on_its_host_and_in_its_database_alike(systems, eventually):
    # Counted from here on: Swarm starts all services at once, so the first ticks can be in the journal only.
    def alike() -> bool:
        first = systems.page("observer_review", SUMMARY)
        then = eventually(
            lambda: (found := systems.page("observer_review", SUMMARY))["journal"] > first["journal"] and found
        )
        return then["journal"] - first["journal"] == then["database"] - first["database"]

    eventually(alike)
    counted = systems.page("observer_review", SUMMARY)["journal"]
    lines = systems.hosts["one"].check_output("cat /home/ubuntu/observer/data/*/*.jsonl | wc -l")
    assert int(lines) >= counted > 0


def test_prices_of_coinpilot_reach_its_database_from_another_host(systems, eventually):
    def prices() -> int:
        return int(systems.run_in("coinpilot_db", "psql -U coinpilot -d coinpilot -Atc 'SELECT count(*) FROM prices'"))

    before = eventually(prices)
    eventually(lambda: prices() > before)


def test_prometheus_of_both_systems_reaches_its_jobs(systems, eventually):
    for stack, jobs in (("observer", {"observer", "review"}), ("coinpilot", {"coinpilot-core"})):

        def up(stack: str = stack) -> set[str]:
            url = "http://127.0.0.1:9090/api/v1/targets?state=active"
            text = systems.run_in(f"{stack}_prometheus", f"wget -q -O - '{url}'")
            return {row["labels"]["job"] for row in json.loads(text)["data"]["activeTargets"] if row["health"] == "up"}

        eventually(lambda up=up, jobs=jobs: jobs <= up())


def test_images_without_registry_are_on_the_nodes_that_can_need_them(systems):
    listed = "docker image ls --format '{{.Repository}}' localhost/onebox/coinpilot/*"
    for node in ("one", "three"):
        found = systems.hosts[node].check_output(listed).split()
        assert {name.rpartition("/")[2] for name in found} == {f"coinpilot-{name}" for name in STACKS["coinpilot"][1]}
    # All services of observer have data on the first host.
    assert "observer" not in systems.hosts["three"].check_output("docker image ls")


def test_password_is_a_secret_of_the_swarm_and_not_in_a_specification(systems):
    assert systems.run_in("observer_observer", "cat /run/secrets/db_password") == CANARY
    assert CANARY not in systems.manager.check_output("docker service inspect $(docker service ls -q)")


def test_run_without_changes_proves_the_mounts_of_both_systems(systems):
    scenario = pathlib.Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    done = subprocess.run(
        ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(scenario / "deploy.yml")],
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert done.stdout.count("changed=0") == len(STACKS)
    assert CANARY not in done.stdout
