# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compose files as other people write them, on real engines: jobs, networks, volumes, overrides, what is outside."""

from __future__ import annotations

import json

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from compose_lab import Lab, effect, refused

TOOLS = ["docker26+2.26", "docker28+2.40", "podman-compose"]
KEEP = ("keep", ())

pytestmark = pytest.mark.parametrize("lab", TOOLS, indirect=True)


def environment(lab: Lab, service: str) -> dict[str, str]:
    (row,) = lab.containers()[service]
    return dict(pair.partition("=")[::2] for pair in row.env)


def test_job_that_is_retried_until_it_ends_with_0_is_done(lab: Lab):
    (lab.data / "n").mkdir()
    tries = "echo x >> /n/tries; test $$(wc -l < /n/tries) -gt 5"
    lab.services.update(
        migrate=lab.service(tries, restart="on-failure", volumes=["${DATA}/n:/n"]),
        web=lab.service(depends_on={"migrate": {"condition": "service_completed_successfully"}}),
    )
    lab.deploy()
    # Compose before 2.29.3 starts a service together with its dependencies, so the job runs once more.
    again = lab.backend.name == "docker26+2.26"
    assert (lab.data / "n" / "tries").read_text().count("x") == 6 + again
    assert lab.plan() == {"migrate": KEEP, "web": KEEP}
    before = lab.states()
    assert lab.deploy()["changed"] is False
    assert lab.states() == before
    # A good update is not rolled back after its migration.
    lab.services["migrate"]["environment"] = {"V": "2"}
    result = lab.deploy()
    assert not result["rolled_back"]
    assert (lab.data / "n" / "tries").read_text().count("x") == 7 + again


def network_of(lab: Lab, key: str) -> dict:
    return json.loads(lab.backend.cli("network", "inspect", f"{lab.project}_{key}"))[0]


def test_changed_network_is_made_again_with_the_containers_on_it(lab: Lab):
    lab.services.update(
        web=lab.service(networks=["inner"]),
        side=lab.service(network_mode="service:web"),
        other=lab.service(),
    )
    lab.top["networks"] = {"inner": {}}
    lab.deploy()
    lab.top["networks"] = {"inner": {"internal": True, "labels": {"tier": "back"}}}
    # podman-compose puts every service on a network that is the only one.
    shared = lab.backend.provider == "podman-compose"
    assert lab.plan() == {
        "web": ("recreate", ("network_changed",)),
        "side": ("recreate", ("parent_recreated",)),
        "other": ("recreate", ("network_changed",)) if shared else KEEP,
        "network inner": ("recreate", ("network_changed",)),
    }
    before = lab.states()
    assert lab.deploy()["changed"]
    other = "recreate" if shared else "keep"
    assert effect(before, lab.states()) == {"web": "recreate", "side": "recreate", "other": other}
    found = network_of(lab, "inner")
    assert (found.get("Internal") or found.get("internal")) is True
    assert all(row == KEEP for row in lab.plan().values())
    # What is taken out again is a change as well, also where the engine does not show it.
    lab.top["networks"] = {"inner": {"internal": True}}
    assert lab.plan()["network inner"] == ("recreate", ("network_changed",))
    lab.deploy()
    found = network_of(lab, "inner")
    assert "tier" not in (found.get("Labels") or found.get("labels"))
    assert all(row == KEEP for row in lab.plan().values())


def test_changed_network_with_a_container_of_others_on_it_is_refused(lab: Lab):
    lab.services.update(web=lab.service(networks=["inner"]))
    lab.top["networks"] = {"inner": {}}
    lab.deploy()
    visitor = f"{lab.project}-visitor"
    words = ["--network", f"{lab.project}_inner", lab.backend.image, "sleep", "1000"]
    lab.backend.cli("run", "-d", "--name", visitor, "--label", "com.docker.compose.project=none", *words)
    try:
        lab.top["networks"] = {"inner": {"internal": True}}
        lab.write()
        before = lab.states()
        with pytest.raises(BadStack, match=f"network inner: was changed.*{visitor} uses it"):
            lab.stack().converge()
        assert lab.states() == before
    finally:
        lab.backend.cli("rm", "-f", visitor)
    lab.deploy()
    assert all(row == KEEP for row in lab.plan().values())


def test_changed_volume_keeps_its_data_with_a_warning_in_each_run(lab: Lab):
    lab.services.update(web=lab.service("echo precious > /data/file; sleep 1000", volumes=["data:/data"]))
    lab.top["volumes"] = {"data": {}}
    lab.deploy()
    assert all(row == KEEP for row in lab.plan().values())
    lab.top["volumes"] = {"data": {"labels": {"keep": "1"}}}
    lab.services["web"]["environment"] = {"A": "1"}
    lab.services["web"]["command"][2] = "sleep 1000"
    plan = lab.plan()
    assert plan.pop("volume data") == ("keep", ("volume_changed",))
    for _run in range(2):
        result = lab.deploy()
        assert [each for each in result["warnings"] if "volume data: differs from the compose file" in each]
        (row,) = lab.containers()["web"]
        assert lab.backend.cli("exec", row.id, "cat", "/data/file") == "precious"
    assert result["changed"] is False


