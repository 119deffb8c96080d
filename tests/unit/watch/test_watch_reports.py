# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of the watch: webhook, daily summary, ping, metrics, and restarts within limits."""

from __future__ import annotations

import datetime
import json
import pathlib
import re
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.process import CommandError, Result
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.watch.config import Stack, Tell
from ansible_collections.onebox.stack.plugins.module_utils.watch.judge import restart as restarts
from ansible_collections.onebox.stack.plugins.module_utils.watch.tell import metrics, report
from ansible_collections.onebox.stack.plugins.module_utils.watch.tell.restart import restart
from watch_facts import DAY, HOUR, NOW, STEP, Facts, Watch, healthy, live, one
from webhook_receiver import DISCORD_429, Receiver

EARLY = datetime.datetime(2026, 11, 29, 5, 0)
LATE = datetime.datetime(2026, 11, 29, 8, 1)


@pytest.fixture
def receiver() -> t.Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def tell(receiver: Receiver, tmp_path: pathlib.Path) -> Tell:
    (tmp_path / "url").write_text(receiver.url + "\n")
    return Tell(webhook_file=str(tmp_path / "url"), style="discord", ping_file=str(tmp_path / "url"))


def sick(watch: Watch, runs: int = 2, **changes: t.Any) -> Facts:
    """The document after runs with an unhealthy service."""
    for _run in range(runs):
        facts = healthy(watch.now)
        one(facts, "web").update(health="unhealthy", **changes)
        watch.run(facts)
    return watch.document


def well(watch: Watch, runs: int = 1) -> Facts:
    for _run in range(runs):
        watch.run(healthy(watch.now))
    return watch.document


def texts(receiver: Receiver) -> list[str]:
    """The messages without their first line, the title."""
    return [text.partition("\n")[2] for text in receiver.texts()]


