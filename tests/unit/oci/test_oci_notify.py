"""Discord messages: few, harmless, and without the URL. The receiver is a real HTTP server on loopback."""

from __future__ import annotations

import http.client
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch import events, notify
from oci_discord import Discord

T0 = 1_780_000_000.0


def event(kind: str, text: str = "text", at: float = T0, attempt: int = 1) -> events.Event:
    return events.Event(kind, "vm", text, attempt, at, T0)


class Sink:
    def __init__(self, pause: float = 0.0) -> None:
        self.texts: list[str] = []
        self.warnings: list[str] = []
        self.memory: dict[str, t.Any] = {}
        self.pause = pause

    def post(self, text: str) -> float:
        self.texts.append(text)
        return self.pause

    def notifier(self) -> notify.Notifier:
        return notify.Notifier(self.post, self.memory, self.warnings.append)


def test_few_messages_also_over_many_ticks() -> None:
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
        "the hunt for c",
        "still hunting ",
        "still hunting ",
        "still hunting ",
        "launched",
        "discarded",
        "adopted",
        "captured after",
    ][: len(sink.texts)]
    assert len(sink.texts) == 8
    assert "AD-1: out of capacity" in sink.texts[1]


def test_the_same_abort_is_told_once() -> None:
    sink = Sink()
    for _unused in range(5):
        sink.notifier()(event(events.ABORTED, "quota"))
    sink.notifier()(event(events.ABORTED, "another"))
    assert len(sink.texts) == 2


def test_discord_asks_for_a_pause() -> None:
    sink = Sink(pause=30)
    for second in (0, 10, 31):
        sink.notifier()(event(events.LAUNCHED, at=T0 + second))
    assert len(sink.texts) == 2


@pytest.mark.parametrize(
    "error", [OSError("https://secret"), ValueError("https://secret"), http.client.HTTPException()]
)
def test_a_failure_harms_nothing_and_hides_the_url(error: Exception) -> None:
    sink = Sink()

    def fail(text: str) -> float:
        raise error

    notifier = notify.Notifier(fail, sink.memory, sink.warnings.append)
    for _unused in range(3):
        notifier(event(events.LAUNCHED))
    assert len(sink.warnings) == 1
    assert "secret" not in sink.warnings[0]


def test_over_http() -> None:
    with Discord() as discord:
        post = notify.post_to(discord.url)
        assert post("hello @everyone") == 0
        assert discord.seen == [{"content": "hello @everyone", "allowed_mentions": {"parse": []}}]
        discord.status = 429
        assert post("again") == 7
        discord.status = 500
        sink = Sink()
        notify.Notifier(post, sink.memory, sink.warnings.append)(event(events.LAUNCHED))
        assert sink.warnings == ["the Discord message did not arrive (OSError); the launch goes on without"]


def test_no_url() -> None:
    with pytest.raises(ValueError, match="https://"):
        notify.post_to("discord")
