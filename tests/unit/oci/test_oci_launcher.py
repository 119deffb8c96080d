"""The launcher against the simulated cloud, with recorded refusals and a clock that moves only when it sleeps."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci import freetier
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.spec import NAME_TAG, Size
from oci_simulation import DAY, Clock, Run, make_spec
from oci_world import COMPARTMENT, World


def start(*script: str, domains: int = 1, otherwise: str = "ok", **options: t.Any) -> Run:
    clock = Clock()
    names = [f"Uocm:AP-CHUNCHEON-1-AD-{number + 1}" for number in range(domains)]
    world = World(lambda: clock.server, domains=names, script=list(script), otherwise=otherwise, page_size=1)
    return Run(world, clock, **options)


def words(run: Run) -> list[str]:
    return [word for unused, word, unused, unused in run.world.launches]


def times(run: Run) -> list[float]:
    return [when for when, unused, unused, unused in run.world.launches]


def asked(run: Run) -> list[str]:
    return [str(body["availabilityDomain"])[-1] for unused, unused, unused, body in run.world.launches]


def test_at_the_first_try() -> None:
    run = start("ok")
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.created
    assert outcome.captured.state == "RUNNING"
    assert outcome.captured.public_ip == "203.0.113.10"
    assert words(run) == ["ok"]
    # a second run finds it and sends nothing
    again = run.block()
    assert again.captured == outcome.captured
    assert not again.created
    assert words(run) == ["ok"]


def test_capacity_takes_turns_and_the_first_domain_shifts() -> None:
    run = start(*["cap"] * 7, domains=3)
    assert run.block().captured is not None
    assert asked(run) == ["1", "2", "3", "2", "3", "1", "3", "1"]
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    # Evenly: no two close together, and no round sooner than the interval after the one before.
    assert all(100 <= gap <= 110 for gap in gaps)
    assert all(later - earlier >= 300 for earlier, later in zip(times(run), times(run)[3:]))


def test_a_ladder_of_sizes_makes_a_round_longer_and_not_denser() -> None:
    run = start(otherwise="cap", domains=3, spec=make_spec(sizes=(Size(2, 12), Size(1, 6))))
    run.block(max_duration=3600)
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    assert len(gaps) > 20
    assert min(gaps) >= 100


def test_429_stops_the_round_and_continues_with_the_same_domain() -> None:
    run = start("cap", "429", "429", "429", "429", domains=3)
    assert run.block().captured is not None
    assert asked(run) == ["1", "2", "2", "2", "2", "2"]
    gaps = [later - earlier for earlier, later in zip(times(run)[1:], times(run)[2:])]
    for gap, wait in zip(gaps, (900, 1800, 3600, 3600)):
        assert wait <= gap <= wait + 120


def test_retry_after() -> None:
    run = start("429:7000")
    assert run.block().captured is not None
    assert 7000 <= times(run)[1] - times(run)[0] <= 7120


def test_throttling_survives_a_restart() -> None:
    run = start("429", "429", "429")
    for _unused in range(200):
        if run.tick().captured:
            break
        run.clock.sleep(60)  # a timer that fires every minute
    gaps = [later - earlier for earlier, later in zip(times(run), times(run)[1:])]
    assert [gap >= wait for gap, wait in zip(gaps, (900, 1800, 3600))] == [True] * 3


def test_one_tick_is_one_round_and_not_more_often_than_allowed() -> None:
    run = start(otherwise="cap", domains=2)
    first = run.tick()
    assert first.captured is None
    assert asked(run) == ["1", "2"]
    assert first.next_attempt_at is not None
    assert 150 <= first.next_attempt_at - run.clock.wall <= 165
    for _unused in range(5):
        run.tick()
    assert len(words(run)) == 2
    run.clock.sleep(166)
    run.tick()
    assert asked(run) == ["1", "2", "2", "1"]


def test_max_duration_ends_before_the_next_wait() -> None:
    run = start(otherwise="cap")
    outcome = run.block(max_duration=3000)
    assert outcome.captured is None
    assert run.clock.steady <= 3000
    assert "Out of host capacity" in outcome.text
    assert run.events[-1].kind == events.STOPPED


def test_max_attempts() -> None:
    run = start(otherwise="cap", max_attempts=3)
    with pytest.raises(OciError, match="3 launch requests.*max_attempts"):
        run.block()
    assert len(words(run)) == 3


def test_a_domain_without_the_shape_is_left_out_for_a_day() -> None:
    run = start("404-shape", *["cap"] * 360, domains=2)
    run.block(max_duration=DAY - 100)
    assert asked(run).count("1") == 1
    assert 250 < asked(run).count("2") <= 288  # it has the whole round for itself
    run.block(max_duration=4000)
    assert asked(run).count("1") > 1


def test_no_domain_has_the_shape() -> None:
    run = start("404-shape", "404-shape", domains=2)
    with pytest.raises(OciError, match="no availability domain .* has the shape"):
        run.block()
    assert len(words(run)) == 2


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("404-auth", "subnet_id is a subnet"),
        ("401", "clock"),
        ("403-home", "home region"),
        ("400-key", "Invalid ssh public key"),
        ("quota", "administrator"),
        ("404-volume", "boot volume"),
    ],
)
def test_stops_at_once(word: str, says: str) -> None:
    run = start(word)
    with pytest.raises(OciError) as caught:
        run.block()
    assert says in str(caught.value)
    assert "restricted" not in str(caught.value)
    assert len(words(run)) == 1
    # corrected and run again: a new request, no replay of the refused one
    assert run.block().captured is not None


def test_account_restriction_is_noticed() -> None:
    run = start("cap", "cap", "404-auth")
    with pytest.raises(OciError, match="taken 2 times before: the account may have been restricted"):
        run.block()


def test_network_of_a_role_that_was_just_made() -> None:
    assert start("400-related").block().captured is not None
    with pytest.raises(OciError, match="subnet_id and policies"):
        start("400-related", "400-related").block()


def test_busy_is_bounded() -> None:
    run = start(otherwise="409-state")
    with pytest.raises(OciError, match="11 times"):
        run.block()
    assert len(words(run)) == 11


def test_network_down_for_hours() -> None:
    run = start(*["unreachable"] * 60)
    assert run.block().captured is not None
    assert run.clock.steady > 4 * 3600
    assert run.context.state.attempts == 1  # what never left does not count


def test_reads_that_fail_never_become_launches() -> None:
    faults = iter(["502-html", "429", "unreachable", "reset", "500-other"])
    run = start("ok", reads=lambda: next(faults, ""))
    assert run.block().captured is not None
    assert words(run) == ["ok"]


def test_a_list_that_is_refused_stops() -> None:
    run = start("ok", reads=lambda: "404-auth")
    with pytest.raises(OciError, match="Reading the state"):
        run.block()
    assert words(run) == []


# --- unknown outcomes ---


@pytest.mark.parametrize("word", ["reset-after-create", "slow", "500-created", "limit-created"])
def test_created_instance_of_a_failed_answer_is_adopted(word: str) -> None:
    for lag in (0, 100, 5000):
        run = start(f"{word}:{lag}")
        outcome = run.block()
        assert outcome.captured is not None
        assert len(run.world.instances) == 1
        tokens = {token for unused, unused, token, unused in run.world.launches}
        assert len(tokens) == 1


@pytest.mark.parametrize("word", ["reset-before-create", "500-other", "502-html", "504-empty"])
def test_unknown_outcome_is_settled_by_the_same_request(word: str) -> None:
    run = start(word, "cap", "cap", domains=2)
    assert run.block().captured is not None
    first, second, third = run.world.launches[:3]
    assert first[2] == second[2] != third[2]
    assert first[3] == second[3]
    assert second[0] - first[0] >= 300


def test_429_on_the_replay_keeps_the_outcome_unknown() -> None:
    run = start("reset-before-create", "429", "cap", "ok")
    run.block()
    tokens = [token for unused, unused, token, unused in run.world.launches]
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3]


def test_a_spent_token_is_replaced() -> None:
    run = start("reset-after-create:9000")
    run.hook = lambda place: None
    with pytest.raises(StopIteration):
        stop_after(run, "answered", lambda: run.world.terminate(next(iter(run.world.instances))))
    outcome = run.block()
    assert outcome.captured is not None
    assert len(run.world.instances) == 2
    assert len(run.world.alive()) == 1


def stop_after(run: Run, kind: str, action: t.Callable[[], None]) -> None:
    """Run until the first unknown outcome, do something to the world, and end this process."""
    launcher = run.start()
    launcher.step()
    action()
    raise StopIteration(kind)


# --- limits ---


def test_false_limit_alarm() -> None:
    run = start("limit", "limit", "cap")
    assert run.block().captured is not None


def test_a_limit_that_lasts_is_believed() -> None:
    run = start(otherwise="limit")
    with pytest.raises(OciError, match="too long for a false alarm.*Terminate unused instances"):
        run.block()
    assert 6 * 3600 <= run.clock.steady <= 8 * 3600


def test_a_real_limit_by_our_own_count() -> None:
    run = start("cap", "limit")
    run.world._create({"shape": freetier.ARM_SHAPE, "compartmentId": COMPARTMENT, "displayName": "other"}, "ok", 0)
    run.spec = make_spec(sizes=(Size(2, 12),))
    with pytest.raises(OciError, match=r"2 OCPU requested and 1 in use, 2 are free"):
        run.block()
    assert words(run) == []


# --- late failures ---


def test_late_capacity_failure_is_cleaned_up_and_the_launch_loop_continues() -> None:
    run = start("wr-capacity", "cap", "ok", domains=2)
    outcome = run.block()
    assert outcome.captured is not None
    failed = run.world.instances["ocid1.instance.oc1.ap-chuncheon-1.i0001"]
    assert failed.boot_volume_deleted
    assert asked(run) == ["1", "2", "2"]
    assert [one.id for one in run.world.alive()] == [outcome.captured.id]


def test_stuck_in_provisioning_is_terminated_first() -> None:
    run = start("stuck-provisioning", "ok")
    assert run.block().captured is not None
    first = run.world.instances["ocid1.instance.oc1.ap-chuncheon-1.i0001"]
    assert first.terminated is not None
    assert times(run)[1] >= first.terminated + run.world.terminate_seconds


def test_a_late_failure_for_another_reason_stops() -> None:
    run = start("wr-other")
    with pytest.raises(OciError, match=r"terminated while it started: The image is damaged\."):
        run.block()
    assert run.block().captured is not None


def test_terminated_by_somebody_while_it_started() -> None:
    run = start("ok")
    run.world.boot_seconds = 5000
    with pytest.raises(StopIteration):
        stop_after(run, "", lambda: run.world.terminate("ocid1.instance.oc1.ap-chuncheon-1.i0001"))
    with pytest.raises(OciError, match="somebody terminated it"):
        run.block()


def test_terminated_by_somebody_after_it_ran() -> None:
    run = start("ok")
    run.block()
    run.world.terminate("ocid1.instance.oc1.ap-chuncheon-1.i0001")
    with pytest.raises(OciError, match="replace: true"):
        run.block()
    assert len(words(run)) == 1
    run.replace = True
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.created
    assert len(words(run)) == 2


def test_late_network_card_is_waited_for() -> None:
    run = start("ok")
    run.world.vnic_seconds = 400
    assert run.block().captured is not None
    assert len(words(run)) == 1
    assert run.clock.steady >= 400


def test_missing_public_address_is_reported() -> None:
    run = start("ok")
    run.world.address_of = lambda body: ""
    with pytest.raises(OciError, match="no public address"):
        run.block()
    assert len(words(run)) == 1


def test_an_address_that_changes_is_reported() -> None:
    run = start("ok")
    run.block()
    run.world.move("ocid1.instance.oc1.ap-chuncheon-1.i0001", "203.0.113.99")
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.captured.public_ip == "203.0.113.99"


# --- what is there already ---


def existing(run: Run, name: str, tag: str, ocpus: float = 2) -> None:
    body = run.spec.body(run.world.domains[0], "", Size(ocpus, 12), "old")
    body["displayName"], body["freeformTags"] = name, {NAME_TAG: tag}
    run.world._create(body, "ok", 0)


def test_a_lost_state_file_adopts() -> None:
    run = start()
    run.block()
    run.disk = ""
    outcome = run.block()
    assert outcome.captured is not None
    assert len(run.world.instances) == 1


def test_two_of_ours_stop_everything() -> None:
    run = start()
    existing(run, "coinpilot-ins", "coinpilot-ins")
    existing(run, "coinpilot-ins", "coinpilot-ins")
    with pytest.raises(OciError, match="2 instances carry the tag"):
        run.block()


def test_the_same_name_made_by_hand() -> None:
    run = start()
    existing(run, "coinpilot-ins", "")
    with pytest.raises(OciError, match="did not make"):
        run.block()
    assert words(run) == []


def test_another_size_is_not_a_success() -> None:
    run = start()
    existing(run, "coinpilot-ins", "coinpilot-ins", ocpus=1)
    with pytest.raises(OciError, match="1 OCPU / 12 GB, but .* 2 OCPU / 12 GB is asked for"):
        run.block()


# --- opt-in ---


def test_size_ladder() -> None:
    run = start("cap", "cap", "cap", "ok", domains=2, spec=make_spec(sizes=(Size(2, 12), Size(1, 6))))
    outcome = run.block()
    assert outcome.captured is not None
    assert outcome.captured.ocpus == 1
    sizes = [body["shapeConfig"]["ocpus"] for unused, unused, unused, body in run.world.launches]
    assert sizes == [2, 2, 1, 1]


def test_fault_domains() -> None:
    run = start("cap", "ok", spec=make_spec(fault_domains=("FAULT-DOMAIN-1", "FAULT-DOMAIN-2")))
    assert run.block().captured is not None
    assert [body["faultDomain"][-1] for unused, unused, unused, body in run.world.launches] == ["1", "2"]


def test_a_fixed_shape() -> None:
    run = start("ok", spec=make_spec(shape=freetier.MICRO_SHAPE))
    assert run.block().captured is not None


@pytest.mark.parametrize("jump", [-(10**6), 10**6])
def test_the_clock_jumps_while_waiting(jump: float) -> None:
    run = start("cap", "ok")
    run.block(max_duration=100)
    run.clock.wall += jump
    before = run.clock.steady
    assert run.block().captured is not None
    assert run.clock.steady - before <= 1300


@pytest.mark.parametrize("word", ["reset-before-create", "wr-capacity"])
def test_domains_that_are_found_out_also_after_a_restart(word: str) -> None:
    run = start(word, "cap", "ok", domains=2, discover=True)
    with pytest.raises(StopIteration):
        stop_after(run, "", lambda: None)
    assert run.block().captured is not None


def test_region_without_domains_is_refused() -> None:
    run = start("ok", discover=True)
    run.world.domains = []
    with pytest.raises(OciError, match="no availability domain"):
        run.block()


def test_a_timer_gets_on_after_the_clock_was_set_back() -> None:
    run = start("cap", "ok")
    run.tick()
    run.clock.wall -= 10**6
    captured = []
    for _unused in range(60):
        captured.append(run.tick().captured)
        run.clock.sleep(30)
    assert any(captured)


def test_lines_are_readable() -> None:
    event = events.Event(events.ANSWERED, "vm", "AD-1: out of capacity", 3, 1_780_000_000, 1_779_990_000, 901)
    shown = events.line(event)
    assert shown.startswith("[vm] AD-1: out of capacity; next request at ")
    assert shown.endswith("(in 15 min); launching for 2 h 46 min")
    assert [events.duration(value) for value in (0, 119, 121, 7300, 190000)] == [
        "0 s",
        "119 s",
        "2 min",
        "2 h 01 min",
        "2 d 4 h",
    ]
