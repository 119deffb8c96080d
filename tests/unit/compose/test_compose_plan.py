# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action and the reasons for each service, from facts."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare, plan
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import parse_inspect
from compose_facts import IMAGE_ID, container, docker_model, driver, model_of, planned, recorded

WEB = {"image": "shop:1"}


def test_nothing_there_means_create():
    rows = planned(model_of({"web": WEB}), [])
    assert (rows["web"].action, rows["web"].reasons) == ("create", ["missing"])


def test_correct_service_is_kept():
    assert planned(model_of({"web": WEB}), [container("web")])["web"].action == "keep"


@pytest.mark.parametrize("status", ["exited", "paused", "dead", "stopped"])
def test_stopped_service_is_started(status):
    row = container("web", State__Status=status, State__Pid=9 if status == "paused" else 0, State__ExitCode=1)
    made = planned(model_of({"web": WEB}), [row])["web"]
    assert (made.action, made.reasons) == ("start", ["not_running"])


@pytest.mark.parametrize("status", ["created", "configured", "initialized"])
def test_podman_container_that_never_ran_is_recreated(status):
    row = container("web", State__Status=status, State__Pid=0)
    made = planned(model_of({"web": WEB}), [row])["web"]
    assert (made.action, made.reasons) == ("recreate", ["not_running"])


@pytest.mark.parametrize(
    ("keys", "action"),
    [
        ({}, "keep"),
        ({"restart": "no"}, "keep"),
        ({"restart": "on-failure"}, "keep"),
        ({"restart": "on-failure:5"}, "keep"),
        ({"deploy": {"restart_policy": {"condition": "on-failure"}}}, "keep"),
        ({"deploy": {"restart_policy": {"condition": "none"}}}, "keep"),
        ({"deploy": {"restart_policy": {"condition": "any"}}}, "start"),
        ({"restart": "unless-stopped"}, "start"),
        ({"restart": "always"}, "start"),
    ],
)
def test_job_that_ended_with_0_is_kept_unless_its_policy_starts_it_again(keys, action):
    model = model_of({"web": {"image": "shop:1", **keys}})
    policy = model.services["web"].restart.partition(":")[0].replace("any", "always").replace("none", "no") or "no"
    row = container("web", State__Status="exited", State__Pid=0, HostConfig__RestartPolicy={"Name": policy})
    assert planned(model, [row])["web"].action == action


def test_failed_job_is_started_again():
    body = {"image": "shop:1", "restart": "on-failure:2"}
    row = container(
        "web", State__Status="exited", State__Pid=0, State__ExitCode=3, HostConfig__RestartPolicy={"Name": "on-failure"}
    )
    assert planned(model_of({"web": body}), [row])["web"].reasons == ["not_running"]


def test_restarting_container_is_kept():
    row = container("web", State__Status="restarting", State__Pid=0)
    assert planned(model_of({"web": WEB}), [row])["web"].action == "keep"


def test_another_image_under_the_name():
    other = {"shop:1": {"Id": "sha256:" + "b" * 64, "Config": {}}}
    row = planned(model_of({"web": WEB}), [container("web")], images=other)["web"]
    assert (row.action, row.reasons) == ("recreate", ["image_changed"])


def test_other_recorded_digest_is_a_change_without_a_diff():
    model = model_of({"web": {**WEB, "healthcheck": {"test": "true"}}})
    row = container("web")
    same = planned(model, [row], digests={row.id: compare.digest(model.services["web"])})["web"]
    other = planned(model, [row], digests={row.id: "0" * 64})["web"]
    assert same.action == "keep"
    assert (other.action, other.reasons) == ("recreate", ["config_hash"])


def test_container_without_a_record_is_compared():
    assert planned(model_of({"web": {**WEB, "cap_drop": ["ALL"]}}), [container("web")])["web"].action == "keep"


def test_living_in_a_replaced_containers_network_means_replacement():
    model = model_of({"web": {**WEB, "command": "new"}, "side": {**WEB, "network_mode": "service:web"}})
    rows = planned(model, [container("web"), container("side")])
    assert (rows["side"].action, rows["side"].reasons) == ("recreate", ["parent_recreated"])
    assert rows["side"].cascade_from == "web"


def test_cascade_reaches_dependents_of_dependents():
    model = model_of(
        {
            "c": {**WEB, "pid": "service:b"},
            "b": {**WEB, "ipc": "service:a"},
            "a": {**WEB, "command": "new"},
        }
    )
    rows = planned(model, [container(name) for name in "abc"])
    assert [rows[name].action for name in "abc"] == ["recreate"] * 3


def test_podmans_own_requirements_cascade_too():
    web = container("web")
    model = model_of({"web": {**WEB, "command": "new"}, "worker": WEB})
    rows = planned(model, [web, container("worker", Dependencies=[web.id])])
    assert rows["worker"].reasons == ["parent_recreated"]


