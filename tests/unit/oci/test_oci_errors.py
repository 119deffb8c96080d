"""The error table against recorded answers, each with its expected verdict."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci import errors
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import Answer, classify
from oci_recorded import REFUSALS
from oci_simulation import answer_of
from oci_world import GATE, Refused

ROOT = pathlib.Path(__file__).resolve().parents[3]

RIGHT = {
    "cap": errors.CAPACITY,
    "cap-console-text": errors.CAPACITY,
    "429": errors.THROTTLE,
    "404-shape": errors.SKIP,
    "404-auth": errors.ABORT,
    "404-volume": errors.ABORT,
    "409-volume": errors.BUSY,
    "409-state": errors.BUSY,
    "409-token": errors.TOKEN_SPENT,
    "limit": errors.VERIFY,
    "quota": errors.ABORT,
    "400-related": errors.SETTLING,
    "400-key": errors.ABORT,
    "400-parse": errors.ABORT,
    "401": errors.ABORT,
    "403-home": errors.ABORT,
    "412-etag": errors.ABORT,
    "500-other": errors.UNKNOWN_OUTCOME,
    "502-html": errors.UNKNOWN_OUTCOME,
    "504-empty": errors.UNKNOWN_OUTCOME,
}


def test_every_recorded_refusal_has_a_verdict_here() -> None:
    assert set(RIGHT) == set(REFUSALS)


@pytest.mark.parametrize("word", sorted(RIGHT))
def test_recorded_launch_answer_has_its_verdict(word: str) -> None:
    verdict, rule = classify(answer_of(Refused(word)), launch=True)
    assert verdict == RIGHT[word]
    assert rule.name != "unknown"


@pytest.mark.parametrize("word", ["500-other", "502-html", "504-empty", "409-state"])
def test_temporary_failure_of_a_read_is_retried(word: str) -> None:
    assert classify(answer_of(Refused(word)), launch=False)[0] == errors.NETWORK


@pytest.mark.parametrize(
    ("answer", "launch", "verdict"),
    [
        (Answer(0, message="name resolution", how=errors.UNSENT), True, errors.NETWORK),
        (Answer(0, message="read timed out", how=errors.LOST), True, errors.UNKNOWN_OUTCOME),
        (Answer(0, message="read timed out", how=errors.LOST), False, errors.NETWORK),
        (Answer(500, "InternalError", "OUT OF HOST CAPACITY"), True, errors.CAPACITY),
        (Answer(400, "LimitExceeded", "Out of host capacity."), True, errors.CAPACITY),
        (Answer(409, "OutOfCapacity", "no room"), True, errors.CAPACITY),
        (Answer(429, "", "<html>slow down</html>"), True, errors.THROTTLE),
        (Answer(503, "", ""), True, errors.UNKNOWN_OUTCOME),
        (Answer(501, "NotImplemented", ""), True, errors.ABORT),
        (Answer(418, "Teapot", "short and stout"), True, errors.ABORT),
        (Answer(302, "", "moved"), True, errors.ABORT),
    ],
)
def test_constructed_answer_has_its_verdict(answer: Answer, launch: bool, verdict: str) -> None:
    assert classify(answer, launch=launch)[0] == verdict


def test_unknown_answer_is_reported_as_unknown() -> None:
    answer = Answer(418, "Teapot", "short and stout", "REQ1")
    verdict, rule = classify(answer, launch=True)
    text = errors.explain(answer, rule, "Launching x")
    assert "418 Teapot short and stout" in text
    assert "This answer is unknown" in text
    assert "REQ1" in text


def test_every_rule_that_stops_has_a_fix() -> None:
    for rule in errors.RULES:
        if errors.ABORT in (rule.launch,) or rule.launch in (errors.SETTLING, errors.BUSY, errors.VERIFY):
            assert rule.fix, rule.name
        assert rule.seen, rule.name


def test_guide_has_every_rule() -> None:
    guide = (ROOT / "docs" / "oci.md").read_text()
    for rule in errors.RULES:
        assert f"| {rule.name} |" in guide


def test_answer_fits_on_one_line() -> None:
    shown = str(answer_of(Refused("502-html")))
    assert "\n" not in shown
    assert shown.startswith("502 <html>")
    assert len(str(Answer(500, "X", "y" * 9000))) < 300


def test_simulated_cloud_knows_only_recorded_answers() -> None:
    assert set(REFUSALS) >= GATE - {"reset-before-create", "unreachable"}
