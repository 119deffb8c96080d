# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raising, clearing and acknowledging findings over several runs."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Acknowledged, parse
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import forecast
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.settle import Outcome, settle
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import Verdicts
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import RULES, Finding, Notes, WatchError
from watch_facts import CONFIG, DAY, HOUR, NOW, STEP, Watch, healthy, one

FINDING = Finding("unhealthy", "shop/web", "container web is unhealthy", "docker logs web")


def runs(pattern: str, notes: Notes | None = None, given: tuple[Acknowledged, ...] = ()) -> list[Outcome]:
    """Runs that see the finding (``1``), do not see it (``0``) or have no data (``?``)."""
    kept: Notes = {} if notes is None else notes
    found = []
    for number, sign in enumerate(pattern):
        verdicts = Verdicts(NOW + number * STEP, "demo", kept)
        if sign == "1":
            verdicts.add(FINDING)
        if sign == "?":
            verdicts.unknown(["unhealthy"], "shop")
        found.append(settle(verdicts, given))
    return found


@pytest.mark.parametrize(
    ("pattern", "active"),
    [
        ("1", "-"),
        ("11", "-+"),
        ("101", "---"),
        ("10101", "----+"),
        ("1100", "-+++"),
        ("11000", "-+++-"),
        ("1101000", "-+++++-"),
        ("11????0??00", "-+++++++++-"),
        ("1?1", "--+"),
        ("000", "---"),
    ],
)
def test_finding_is_raised_and_cleared(pattern: str, active: str) -> None:
    assert "".join("+" if each.active else "-" for each in runs(pattern)) == active


def test_since_is_the_first_sighting_of_the_episode() -> None:
    last = runs("11111")[-1]
    assert last.active[0]["since"] == NOW
    again = runs("11" + "0" * 8 + "11")[-1]
    assert again.active[0]["since"] == NOW + 10 * STEP


