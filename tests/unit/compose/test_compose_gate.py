# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The health gate, with an engine that plays a script: no real one can be made to fail at will within milliseconds."""

import dataclasses

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Target
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.podman_compose.driver import PodmanCompose
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import Unhealthy
from ansible_collections.onebox.stack.plugins.module_utils.compose.health.gate import Gate, Settings
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.mask import Secrets
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of
from compose_facts import container, model_of

START = epoch_of("2026-11-21T09:00:00.5Z")


class FakeTime:
    """A clock that only a sleep moves; it starts when the fake containers do."""

    def __init__(self):
        self.now = 0.0
        self.world = dataclasses.replace(
            World.real(), monotonic=lambda: self.now, epoch=lambda: START + self.now, sleep=self._sleep
        )

    def _sleep(self, seconds):
        self.now += seconds


class FakeEngine:
    """Shows the containers a function of time gives."""

    name = "docker"

    def __init__(self, time, script, logs="first\nlast words"):
        self._time, self._script, self._logs = time, script, logs

    def containers(self, project=None, names=()):
        return self._script(self._time.now)

    def logs(self, container, lines):
        if self._logs is None:
            raise EngineError("gone")
        return self._logs


HEALTHCHECK = {"healthcheck": {"test": ["CMD", "true"]}}


def gate_of(script, services, timeout=20.0, logs="first\nlast words", **options):
    time = FakeTime()
    gate = Gate(FakeEngine(time, script, logs), "shop", time.world, Settings(**options))
    rows = gate.wait(model_of(services).services, timeout, completed=options.pop("completed", ()))
    return rows, time.now


def test_running_service_must_have_run_for_some_seconds():
    rows, waited = gate_of(lambda now: [container("web")], {"web": {"image": "a"}}, settle=3.0)
    assert rows[0]["ok"]
    assert 3.0 <= waited < 5.0


def test_one_that_ran_before_costs_no_wait():
    old = container("web", State__StartedAt="2026-11-20T09:00:00Z")
    assert gate_of(lambda now: [old], {"web": {"image": "a"}})[1] == 0.0


@pytest.mark.parametrize("keys", [{}, HEALTHCHECK], ids=["without a healthcheck", "healthy"])
def test_engine_whose_clock_is_ahead_costs_no_more(keys):
    # As in a virtual machine: by its time, the container starts in an hour.
    ahead = container("web", State__StartedAt="2026-11-21T10:00:00Z", State__Health={"Status": "healthy"})
    time = FakeTime()
    services = model_of({"web": {"image": "a", **keys}}).services
    Gate(FakeEngine(time, lambda now: [ahead]), "shop", time.world).wait(services, 20.0, began_at=START)
    assert 2.0 <= time.now < 4.0


def test_existing_healthcheck_decides():
    def script(now):
        return [container("web", State__Health={"Status": "healthy" if now > 2 else "starting"})]

    rows, waited = gate_of(script, {"web": {"image": "a", **HEALTHCHECK}})
    assert rows[0]["health"] == "healthy"
    assert 2 < waited < 5


def test_healthy_for_a_moment_does_not_count():
    def script(now):
        if now < 0.6:
            return [container("web", State__Health={"Status": "healthy"})]
        return [container("web", State__Status="exited", State__Running=False, State__ExitCode=3)]

    time = FakeTime()
    services = model_of({"web": {"image": "a", "restart": "always", **HEALTHCHECK}}).services
    with pytest.raises(Unhealthy, match="exit code 3"):
        Gate(FakeEngine(time, script), "shop", time.world).wait(services, 20.0, began_at=START - 1)


def test_only_what_this_run_started_must_stay_healthy():
    healthy = container("web", State__Health={"Status": "healthy"})
    services = model_of({"web": {"image": "a", **HEALTHCHECK}}).services
    for began_at, least, most in ((START - 1, 2.0, 2.8), (START + 1, 0.0, 0.0)):
        time = FakeTime()
        Gate(FakeEngine(time, lambda now: [healthy]), "shop", time.world).wait(services, 20.0, began_at=began_at)
        assert least <= time.now <= most


