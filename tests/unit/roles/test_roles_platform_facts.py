# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles' choices by a host's facts, for hosts without a test here: Ubuntu, Oracle's small shapes.

The facts have Ansible's names for these systems; nothing is installed. The Molecule scenario host_baseline tests Debian
12 and 13 on real systems.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

ROLES = pathlib.Path(__file__).resolve().parents[3] / "roles"


def facts(distribution: str, version: str, **more: t.Any) -> dict[str, t.Any]:
    return {
        "distribution": distribution,
        "distribution_version": version,
        "distribution_major_version": version.partition(".")[0],
        "os_family": "Debian",
        "system": "Linux",
        "service_mgr": "systemd",
        "user_uid": 0,
        **more,
    }


def chosen(role: str, name: str, ansible_facts: t.Mapping[str, t.Any], **values: t.Any) -> t.Any:
    """One variable of a role, evaluated as in the role."""
    loader = DataLoader()
    variables: dict[str, t.Any] = {}
    for part in ("defaults", "vars"):
        variables |= loader.load_from_file(str(ROLES / role / part / "main.yml"), trusted_as_template=True)
    variables |= {"ansible_facts": ansible_facts, **values}
    return Templar(loader=loader, variables=variables).template(variables[name])


@pytest.mark.parametrize(
    ("distribution", "version", "packages"),
    [
        ("Ubuntu", "22.04", ["docker.io", "docker-compose-v2", "docker-buildx", "ca-certificates", "rsync"]),
        ("Ubuntu", "24.04", ["docker.io", "docker-compose-v2", "docker-buildx", "ca-certificates", "rsync"]),
        # Debian 12 does not have Compose v2: container_compose_tool fetches Debian 13's.
        ("Debian", "12", ["docker.io", "ca-certificates", "rsync"]),
        (
            "Debian",
            "13",
            ["docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables", "ca-certificates", "rsync"],
        ),
    ],
)
def test_docker_packages_have_the_names_of_each_release(distribution, version, packages):
    found = chosen(
        "container_engine",
        "__container_engine_wanted_packages",
        facts(distribution, version),
        container_engine_name="docker",
    )
    assert found == packages


SERVICES = {"ssh.service": {"name": "ssh.service", "state": "running", "status": "enabled", "source": "systemd"}}
CHRONY = {"chrony.service": {"name": "chrony.service", "state": "running", "status": "enabled", "source": "systemd"}}
NO_CHRONY = {
    "chrony.service": {"name": "chrony.service", "state": "stopped", "status": "not-found", "source": "systemd"}
}
TIMESYNCD = {
    "systemd-timesyncd.service": {
        "name": "systemd-timesyncd.service",
        "state": "running",
        "status": "enabled",
        "source": "systemd",
    }
}


@pytest.mark.parametrize(
    ("services", "clock", "packages"),
    [
        # Oracle's Ubuntu images set the clock with chrony, which queries the cloud itself.
        ({**CHRONY, **TIMESYNCD}, "chrony.service", ["unattended-upgrades"]),
        ({**NO_CHRONY, **TIMESYNCD}, "systemd-timesyncd.service", ["unattended-upgrades"]),
        (NO_CHRONY, "systemd-timesyncd.service", ["unattended-upgrades", "systemd-timesyncd"]),
    ],
)
def test_existing_time_service_is_kept(services, clock, packages):
    known = facts("Ubuntu", "24.04", services={**SERVICES, **services})
    assert chosen("host_baseline", "__host_baseline_clock", known) == clock
    assert chosen("host_baseline", "__host_baseline_packages", known) == packages


@pytest.mark.parametrize(
    ("memory", "swap", "wanted"),
    [
        (956, 0, True),  # VM.Standard.E2.1.Micro
        (956, 2047, False),  # the first boot created it already
        (11_957, 0, False),  # VM.Standard.A1.Flex with 12 GB
    ],
)
def test_swap_is_for_small_shapes(memory, swap, wanted):
    known = facts("Ubuntu", "22.04", memtotal_mb=memory, swaptotal_mb=swap)
    assert chosen("host_baseline", "__host_baseline_wants_swap", known) is wanted
    assert chosen("host_baseline", "__host_baseline_wants_swap", known, host_baseline_swap_mib=0) is False
