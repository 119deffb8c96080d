# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources the virtual machine does not share are known from its configuration, before an engine makes them up."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import vm_shares
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine
from compose_facts import model_of

PROJECT = "/Volumes/Extreme SSD/02_GitHub.nosync/30_OmniVibePro/backend/app"


def never(*words, **options):
    raise AssertionError(f"nothing is to be started, and {words} was")


def world_of(home):
    return dataclasses.replace(World.real(), run=never, home=str(home))


def found(tmp_path, *sources: str, mounts: str = "[]"):
    """The problems of a service that binds these, with a Colima that shares what its file says."""
    folder = tmp_path / ".colima" / "_lima" / "colima"
    folder.mkdir(parents=True)
    (folder / "colima.yaml").write_text(f"cpu: 2\nmounts: {mounts}\nmountType: virtiofs\n")
    model = model_of({"api": {"image": "api", "volumes": [f"{source}:/{n}" for n, source in enumerate(sources)]}})
    return vm_shares.problems(model, Machine.of("colima", environ={}), world_of(tmp_path))


def test_below_home_is_shared(tmp_path):
    assert found(tmp_path, f"{tmp_path}/Projects/OmniVibePro", str(tmp_path)) == []


def test_external_disk_is_not_shared(tmp_path):
    (problem,) = found(tmp_path, f"{tmp_path}/redis", PROJECT)
    assert problem.code == "vm_not_shared"
    assert problem.where == f"service api, volume {PROJECT}:/1"
    assert str(tmp_path) in problem.message
    # It cannot be added as it is, and the message says why.
    assert "space" in problem.message


def test_name_with_the_same_beginning_is_not_shared(tmp_path):
    (problem,) = found(tmp_path, f"{tmp_path}-old/app")
    assert problem.code == "vm_not_shared"


@pytest.mark.parametrize("place", ["/Volumes/SSD/app", "/Volumes/SSD"])
def test_added_directory_is_shared_and_home_no_longer(tmp_path, place):
    added = "\n  - location: /Volumes/SSD\n    writable: true"
    (problem,) = found(tmp_path, place, f"{tmp_path}/redis", mounts=added)
    assert f"{tmp_path}/redis" in problem.where


def test_unknown_share_is_left_to_the_proof(tmp_path):
    model = model_of({"api": {"image": "api", "volumes": [f"{PROJECT}:/app"]}})
    assert vm_shares.problems(model, Machine.of("colima", environ={}), world_of(tmp_path)) == []
