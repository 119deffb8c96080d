"""Discord messages: few, harmless, and without the URL. The receiver is a real HTTP server on loopback."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.webhook import Outcome
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events, notify
from webhook_receiver import Receiver

T0 = 1_780_000_000.0


def event(kind: str, text: str = "text", at: float = T0, attempt: int = 1) -> events.Event:
    return events.Event(kind, "vm", text, attempt, at, T0)


class Sink:
    def __init__(self, *outcomes: Outcome) -> None:
        self.texts: list[str] = []
        self.warnings: list[str] = []
        self.memory: dict[str, t.Any] = {}
        self.outcomes = list(outcomes)

    def post(self, text: str) -> Outcome:
        self.texts.append(text)
        return self.outcomes.pop(0) if self.outcomes else Outcome()

    def notifier(self) -> notify.Notifier:
        return notify.Notifier(self.post, self.memory, self.warnings.append)


def test_messages_over_many_ticks_are_few() -> None:
    sink = Sink()
    for number in range(300):  # three days of ticks, each its own process
        at = T0 + number * 900
        notifier = sink.notifier()
        notifier(event(events.ATTEMPT, at=at, attempt=number))
        notifier(event(events.ANSWERED, "AD-1: out of capacity", at=at, attempt=number))
        notifier(event(events.STOPPED, at=at))
    notifier = sink.notifier()
    for kind in (events.LAUNCHED, events.DISCARDED, events.ADOPTED, events.CAPTURED):
        notifier(event(kind, kind))
    assert [text.split(": ", 1)[1][:14] for text in sink.texts] == [
        "the launch beg",
        "not captured y",
        "not captured y",
        "not captured y",
        "launched",
        "discarded",
        "adopted",
        "captured after",
    ][: len(sink.texts)]
    assert len(sink.texts) == 8
    assert "AD-1: out of capacity" in sink.texts[1]


def test_repeated_abort_is_reported_once() -> None:
    sink = Sink()
    for _unused in range(5):
        sink.notifier()(event(events.ABORTED, "quota"))
    sink.notifier()(event(events.ABORTED, "another"))
    assert len(sink.texts) == 2


def test_rate_limit_silences_the_next_ticks_and_is_reported_once() -> None:
    limited = Outcome("rate limited for 30 s (HTTP 429)", True, 30.0)
    sink = Sink(limited, limited)
    notifier = sink.notifier()
    notifier(event(events.LAUNCHED, at=T0))
    sink.notifier()(event(events.LAUNCHED, at=T0 + 10))
    notifier(event(events.LAUNCHED, at=T0 + 31))
    assert len(sink.texts) == 2
    assert sink.memory["quiet_until"] == T0 + 61
    assert sink.warnings == [
        "the Discord message was not sent (rate limited for 30 s (HTTP 429)). The launch continues without it."
    ]


def test_failed_message_is_reported_once_and_later_ones_are_sent() -> None:
    sink = Sink(Outcome("HTTP 500", True), Outcome("HTTP 404"))
    notifier = sink.notifier()
    for _unused in range(3):
        notifier(event(events.LAUNCHED))
    assert len(sink.texts) == 3
    assert sink.warnings == ["the Discord message was not sent (HTTP 500). The launch continues without it."]
    assert "quiet_until" not in sink.memory


def test_message_over_http_mentions_no_user_and_keeps_the_url_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    sink = Sink()
    with Receiver() as discord:
        notifier = notify.Notifier(notify.discord(discord.url), sink.memory, sink.warnings.append)
        notifier(event(events.LAUNCHED, "hello @everyone"))
        assert json.loads(discord.got[0].body) == {
            "content": "**vm**: hello @everyone",
            "allowed_mentions": {"parse": []},
        }
        discord.answers = [(500, {}, ""), (429, {"Retry-After": "7"}, "")]
        notifier(event(events.LAUNCHED))
        notifier(event(events.LAUNCHED))
        assert len(discord.got) == 3
    assert sink.memory["quiet_until"] == T0 + 7
    assert sink.warnings == ["the Discord message was not sent (HTTP 500). The launch continues without it."]


def test_text_that_is_not_a_url_is_refused_without_quoting_it() -> None:
    with pytest.raises(OciError, match="^discord_webhook must begin with https://$"):
        notify.discord("discord")