def test_change_is_reported_once_and_its_end_too(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    assert report.report(tell, well(watch), watch.notes, EARLY) == ""
    assert receiver.got == []
    for _run in range(4):
        assert report.report(tell, sick(watch), watch.notes, EARLY) == ""
    assert len(receiver.got) == 1
    assert texts(receiver)[0].startswith("NEW critical: container shop-web-1 is unhealthy")
    assert "docker logs --tail 50 shop-web-1" in texts(receiver)[0]
    report.report(tell, well(watch, 4), watch.notes, EARLY)
    assert texts(receiver)[1].startswith("cleared: container shop-web-1 is unhealthy")
    report.report(tell, well(watch), watch.notes, EARLY)
    assert len(receiver.got) == 2


def test_summary_is_sent_once_a_day_also_when_all_is_as_promised(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    for day in (EARLY, LATE, LATE + datetime.timedelta(hours=3), LATE + datetime.timedelta(days=1)):
        report.report(tell, well(watch), watch.notes, day)
    assert texts(receiver) == ["3 containers of 1 stacks are as promised"] * 2
    assert receiver.texts()[0].startswith("**demo: all as promised**")


def test_message_that_was_not_delivered_is_sent_by_the_next_run(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    receiver.answers = [(500, {}, "")]
    assert report.report(tell, sick(watch), watch.notes, EARLY) == "webhook: HTTP 500"
    assert report.report(tell, sick(watch, 1), watch.notes, EARLY) == ""
    assert [text[:12] for text in texts(receiver)] == ["NEW critical"] * 2


def test_rate_limit_is_obeyed(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    receiver.answers = [(429, {}, DISCORD_429 % 900)]
    assert "rate limited for 900 s" in report.report(tell, sick(watch), watch.notes, EARLY)
    assert report.report(tell, sick(watch, 1), watch.notes, EARLY) == ""
    assert len(receiver.got) == 1
    sick(watch, 3)
    assert report.report(tell, watch.document, watch.notes, EARLY) == ""
    assert len(receiver.got) == 2


def test_acknowledged_finding_is_not_reported_until_its_end(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    document = sick(watch)
    document["findings"][0]["acknowledged"] = "2026-12-24"
    report.report(tell, document, watch.notes, EARLY)
    assert receiver.got == []
    report.report(tell, sick(watch, 1), watch.notes, EARLY)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("style", ["discord", "slack", "ntfy", "generic"])
def test_every_style_sends_finding_and_command(style: str, receiver: Receiver, tell: Tell) -> None:
    watch = Watch()
    document = sick(watch, health_output="<!channel> @everyone & more")
    receiver.answers = [(204, {}, "")]
    report.report(Tell(tell.webhook_file, style), document, watch.notes, EARLY)
    (request,) = receiver.got
    assert b"docker logs" in request.body
    if style == "slack":
        assert b"<!channel>" not in request.body
        assert "&lt;!channel&gt;" in json.loads(request.body)["text"]
    if style == "discord":
        assert json.loads(request.body)["allowed_mentions"] == {"parse": []}
    if style == "generic":
        assert json.loads(request.body)["findings"][0]["code"] == "unhealthy"


def test_secret_of_the_url_is_in_no_error(tell: Tell, receiver: Receiver, tmp_path: pathlib.Path) -> None:
    watch = Watch()
    receiver.answers = [(404, {}, ""), (404, {}, "")]
    said = report.report(tell, sick(watch), watch.notes, EARLY) + report.ping(tell, watch.document)
    (tmp_path / "url").write_text(f"ftp://{Receiver.SECRET}")
    said += report.report(tell, watch.document, watch.notes, EARLY) + report.ping(tell, watch.document)
    assert said.count("404") == 2
    assert said.count("not an http or https URL") == 2
    assert Receiver.SECRET not in said


def test_ping_is_sent_and_its_failure_is_reported(tell: Tell, receiver: Receiver) -> None:
    watch = Watch()
    receiver.answers = [(200, {}, "OK")]
    assert report.ping(tell, well(watch)) == ""
    assert receiver.got[0].body == b"ok"
    receiver.answers = [(503, {}, "")]
    assert report.ping(tell, watch.document) == "dead man's ping: HTTP 503"


def test_report_that_failed_twice_is_a_finding() -> None:
    watch = Watch()
    for _run in range(2):
        watch.notes["report_errors"] = {"webhook": "webhook: HTTP 404"}
        watch.run(healthy(watch.now))
    assert [row["code"] for row in watch.outcome.active] == ["report_failed"]


def test_metrics_hold_findings_forecast_and_time_of_the_run() -> None:
    watch = Watch()
    text = metrics.text(sick(watch))
    assert 'onebox_watch_ok{watch="demo"} 0' in text
    assert 'onebox_watch_findings{watch="demo",severity="critical"} 1' in text
    assert 'onebox_watch_findings{watch="demo",severity="warning"} 0' in text
    assert f'onebox_watch_last_run_timestamp_seconds{{watch="demo"}} {NOW + STEP:.0f}' in text
    assert 'onebox_watch_containers{watch="demo",stack="shop"} 3' in text
    names = re.findall(r"(?m)^# TYPE (\S+) gauge$", text)
    assert len(names) == len(set(names))
    samples = [line.split("{")[0] for line in text.splitlines() if not line.startswith("#")]
    assert list(dict.fromkeys(samples)) == names


def test_metrics_of_a_silent_engine_count_no_containers() -> None:
    watch = Watch()
    facts = healthy(watch.now)
    facts["stacks"]["shop"].update(live={"error": "x"}, mounts=None, plan=None)
    watch.run(facts)
    assert "onebox_watch_containers" not in metrics.text(watch.document)


def test_label_with_quotes_and_newlines_is_escaped() -> None:
    watch = Watch()
    facts = healthy(watch.now)
    facts["units"]["failed"] = ['a"b\\c\nd']
    watch.run(facts)
    watch.run(facts)
    assert 'where="a\\"b\\\\c\\nd"' in metrics.text(watch.document)


def due(watch: Watch) -> list[restarts.Due]:
    stacks = {row["name"]: row["live"] for row in watch.document["stacks"]}
    return restarts.due(watch.config.stacks, stacks, watch.document["findings"], watch.notes, watch.now - STEP)


def restarted(watch: Watch, at: float) -> None:
    row = {"at": at, "stack": "shop", "service": "web", "container": "shop-web-1", "ok": True, "message": ""}
    watch.notes.setdefault("restarts", []).append(row)


def test_restart_is_due_after_the_time_and_below_the_limit() -> None:
    watch = Watch()
    sick(watch, 2)
    assert due(watch) == []  # unhealthy for 5 minutes, 10 are needed
    sick(watch, 1)
    assert [(each.service, each.container) for each in due(watch)] == [("web", "shop-web-1")]
    restarted(watch, watch.now - STEP)
    sick(watch, 1)
    assert due(watch) == []  # the restarted service gets as long again
    sick(watch, 2)
    assert len(due(watch)) == 1
    restarted(watch, watch.now - STEP)
    sick(watch, 4)
    assert due(watch) == []
    assert "restart_refused" in {row["code"] for row in watch.outcome.active}
    watch.now += DAY + HOUR
    watch.notes.update(at=watch.now - STEP)
    sick(watch, 1)
    assert len(due(watch)) == 1


def test_restart_of_a_service_that_is_not_listed_is_never_due() -> None:
    watch = Watch()
    for _run in range(6):
        facts = healthy(watch.now)
        one(facts, "db").update(health="unhealthy")
        watch.run(facts)
    assert due(watch) == []


def test_acknowledged_service_is_not_restarted() -> None:
    watch = Watch()
    sick(watch, 5)
    watch.document["findings"][0]["acknowledged"] = "2026-12-24"
    assert due(watch) == []


def test_service_that_a_deploy_works_on_is_not_restarted() -> None:
    watch = Watch()
    sick(watch, 5)
    facts = healthy(watch.now)
    live(facts).update(deploying="2026-11-29T11:00:00Z", containers=[])
    facts["stacks"]["shop"].update(mounts=None, plan=None)
    watch.run(facts)
    assert due(watch) == []


def run_restart(tmp_path: pathlib.Path, run: t.Callable[..., Result]) -> tuple[str, Facts, list[Facts]]:
    (tmp_path / "shop").mkdir()
    world = World(**{**vars(World.real()), "run": run})
    notes: Facts = {}
    failure = restart(restarts.Due(Stack("shop", state_dir=str(tmp_path)), "web", "w-1"), "docker", notes, world)
    history = tmp_path / "shop" / "history.jsonl"
    return failure, notes, [json.loads(line) for line in history.read_text().splitlines()]


def test_restart_is_recorded_in_notes_and_history(tmp_path: pathlib.Path) -> None:
    ran: list[t.Sequence[str]] = []

    def run(argv: t.Sequence[str], **options: t.Any) -> Result:
        ran.append(argv)
        return Result(tuple(argv), 0, "", "", 0.1)

    failure, notes, (entry,) = run_restart(tmp_path, run)
    assert failure == ""
    assert ran == [["docker", "restart", "w-1"]]
    assert (entry["user"], entry["plan"], entry["ok"]) == ("onebox-watch", {"web": ["restart", "unhealthy"]}, True)
    assert notes["restarts"][0]["service"] == "web"


def test_restart_that_failed_counts_and_is_reported(tmp_path: pathlib.Path) -> None:
    def run(argv: t.Sequence[str], **options: t.Any) -> Result:
        raise CommandError("docker restart w-1 failed: no such container", Result(tuple(argv), 1, "", "", 0.1))

    failure, notes, (entry,) = run_restart(tmp_path, run)
    assert "no such container" in failure
    assert (entry["ok"], notes["restarts"][0]["ok"]) == (False, False)
