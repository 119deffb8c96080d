# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option ``pull`` with a real registry: another version of a tag, and a registry that is stopped."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from compose_lab import Lab
from registry_lab import Registry

# The testbed's Docker reaches a loopback port of this host. Daemons with their own network do not.
TOOLS = ["docker+2.40", "podman-compose"]
KEEP = {"web": ("keep", ())}


@pytest.fixture(params=TOOLS)
def lab(request: pytest.FixtureRequest, make_lab, registry_control: Registry, tmp_path) -> Lab:
    """A deployed stack whose image is in the registry as version one."""
    registry_control.start()
    lab = make_lab(request.param)
    # Docker speaks plain HTTP to a loopback address, Podman only to a registry that is configured so.
    config = tmp_path / "registries.conf"
    config.write_text(f'[[registry]]\nlocation = "{registry_control.address}"\ninsecure = true\n')
    environ = {**lab.backend.environ, "CONTAINERS_REGISTRIES_CONF": str(config)}
    lab.backend = dataclasses.replace(lab.backend, environ=environ)
    image = f"{registry_control.address}/{lab.project}/web:1"
    publish(lab, image, "one")
    lab.services["web"] = {**lab.service(), "image": image}
    lab.deploy(pull="always")
    return lab


def publish(lab: Lab, image: str, version: str) -> None:
    """Push a version of the image. The local tag stays as it was."""
    name = f"{lab.project}-build"
    before = lab.backend.cli("images", "-q", "--no-trunc", image)
    lab.backend.cli("create", "--name", name, lab.backend.image, "true")
    lab.backend.cli("commit", "--change", f"LABEL version={version}", name, image)
    lab.backend.cli("rm", name)
    lab.backend.cli("push", image)
    if before:
        lab.backend.cli("tag", before, image)
    else:
        lab.backend.cli("rmi", image)


def version(lab: Lab) -> str:
    (row,) = lab.containers()["web"]
    return lab.backend.cli("inspect", "--format", '{{index .Config.Labels "version"}}', row.id)


@pytest.mark.parametrize("policy", ["always", "newer"])
def test_other_version_in_the_registry_is_deployed(policy: str, lab: Lab):
    assert version(lab) == "one"
    publish(lab, lab.services["web"]["image"], "two")
    assert lab.deploy(pull="missing")["changed"] is False
    assert lab.stack(pull=policy).preview()["pulls"] == [{"service": "web", "image": lab.services["web"]["image"]}]
    assert version(lab) == "one"
    result = lab.deploy(pull=policy)
    assert [(row["service"], row["action"], row["reasons"]) for row in result["plan"]] == [
        ("web", "recreate", ["image_changed"])
    ]
    assert version(lab) == "two"
    result = lab.deploy(pull=policy)
    assert (result["changed"], result["pulls"]) == (False, [])


def test_registry_that_is_stopped(lab: Lab, registry_control: Registry):
    registry_control.stop()
    result = lab.deploy(pull="newer")
    assert result["changed"] is False
    assert any("service web: could not pull" in each for each in result["warnings"])
    before = lab.states()
    with pytest.raises(ComposeError, match="service web: could not pull"):
        lab.deploy(pull="always")
    assert lab.states() == before
    assert lab.plan() == KEEP
