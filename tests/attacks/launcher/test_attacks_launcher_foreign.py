# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign instances and invalid answers. The cloud is the recorded simulation (oci_world)."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import INTENT_TAG
from launcher_parts import OTHER_KEY, captured, start
from oci_simulation import KEY
from oci_world import Json

# --- foreign instances ---
FOREIGN: dict[str, Json] = {
    "key": {"metadata": {"ssh_authorized_keys": OTHER_KEY}},
    "image": {"sourceDetails": {"imageId": "ocid1.image.oc1..evil"}},
    "our key and another": {"metadata": {"ssh_authorized_keys": f"{KEY}\n{OTHER_KEY}"}},
    "our key with a command": {"metadata": {"ssh_authorized_keys": f'command="evil" {KEY}'}},
    "user data": {"metadata": {"ssh_authorized_keys": KEY, "user_data": "IyFldmls"}},
    "no metadata": {"metadata": {}},
    "metadata that is not a mapping": {"metadata": ["x"], "sourceDetails": "x"},
    "our intent": {"metadata": {"ssh_authorized_keys": OTHER_KEY}, "freeformTags": {INTENT_TAG: "copied"}},
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_instance_with_our_tag_is_not_adopted(what: str) -> None:
    clock, world, run = start(otherwise="cap")
    body = run.spec.body(world.domains[0], "", run.spec.sizes[0], "evil-intent")
    changes = copy.deepcopy(FOREIGN[what])
    if "freeformTags" in changes:
        run.tick()
        changes["freeformTags"] = {**body["freeformTags"], INTENT_TAG: run.context.state.intent}
    foreign = world._create({**body, **changes}, "ok", 0)
    clock.sleep(600)
    with pytest.raises(OciError, match=rf"name: the instance {foreign.id} has the tag.*set confirm: {foreign.id}"):
        run.block(3600)
    assert run.context.state.instance is None
    run.confirm = foreign.id
    assert captured(run.block(3600)) == foreign.id


def test_foreign_instance_with_our_tag_does_not_replace_ours() -> None:
    clock, world, run = start()

    def hook(place: str) -> None:
        if place == "before launch" and len(world.instances) == 0:
            body = run.spec.body(world.domains[0], "", run.spec.sizes[0], "evil-intent")
            world._create({**body, **copy.deepcopy(FOREIGN["key"])}, "ok", 0)

    run.hook = run.cloud._hook = hook
    assert captured(run.block(3600)).endswith("i0002")


# --- invalid answers ---
def test_success_without_an_instance_is_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, world, run = start()
    real = run.cloud.launch

    def empty(body: Json, token: str) -> Json:
        real(body, token)
        return {}

    monkeypatch.setattr(run.cloud, "launch", empty)
    captured(run.block(3600))
    assert len(world.instances) == 1


@pytest.mark.parametrize("rows", [["login"], [{}], [{"id": 5}], [None]])
def test_damaged_list_of_instances_prevents_a_launch(rows: list[t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    clock, world, run = start()
    monkeypatch.setattr(run.cloud, "instances", lambda: rows)
    assert run.block(600).captured is None
    assert world.launches == []
