"""Never two instances, never an unknown one: a kill at every single step, and random histories.

``make bench`` runs 10,000 histories (benchmarks/oci_never_two.py).
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oci_histories import WORDS, play, play_with_kill

SCRIPTS = [
    ["ok"],
    ["cap", "ok"],
    ["cap", "cap", "429", "ok"],
    ["reset-after-create"],
    ["reset-after-create:200"],
    ["reset-before-create", "ok"],
    ["slow:60"],
    ["500-created:3600"],
    ["limit-created:400"],
    ["limit", "cap", "ok"],
    ["502-html", "429", "reset-after-create"],
    ["wr-capacity", "ok"],
    ["wr-capacity", "reset-after-create"],
    ["stuck-provisioning", "ok"],
    ["404-shape", "ok"],
]


@pytest.mark.parametrize("lag", [0, 90])
@pytest.mark.parametrize("script", SCRIPTS, ids=" ".join)
def test_kill_at_every_step_never_causes_a_second_instance(script: list[str], lag: float) -> None:
    domains = 2
    unharmed, steps = play_with_kill(script, 0, domains, lag)
    assert unharmed.captured
    assert unharmed.doubles == 0
    for at in range(1, steps + 1):
        verdict, unused = play_with_kill(script, at, domains, lag)
        assert verdict.kills == 1, at
        assert (verdict.captured, verdict.doubles, verdict.lost) == (True, 0, False), f"killed at step {at}"


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([word for word, unused in WORDS if word not in ("401", "404-auth", "wr-other")]), max_size=8
    ),
    st.integers(1, 120),
    st.integers(1, 3),
    st.sampled_from([0, 30, 140, 1000]),
)
def test_kill_in_any_script_never_causes_a_second_instance(
    script: list[str], at: int, domains: int, lag: float
) -> None:
    script = [word for word in script if word != "404-shape"]
    if script.count("400-related") > 0:
        script = [word for word in script if word != "400-related"]
    verdict, unused = play_with_kill(script, at, domains, lag)
    assert (verdict.captured, verdict.doubles, verdict.lost) == (True, 0, False)


def test_random_histories_never_have_two_instances() -> None:
    captured = 0
    for seed in range(100_000, 100_300):
        verdict = play(seed)
        assert verdict.doubles == 0, f"seed {seed}"
        assert not verdict.lost, f"seed {seed}"
        captured += verdict.captured
    assert captured > 290