def test_everything_outside_that_is_missing_is_found_before_anything_is_touched(lab: Lab):
    taken = f"{lab.project}-taken"
    lab.backend.cli("run", "-d", "--name", taken, lab.backend.image, "sleep", "1000")
    try:
        lab.services.update(
            web=lab.service(networks=["proxy"], container_name=taken, devices=["/dev/dri-not-there:/dev/dri"]),
            db=lab.service(
                volumes=["nas:/nas", "mine:/mine"], image=f"{lab.backend.image.rpartition(':')[0]}:${{TAG}}"
            ),
        )
        lab.top["networks"] = {"proxy": {"external": True, "name": f"{lab.project}-proxy"}}
        device = {"type": "none", "o": "bind", "device": "${DATA}/not-there"}
        lab.top["volumes"] = {"nas": {"external": True, "name": f"{lab.project}-nas"}, "mine": {"driver_opts": device}}
        lab.write()
        found = refused(lab)
        assert set(found) == {"no_network", "no_volume", "name_taken", "no_device", "no_source", "unset_variable"}
        assert found["unset_variable"].startswith("TAG: is not set")
        assert f"{lab.project}_mine" not in lab.backend.cli("volume", "ls", "-q").split()
    finally:
        lab.backend.cli("rm", "-f", taken)


def test_external_network_and_device_of_a_volume_that_exist_are_used(lab: Lab):
    name = f"{lab.project}-proxy"
    lab.backend.cli("network", "create", name)
    (lab.data / "mine").mkdir()
    try:
        lab.services.update(
            web=lab.service("echo x > /mine/file; sleep 1000", networks=["proxy"], volumes=["mine:/mine"])
        )
        lab.top["networks"] = {"proxy": {"external": True, "name": name}}
        device = {"type": "none", "o": "bind", "device": "${DATA}/mine"}
        lab.top["volumes"] = {"mine": {"driver_opts": device}}
        lab.deploy()
        assert (lab.data / "mine" / "file").read_text() == "x\n"
        assert all(row == KEEP for row in lab.plan().values())
    finally:
        lab.clean()
        lab.backend.cli("network", "rm", name)


def test_override_file_is_merged_and_named(lab: Lab):
    lab.services.update(web=lab.service(environment={"LEVEL": "base"}))
    override = {"services": {"web": {"environment": {"LEVEL": "override"}}}}
    (lab.folder / "compose.override.yaml").write_text(json.dumps(override))
    result = lab.deploy()
    assert environment(lab, "web")["LEVEL"] == "override"
    names = ("compose.yml", "compose.override.yaml", ".env")
    assert result["files_read"] == [str(lab.folder / name) for name in names]
    assert all(row == KEEP for row in lab.plan().values())


def test_files_that_the_environment_file_chooses_are_merged(lab: Lab):
    lab.services.update(web=lab.service(environment={"GPU": "no"}))
    (lab.folder / "gpu.yaml").write_text(json.dumps({"services": {"web": {"environment": {"GPU": "yes"}}}}))
    (lab.folder / "compose.override.yaml").write_text("not read")
    lab.variables["COMPOSE_FILE"] = "compose.yml:gpu.yaml"
    result = lab.deploy()
    assert environment(lab, "web")["GPU"] == "yes"
    assert result["files_read"] == [str(lab.folder / name) for name in ("compose.yml", "gpu.yaml", ".env")]


def test_services_of_other_profiles_require_no_variables(lab: Lab):
    lab.services.update(
        web=lab.service(container_name="${COMPOSE_PROJECT_NAME}-web"),
        gpu=lab.service(profiles=["gpu"], environment={"A": "${NEEDED_THERE:?for gpu}", "B": "${ALSO}"}),
    )
    lab.deploy()
    assert set(lab.containers()) == {"web"}
    assert lab.containers()["web"][0].name == f"{lab.project}-web"
    lab.write()
    with pytest.raises(BadStack) as caught:
        lab.stack(profiles=("gpu",)).converge()
    assert {problem.where for problem in caught.value.problems} >= {"NEEDED_THERE"}


def test_output_of_a_failing_healthcheck_is_in_the_failure(lab: Lab):
    check = "echo cannot reach the database at db:5432; exit 1"
    lab.services.update(
        web=lab.service(healthcheck={"test": ["CMD-SHELL", check], "interval": "1s", "retries": 1, "timeout": "2s"})
    )
    lab.write()
    result = lab.stack(wait_timeout=15.0).converge()
    assert result["failed"]
    assert "printed: cannot reach the database at db:5432" in result["msg"]


def test_whole_host_bound_read_only_costs_no_walk(lab: Lab):
    lab.services.update(agent=lab.service(volumes=["/:/rootfs:ro"]))
    result = lab.deploy(verify=False)
    assert result["timings_ms"]["commit"] < 5000
