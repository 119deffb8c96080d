# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a stack on a Swarm names each changed part of a service, and pins data to one node by its id."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import other_target
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.wanted import Wanted, plan, want
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import SwarmService
from compose_facts import model_of

NODE = "iiq4bts2xh6a97pdzlw5xzltj"
WEB = {
    "image": "web:1",
    "environment": {"LEVEL": "info"},
    "volumes": [{"type": "volume", "source": "data", "target": "/data"}],
    "secrets": [{"source": "key", "target": "key"}],
}
TOP = {"secrets": {"key": {"file": "/key"}}, "volumes": {"data": {"name": "shop_data"}}}


def wanted(changes=None, *, secret=b"first", known=None, digests=None) -> Wanted:
    model = model_of({"web": {**WEB, **(changes or {})}}, **TOP)
    stack = Stack(model, digests=digests or {}, contents={"/key": secret}, node="box", node_id=NODE)
    return want(stack, known or {})


def live(made: Wanted) -> dict[str, SwarmService]:
    """The service as Swarm keeps it."""
    body = yaml.safe_load(made.files[0].content)["services"]["web"]
    variables = [f"{name}={value}" for name, value in made.environment["web"].items()]
    spec = {
        "Name": "shop_web",
        "Labels": {name: value.replace("$$", "$") for name, value in body["deploy"]["labels"].items()},
        "Mode": {"Replicated": {"Replicas": 1}},
        "TaskTemplate": {
            "ContainerSpec": {"Image": body["image"], "Env": variables},
            "Placement": {"Constraints": body["deploy"]["placement"]["constraints"]},
        },
    }
    return {"web": SwarmService("service-id", "web", spec)}


def planned(changes=None, **more) -> tuple[str, list[str], dict]:
    (row,), _drifted = plan(wanted(changes, **more), live(wanted()), {}, remove_orphans=False)
    return row.action, row.reasons, row.diff


def test_same_stack_is_kept():
    assert planned() == ("keep", [], {})


@pytest.mark.parametrize(
    ("changes", "more", "reason"),
    [
        ({"image": "web:2"}, {}, "image_changed"),
        ({}, {"digests": {"web:1": "localhost/onebox/shop/web:0123456789ab"}}, "image_changed"),
        ({}, {"digests": {"web:1": "web@sha256:aa"}}, "image_changed"),
        ({"environment": {"LEVEL": "debug"}}, {}, "env_changed"),
        ({}, {"secret": b"second"}, "secret_changed"),
        ({"volumes": []}, {}, "volume_changed"),
        ({"command": ["serve"]}, {}, "config_hash"),
        ({"ports": [{"target": 80, "published": "80"}]}, {}, "config_hash"),
        ({"deploy": {"replicas": 3}}, {}, "config_hash"),
    ],
)
def test_changed_part_has_its_reason(changes, more, reason):
    action, reasons, _diff = planned(changes, **more)
    assert (action, reason in reasons) == ("recreate", True)


def test_difference_of_variables_has_names_and_no_other_part():
    action, reasons, diff = planned({"environment": {"LEVEL": "debug", "NEW": "1"}})
    assert (action, reasons) == ("recreate", ["env_changed"])
    assert diff == {
        "environment.LEVEL": {"before": "info", "after": "debug"},
        "environment.NEW": {"before": None, "after": "1"},
    }


def test_missing_service_is_created_and_an_orphan_only_removed_on_request():
    made = wanted()
    rows, _drifted = plan(made, {}, {}, remove_orphans=True)
    assert [(row.service, row.action, row.reasons) for row in rows] == [("web", "create", ["missing"])]
    there = {**live(made), "old": live(made)["web"]}
    assert [row.action for row in plan(made, there, {}, remove_orphans=False)[0]] == ["keep"]
    assert [row.action for row in plan(made, there, {}, remove_orphans=True)[0]] == ["keep", "remove_orphan"]


def test_change_by_others_is_found_by_the_recorded_specification():
    made = wanted()
    there = live(made)
    assert plan(made, there, {"web": there["web"].digest}, remove_orphans=False)[1] == []
    (row,), drifted = plan(made, there, {"web": "another"}, remove_orphans=False)
    assert (row.action, drifted) == ("recreate", ["web"])


def test_labels_of_an_image_that_compose_built_are_emptied():
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "maintainer": "us"}
    made = wanted({"labels": {"own": "1"}}, known={"web:1": {"Id": "sha256:aa", "Config": {"Labels": labels}}})
    body = yaml.safe_load(made.files[0].content)["services"]["web"]
    assert body["labels"] == {"com.docker.compose.project": "", "com.docker.compose.service": "", "own": "1"}


def test_data_is_pinned_to_the_id_of_the_node():
    # A host that was installed again has the same name and another id.
    assert wanted().pins == {"web": [NODE]}
    assert live(wanted())["web"].pins == [NODE]
    assert wanted({"volumes": []}).pins == {"web": []}


def test_node_that_the_compose_file_names_stays():
    deploy = {"deploy": {"placement": {"constraints": ["node.hostname == other", "node.labels.disk == ssd"]}}}
    assert wanted(deploy).pins["web"][0] == "other"
    assert NODE not in wanted(deploy).files[0].content


@pytest.mark.parametrize(
    ("keys", "action"),
    [
        ({"restart": "no"}, "continue"),
        ({"restart": "always"}, "pause"),
        ({"restart": "no", "healthcheck": {"test": ["CMD", "true"]}}, "rollback"),
    ],
)
def test_update_of_a_job_does_not_pause_when_the_job_ends(keys, action):
    body = yaml.safe_load(wanted(keys).files[0].content)["services"]["web"]
    assert body["deploy"]["update_config"]["failure_action"] == action


def test_preferences_of_the_compose_file_stay():
    own = {"preferences": [{"spread": "node.labels.rack"}], "max_replicas_per_node": 1}
    body = yaml.safe_load(wanted({"deploy": {"placement": own}}).files[0].content)["services"]["web"]
    assert body["deploy"]["placement"] == {"constraints": [f"node.id == {NODE}"], **own}


def test_content_of_secrets_is_in_files_of_its_own_and_not_in_the_stack_file():
    made = wanted(secret=b"s3cret \xff")
    assert "s3cret" not in made.files[0].content
    (secret,) = [each for each in made.files if each.path.startswith("secrets/")]
    assert secret.content.encode("utf-8", "surrogateescape") == b"s3cret \xff"


def test_compose_stack_is_refused_where_swarm_runs_it():
    label = {"com.docker.stack.namespace": "shop"}
    (problem,) = other_target.problems("shop", {"shop_web.1.x": label, "other": {}})
    assert problem.code == "swarm_runs"
    assert "shop_web.1.x" in problem.message
    assert other_target.problems("other", {"shop_web.1.x": label}) == []