def test_raised_and_cleared_are_reported_once() -> None:
    found = runs("1110000")
    assert [each.raised for each in found].count(["unhealthy shop/web"]) == 1
    assert [len(each.cleared) for each in found] == [0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("pattern", ["unhealthy shop/*", "unhealthy", "unhealthy shop/web"])
def test_acknowledged_finding_is_shown_and_does_not_count(pattern: str) -> None:
    given = (Acknowledged(pattern, NOW_DAY, "the new image comes on Monday"),)
    last = runs("11", given=given)[-1]
    assert (last.ok, last.active[0]["acknowledged"]) == (True, "2026-11-29")
    assert last.active[0]["reason"] == "the new image comes on Monday"


def test_acknowledgement_ends_with_its_day() -> None:
    given = (Acknowledged("unhealthy", YESTERDAY),)
    assert runs("11", given=given)[-1].ok is False


def test_acknowledgement_of_another_service_does_not_count() -> None:
    assert runs("11", given=(Acknowledged("unhealthy shop/db", NOW_DAY),))[-1].ok is False


NOW_DAY = Watch().day().date()
YESTERDAY = Watch(now=NOW - DAY).day().date()


def test_note_alone_leaves_the_watch_ok() -> None:
    watch = Watch()
    for _run in range(3):
        facts = healthy(watch.now)
        one(facts, "web").update(image_created=watch.now - 400 * DAY)
        watch.run(facts)
    assert ([row["severity"] for row in watch.outcome.active], watch.outcome.ok) == (["info"], True)


def test_finding_of_another_release_is_dropped() -> None:
    notes: Notes = {"findings": {"gone x": {"code": "gone", "where": "x", "runs": "111", "active": True}}}
    assert runs("0", notes)[-1].active == []
    assert notes["findings"] == {}


def test_state_of_now_raises_in_the_first_run_and_shows_nothing_old() -> None:
    notes: Notes = {}
    runs("11", notes)
    verdicts = Verdicts(NOW + 3 * STEP, "demo", notes)
    assert settle(verdicts, (), at_once=True).active == []
    verdicts.add(FINDING)
    assert len(settle(verdicts, (), at_once=True).active) == 1


def test_every_rule_raises_within_the_remembered_runs() -> None:
    assert all(1 <= rule.sightings <= 6 and 1 <= rule.quiet <= 6 for rule in RULES.values())


def samples(span: float, used: object) -> list[list[float]]:
    kept: list[list[float]] = []
    for number in range(int(span / STEP)):
        kept = forecast.add(kept, NOW + number * STEP, used(number * STEP))  # type: ignore[operator]
    return kept


def test_forecast_of_steady_growth_is_the_day_it_is_full() -> None:
    kept = samples(4 * DAY, lambda second: 1e9 + second * 1e9 / DAY)
    left = forecast.seconds_left(kept, 5e9)
    assert left == pytest.approx(5 * DAY, rel=0.02)


def test_forecast_ignores_the_staging_of_a_backup() -> None:
    kept = samples(4 * DAY, lambda second: 1e9 + (9e9 if second % DAY > DAY - 1500 else 0))
    assert forecast.seconds_left(kept, 5e9) is None


def test_forecast_of_a_runaway_log_needs_two_hours() -> None:
    kept = samples(2 * HOUR, lambda second: second * 5e6)
    assert forecast.seconds_left(kept, 3.6e10) == pytest.approx(2 * HOUR, rel=0.05)
    assert forecast.seconds_left(samples(HOUR, lambda second: second * 5e6), 3.6e10) is None


def test_samples_are_thinned_and_those_of_a_wrong_clock_dropped() -> None:
    kept = samples(8 * DAY, lambda second: second)
    assert len(kept) < 260
    assert [each[0] for each in forecast.add(kept, NOW - DAY, 1.0)] == [NOW - DAY]


def test_growth_of_a_rotated_log_counts_all_that_was_written() -> None:
    assert forecast.growth([[0, 100], [1, 300], [2, 50], [3, 90]]) == 240


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "a b"}, "watch.name: 'a b' is not a name"),
        ({"name": None}, "watch.name: is missing"),
        ({"paths": "x"}, "watch.paths: must be list, not str"),
        ({"pahts": []}, "watch: unknown key 'pahts'. Remove it."),
        ({"interval": True}, "watch.interval: must be int, not bool"),
        ({"interval": 1}, "watch.interval: 1 is not between 30 and 86400"),
        ({"state_dir": "x"}, "watch.state_dir: 'x' is not an absolute path"),
        ({"version": 2}, "watch.version: this program reads version 1"),
        ({"stacks": [{"name": "a", "engine": "lxc"}]}, "watch.stacks[0].engine: 'lxc' is not one of auto, docker"),
        ({"stacks": [{"name": "a", "restart": {"x": 1}}]}, "watch.stacks[0].restart: unknown key 'x'"),
        ({"stacks": [3]}, "watch.stacks[0]: must be a mapping, not int"),
        ({"acknowledge": [{"finding": "x", "until": "soon"}]}, "watch.acknowledge[0].until: 'soon' is not a date"),
        ({"endpoints": [{"url": "ftp://x"}]}, "watch.endpoints[0].url: not an http or https URL"),
        ({"tell": {"style": "irc"}}, "watch.tell.style: 'irc' is not one of discord, slack, ntfy, generic"),
        ({"launches": [1]}, "watch.launches: must be a list of texts"),
    ],
)
def test_wrong_configuration_names_the_key(change: dict[str, object], said: str) -> None:
    with pytest.raises(WatchError) as error:
        parse({**CONFIG, **change})
    assert said in str(error.value)


def test_url_in_an_error_is_not_repeated() -> None:
    with pytest.raises(WatchError) as error:
        parse({**CONFIG, "endpoints": [{"url": "ftp://user:secret@x"}]})
    assert "secret" not in str(error.value)
