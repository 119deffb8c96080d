# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages to Discord and ntfy. The receiver is a real web server on loopback."""

from __future__ import annotations

import json
import socket
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import webhook
from webhook_receiver import DISCORD_429, Receiver

DISCORD = webhook.message("discord", "why", "coin: backup failed")


@pytest.fixture
def receiver() -> t.Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def deliver(url: str, wanted: webhook.Message = DISCORD) -> tuple[str, list[float]]:
    """The reason why the message was not delivered, and the pauses between the tries."""
    pauses: list[float] = []
    outcome = webhook.deliver(url, wanted, pauses.append)
    assert outcome.delivered is (outcome.reason == "")
    assert Receiver.SECRET not in outcome.reason
    return outcome.reason, pauses


def test_discord_message_is_short_enough_and_without_mentions(receiver: Receiver) -> None:
    assert deliver(receiver.url, webhook.message("discord", "@everyone " + "x" * 3000, "title")) == ("", [])
    (request,) = receiver.got
    assert request.path == f"/api/webhooks/1/{Receiver.SECRET}"
    assert (request.headers["content-type"], request.headers["user-agent"]) == ("application/json", "onebox.stack")
    sent = json.loads(request.body)
    assert len(sent["content"]) == 2000
    assert sent["content"].startswith("**title**\n@everyone x")
    assert sent["allowed_mentions"] == {"parse": []}


def test_discord_message_without_a_title_is_its_text(receiver: Receiver) -> None:
    assert webhook.post(receiver.url, webhook.message("discord", "hello @everyone")) == webhook.Outcome()
    assert json.loads(receiver.got[0].body) == {"content": "hello @everyone", "allowed_mentions": {"parse": []}}


def test_ntfy_title_fits_into_a_header(receiver: Receiver) -> None:
    assert deliver(receiver.url, webhook.message("ntfy", "why", "coin: ü\u2028\r\nX: y\x00", "floppy_disk")) == ("", [])
    (request,) = receiver.got
    assert request.headers["title"] == "coin: ????X: y?"
    assert (request.headers["priority"], request.headers["tags"], request.body) == ("high", "floppy_disk", b"why")
    assert "x" not in request.headers


def test_ntfy_message_stays_a_message_and_ends_with_a_whole_character(receiver: Receiver) -> None:
    assert deliver(receiver.url, webhook.message("ntfy", "x" + "ü" * 3000)) == ("", [])
    (request,) = receiver.got
    assert request.body.decode("utf-8") == "x" + "ü" * 2047
    assert "title" not in request.headers


@pytest.mark.parametrize("style", ["discord", "ntfy"])
def test_bytes_that_are_not_text_become_question_marks(receiver: Receiver, style: str) -> None:
    assert deliver(receiver.url, webhook.message(style, "file \udce9", "t\udce9")) == ("", [])
    (request,) = receiver.got
    if style == "discord":
        assert json.loads(request.body)["content"] == "**t?**\nfile ?"
    else:
        assert (request.headers["title"], request.body) == ("t?", b"file ?")


def test_rate_limit_is_obeyed_to_the_millisecond(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1"}, DISCORD_429 % "0.731"), (429, {"Retry-After": "2"}, "no JSON")]
    assert deliver(receiver.url) == ("", [0.731, 2.0])
    assert len(receiver.got) == 3


def test_rate_limit_is_returned_by_a_single_post(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "7"}, "")]
    assert webhook.post(receiver.url, DISCORD) == webhook.Outcome("rate limited for 7 s (HTTP 429)", True, 7.0)
    assert len(receiver.got) == 1


def test_long_rate_limit_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1337"}, DISCORD_429 % "1336.57")]
    assert deliver(receiver.url) == ("rate limited for 1336.57 s (HTTP 429)", [])
    receiver.answers = [(429, {}, DISCORD_429 % "40")] * 2
    assert deliver(receiver.url) == ("rate limited for 40 s (HTTP 429)", [40.0])


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("soon", "", 5.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", 5.0),
        ("-1", "", 5.0),
        ("nan", "", 5.0),
        ("0", "", 0.5),
        ("0.001", "", 0.5),
        ("1e12", "", 3600.0),
        ("inf", "", 3600.0),
        ("9" * 400, "", 3600.0),
        ("7", DISCORD_429 % "-1", 7.0),
        ("7", DISCORD_429 % "NaN", 7.0),
        ("7", DISCORD_429 % '"soon"', 7.0),
        ("7", DISCORD_429 % "null", 7.0),
        ("7", DISCORD_429 % "[3]", 7.0),
        ("7", DISCORD_429 % "1e400", 3600.0),
        ("7", DISCORD_429 % ("9" * 400), 7.0),
        ("7", DISCORD_429 % ("9" * 5000), 7.0),
        ("7", "[" * 60000, 7.0),
        ("7", "[7]", 7.0),
        ("7", '{"retry_after": 3, "padding": "' + "x" * 70000 + '"}', 7.0),
    ],
)
def test_hostile_rate_limit_is_bounded(receiver: Receiver, header: str, body: str, seconds: float) -> None:
    receiver.answers = [(429, {"Retry-After": header}, body)]
    outcome = webhook.post(receiver.url, DISCORD)
    assert (outcome.delivered, outcome.again, outcome.retry_after) == (False, True, seconds)


def test_rate_limit_without_a_time_is_five_seconds(receiver: Receiver) -> None:
    receiver.answers = [(429, {}, "")]
    assert webhook.post(receiver.url, DISCORD).retry_after == 5.0


def test_passing_fault_is_tried_again(receiver: Receiver) -> None:
    receiver.answers = [(502, {}, ""), (503, {}, "")]
    assert deliver(receiver.url) == ("", [2.0, 2.0])
    receiver.got.clear()
    receiver.answers = [(500, {}, "")] * 4
    assert deliver(receiver.url) == ("HTTP 500", [2.0, 2.0])
    assert len(receiver.got) == 3


@pytest.mark.parametrize(
    ("status", "body"), [(404, '{"message": "Unknown Webhook", "code": 10015}'), (400, ""), (401, "")]
)
def test_refusal_is_not_tried_again(receiver: Receiver, status: int, body: str) -> None:
    receiver.answers = [(status, {}, body)]
    assert deliver(receiver.url) == (f"HTTP {status}", [])
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_and_its_target_is_not_contacted(receiver: Receiver, status: int) -> None:
    with Receiver() as stranger:
        receiver.answers = [(status, {"Location": stranger.url}, "")]
        assert deliver(receiver.url) == (f"HTTP {status}", [])
        assert len(receiver.got) == 1
        assert stranger.got == []


def test_receiver_that_cannot_be_reached_is_tried_again() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/{Receiver.SECRET}"
        assert deliver(url) == ("Connection refused", [2.0, 2.0])


@pytest.mark.parametrize("url", ["discord", "", f"file:///{Receiver.SECRET}", f"http://[::1/{Receiver.SECRET}"])
def test_text_that_is_not_a_url_is_not_tried_again(url: str) -> None:
    assert deliver(url) == ("not an http or https URL", [])


def test_accepted_message_is_delivered_also_when_the_rest_of_the_answer_is_missing(receiver: Receiver) -> None:
    receiver.answers = [(200, {"Content-Length": "900"}, "")]
    assert deliver(receiver.url) == ("", [])