def test_dependent_with_restart_true_is_restarted():
    wanted = {"web": {"condition": "service_started", "restart": True}}
    model = model_of({"web": {**WEB, "command": "new"}, "worker": {**WEB, "depends_on": wanted}})
    rows = planned(model, [container("web"), container("worker")])
    assert (rows["worker"].action, rows["worker"].reasons) == ("restart", ["dependency_restart"])


def test_stale_mount_needs_only_a_restart():
    row = planned(model_of({"web": WEB}), [container("web")], stale={"web": ["/data"]})["web"]
    assert (row.action, row.reasons) == ("restart", ["stale_mount"])


def _failed():
    return container("web", State__Status="exited", State__Pid=0, State__ExitCode=1)


def test_strongest_action_wins_and_all_reasons_stay():
    model = model_of({"web": {**WEB, "environment": {"A": "1"}}})
    row = planned(model, [_failed()], stale={"web": ["/x"]})["web"]
    assert row.action == "recreate"
    assert row.reasons == ["env_changed", "not_running", "stale_mount"]


def test_orphans_are_removed_only_on_request():
    rows = [container("web"), container("old")]
    assert set(planned(model_of({"web": WEB}), rows)) == {"web"}
    assert planned(model_of({"web": WEB}), rows, remove_orphans=True)["old"].action == "remove_orphan"


def test_more_replicas_are_created_and_fewer_replaced():
    rows = [container("web", Id="1" * 64, Name="/shop-web-1"), container("web", Id="2" * 64, Name="/shop-web-2")]
    assert planned(model_of({"web": {**WEB, "scale": 3}}), rows)["web"].action == "create"
    assert planned(model_of({"web": WEB}), rows)["web"].action == "recreate"


class TestDockerCompose:
    """Decisions that rest on Compose's hash, with recorded containers."""

    def _rows(self, version, against, change=lambda services: None):
        record = recorded(f"docker-compose-{version}")
        change(record["config"]["services"])
        image = record["images"][0]
        facts = plan.Facts(
            [parse_inspect(row) for row in record["containers"]],
            {"obx-compose-bb:1": image, image["Id"]: image},
        )
        numbers = tuple(int(part) for part in against.split("."))
        rows = plan.make(docker_model(record), facts, driver=driver("docker-compose", numbers), remove_orphans=False)
        return {row.service: (row.action, row.reasons) for row in rows}

    @pytest.mark.parametrize("version", ["2.26.1", "2.40.3"])
    def test_unchanged_stack_is_kept(self, version):
        assert all(row == ("keep", []) for row in self._rows(version, version).values())

    def test_newer_compose_replaces_services_with_dependencies(self):
        rows = self._rows("2.26.1", "2.40.3")
        assert rows["api"] == ("recreate", ["compose_version_changed"])
        assert rows["db"] == ("keep", [])

    def test_field_that_cannot_be_shown_is_still_a_change(self):
        def change(services):
            services["db"]["stop_signal"] = "SIGTERM"

        rows = self._rows("2.40.3", "2.40.3", change)
        assert rows["db"] == ("recreate", ["config_hash"])
        assert rows["side"] == ("recreate", ["parent_recreated"])
        # Compose would restart it for its depends_on.restart.
        assert rows["api"] == ("restart", ["dependency_restart"])

    def test_old_compose_takes_ended_one_shots_along(self):
        def change(services):
            services["api"]["environment"]["PLAIN"] = "2"

        rows = self._rows("2.26.1", "2.26.1", change)
        assert rows["api"] == ("recreate", ["env_changed"])
        assert rows["migrate"] == ("start", ["dependency_restart"])
        assert self._rows("2.40.3", "2.40.3", change)["migrate"] == ("keep", [])


def test_row_is_returned_with_all_keys():
    row = planned(model_of({"web": {**WEB, "command": "new"}}), [container("web")])["web"].as_dict()
    assert row == {
        "service": "web",
        "action": "recreate",
        "reasons": ["config_hash"],
        "diff": {"command": {"before": "", "after": "new"}},
        "downtime": "recreate",
        "cascade_from": "",
    }


def test_image_id_decides_and_not_its_spelling():
    podman = {"shop:1": {"Id": IMAGE_ID[len("sha256:") :], "Config": {}}}
    assert planned(model_of({"web": WEB}), [container("web")], images=podman)["web"].action == "keep"


@pytest.mark.parametrize("body", [{"healthcheck": "curl"}, {"deploy": "x"}, {"secrets": [1]}])
def test_model_with_wrong_types_is_reported_without_a_traceback(body):
    with pytest.raises(ComposeError, match="stack shop, service web: is invalid"):
        model_of({"web": {**WEB, **body}})