def test_unhealthy_service_fails_and_is_named_with_its_last_lines():
    sick = container("web", State__Health={"Status": "unhealthy"})
    services = {"web": {"image": "a", **HEALTHCHECK, "environment": {"DB_PASSWORD": "hunter22"}}}
    shown = Secrets(["hunter22"]).text
    with pytest.raises(Unhealthy) as caught:
        gate_of(lambda now: [sick], services, logs="login hunter22\nlast words", shown=shown)
    text = str(caught.value)
    assert "service web" in text
    assert "healthcheck fails" in text
    assert "    last words" in text
    assert "hunter22" not in text
    assert caught.value.rows[0]["ok"] is False


def test_moment_of_unhealthiness_may_pass():
    def script(now):
        return [container("web", State__Health={"Status": "unhealthy" if now < 1 else "healthy"})]

    assert gate_of(script, {"web": {"image": "a", **HEALTHCHECK}})[0][0]["ok"]


def test_time_runs_out():
    slow = container("web", State__Health={"Status": "starting"})
    with pytest.raises(Unhealthy, match=r"after \d+ s: service web its healthcheck is still starting"):
        gate_of(lambda now: [slow], {"web": {"image": "a", **HEALTHCHECK}}, timeout=5)


def test_one_shot_that_ended_with_0_is_healthy():
    ended = container("web", State__Status="exited", State__Pid=0)
    assert gate_of(lambda now: [ended], {"web": {"image": "a"}})[0][0]["ok"]


@pytest.mark.parametrize(
    ("status", "keys"), [("unhealthy", "Health"), ("unhealthy", "Healthcheck"), ("starting", "Health")]
)
def test_output_of_a_failing_healthcheck_is_in_the_message_without_secrets(status, keys):
    checks = [
        {"ExitCode": 1, "Output": "an old one\n"},
        {"ExitCode": 3, "Output": "cannot reach\x1b[0m the database\nat db:5432 with hunter22hunter22" + "x" * 288},
        {"ExitCode": 0, "Output": "fine"},
    ]
    state = {f"State__{keys}": {"Status": status, "Log": checks}}
    services = {"web": {"image": "a", **HEALTHCHECK}}
    secrets = Secrets(["hunter22hunter22"])
    with pytest.raises(Unhealthy) as caught:
        gate_of(lambda now: [container("web", **state)], services, timeout=8, shown=secrets.text)
    text = str(caught.value).splitlines()[0]
    assert "the check ended with exit code 3 and printed: … " in text
    assert "hunter" not in str(caught.value) + str(caught.value.rows)
    assert "an old one" not in text


JOB = {"image": "a", "restart": "on-failure"}


@pytest.mark.parametrize("completed", [(), ("web",)])
def test_job_that_is_retried_while_it_fails_is_healthy_when_it_ended_with_0(completed):
    def script(now):
        if now > 8:
            return [container("web", State__Status="exited", State__Pid=0, RestartCount=9)]
        return [container("web", State__Status="restarting", State__Pid=0, State__ExitCode=1, RestartCount=int(now))]

    time = FakeTime()
    gate = Gate(FakeEngine(time, script), "shop", time.world)
    (row,) = gate.wait(model_of({"web": JOB}).services, 60, completed=completed)
    assert (row["ok"], row["message"]) == (True, "ended with exit code 0")
    assert 8 < time.now < 10


def test_output_of_a_failing_healthcheck_is_one_line_of_printable_text():
    check = {"ExitCode": 3, "Output": "cannot reach\x1b[0m the database\nat db:5432\n"}
    row = container("web", State__Health={"Status": "unhealthy", "Log": [check]})
    with pytest.raises(Unhealthy, match=r"3 and printed: cannot reach \[0m the database \| at db:5432\."):
        gate_of(lambda now: [row], {"web": {"image": "a", **HEALTHCHECK}})


def test_job_between_two_attempts_gets_a_moment():
    def script(now):
        return [container("web", State__Status="exited", State__Pid=0, State__ExitCode=1 if now < 2 else 0)]

    assert gate_of(script, {"web": JOB})[0][0]["ok"]


def test_job_that_is_not_retried_any_more_fails_with_its_exit_code():
    ended = container("web", State__Status="exited", State__Pid=0, State__ExitCode=3, RestartCount=5)
    with pytest.raises(Unhealthy, match="ended: exit code 3"):
        gate_of(lambda now: [ended], {"web": {**JOB, "restart": "on-failure:5"}}, timeout=600)


@pytest.mark.parametrize("status", ["restarting", "running"])
def test_job_that_is_still_retried_at_the_end_is_reported_with_its_exit_code(status):
    def script(now):
        again = {"State__Status": status, "State__Pid": 9 if status == "running" else 0}
        failed = {"State__Status": "exited", "State__Pid": 0, "State__ExitCode": 3}
        return [container("web", RestartCount=int(now), **(failed if now < 1 else again))]

    with pytest.raises(Unhealthy, match=r"after exit code 3\."):
        gate_of(script, {"web": JOB}, timeout=2)


def test_server_with_on_failure_that_keeps_failing_is_a_crash_loop():
    def script(now):
        return [container("web", RestartCount=int(now), State__Status="restarting", State__Pid=0, State__ExitCode=1)]

    with pytest.raises(Unhealthy, match="keeps restarting"):
        gate_of(script, {"web": {**JOB, "ports": ["127.0.0.1:1:1"]}}, timeout=600)


def test_failed_one_shot_is_reported_with_its_exit_code():
    ended = container("web", State__Status="exited", State__Pid=0, State__ExitCode=127)
    with pytest.raises(Unhealthy, match="exit code 127, its command was not found"):
        gate_of(lambda now: [ended], {"web": {"image": "a"}})


def test_one_that_others_wait_for_must_end():
    def script(now):
        return [container("web", State__Status="exited" if now > 4 else "running", State__Pid=0 if now > 4 else 9)]

    time = FakeTime()
    gate = Gate(FakeEngine(time, script), "shop", time.world)
    gate.wait(model_of({"web": {"image": "a"}}).services, 20, completed=("web",))
    assert time.now > 4


def test_service_that_ended_gets_a_moment_and_then_fails():
    ended = container("web", State__Status="exited", State__Pid=0, State__ExitCode=1)
    with pytest.raises(Unhealthy, match="is not running: exit code 1"):
        gate_of(lambda now: [ended], {"web": {"image": "a", "restart": "always"}})


def test_crash_loop_fails_before_the_timeout():
    def script(now):
        return [container("web", RestartCount=int(now), State__Status="restarting", State__Pid=0)]

    with pytest.raises(Unhealthy, match=r"keeps restarting \(\d+ times\)") as caught:
        gate_of(script, {"web": {"image": "a", "restart": "always"}}, timeout=600)
    assert "after 3 s" in str(caught.value) or "after 4 s" in str(caught.value) or "after 5 s" in str(caught.value)


def test_restarts_of_the_past_do_not_count():
    old = container("web", RestartCount=17, State__StartedAt="2026-11-20T09:00:00Z")
    assert gate_of(lambda now: [old], {"web": {"image": "a", "restart": "always"}})[0][0]["ok"]


def test_service_without_a_container_is_unhealthy():
    with pytest.raises(Unhealthy, match="service web has no container"):
        gate_of(lambda now: [], {"web": {"image": "a"}}, timeout=2)


def test_services_scaled_to_nothing_are_not_missed():
    assert gate_of(lambda now: [], {"web": {"image": "a", "scale": 0}}) == ([], 0.0)


def test_logs_that_cannot_be_had_hide_nothing_else():
    with pytest.raises(Unhealthy, match="It printed nothing"):
        gate_of(lambda now: [], {"web": {"image": "a"}}, timeout=1, logs=None)


def test_healthchecks_are_run_only_on_podman():
    asked = []

    def script(now):
        return [container("web", State__Health={"Status": "healthy" if asked else "starting"}), container("db")]

    gate_of(script, {"web": {"image": "a", **HEALTHCHECK}, "db": {"image": "a"}}, probe=asked.append)
    assert {len(ids) for ids in asked} == {1}


def test_healthcheck_of_the_image_decides_too():
    def script(now):
        return [container("web", State__Health={"Status": "healthy" if now > 9 else "starting"})]

    rows, waited = gate_of(script, {"web": {"image": "a"}}, settle=3.0)
    assert rows[0]["ok"]
    assert waited > 9


def test_hanging_healthcheck_or_missing_podman_does_not_end_the_run():
    def run(argv, **options):
        raise process.CommandTimeout("took too long", process.Result(tuple(argv), -1, "", "", 30.0))

    tool = PodmanCompose(("podman-compose",), (1, 6, 0), {})
    world = dataclasses.replace(World.real(), run=run)
    tool.on(Target(FakeEngine(None, None), "shop", None, world)).probe(["a", "b"])
