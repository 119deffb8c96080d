"""Waiting times."""

from __future__ import annotations

import random

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.oci.errors import OciError
from ansible_collections.onebox.stack.plugins.module_utils.oci.launch.backoff import RETRY_AFTER_MAX, Policy
from hypothesis import given
from hypothesis import strategies as st

DEFAULT = Policy()


def test_default_waits_match_the_documentation() -> None:
    assert (DEFAULT.capacity_interval, DEFAULT.throttle_base, DEFAULT.throttle_max) == (300, 900, 3600)
    assert (DEFAULT.jitter_max, DEFAULT.interval_floor) == (120, 300)


@given(st.integers(0, 10**6), st.integers(0, 2**32))
def test_throttle_doubles_up_to_the_cap(level: int, seed: int) -> None:
    base = min(3600, 900 * 2 ** min(level, 10))
    assert base <= DEFAULT.throttle_wait(level, None, random.Random(seed).random) <= base + 120


@given(st.floats(0, 10**7), st.integers(0, 2**32))
def test_retry_after_is_honoured_but_not_beyond_a_day(wanted: float, seed: int) -> None:
    wait = DEFAULT.throttle_wait(0, wanted, random.Random(seed).random)
    assert max(900, min(wanted, RETRY_AFTER_MAX)) <= wait <= max(900, RETRY_AFTER_MAX) + 120


@given(st.integers(0, 2**32), st.floats(0, 900), st.floats(0, 120), st.integers(1, 9))
def test_rounds_are_never_closer_than_the_floor(seed: int, interval: float, jitter: float, requests: int) -> None:
    policy, chance = Policy(capacity_interval=interval, jitter_max=jitter), random.Random(seed).random
    waits = [policy.capacity_wait(requests, chance) for _unused in range(requests)]
    assert sum(waits) >= 300 * (1 - 1e-9)
    assert min(waits) >= 100
    assert policy.throttle_wait(0, 1, random.Random(seed).random) >= 300


@given(st.floats(300, 7 * 86400), st.floats(0, 900), st.integers(0, 2**32))
def test_random_extension_is_bounded_by_the_wait_and_by_the_option(wait: float, most: float, seed: int) -> None:
    policy = Policy(capacity_interval=wait, jitter_max=most)
    assert 0 <= policy.capacity_wait(1, random.Random(seed).random) - wait <= min(most, wait / 10) + 1e-6


def test_network_waits_grow_to_the_normal_interval() -> None:
    waits = [DEFAULT.network_wait(failures) for failures in range(1, 12)]
    assert waits == sorted(waits)
    assert waits[0] == 20
    assert waits[-1] == 300


def test_same_request_is_not_repeated_below_the_floor() -> None:
    assert [DEFAULT.replay_interval(count) for count in range(2)] == [300, 300]
    assert [Policy(capacity_interval=900).replay_interval(count) for count in range(4)] == [300, 600, 900, 900]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("interval_floor", 299.0),
        ("interval_floor", 0.0),
        ("throttle_max", 100.0),
        ("jitter_max", -1.0),
        ("capacity_interval", 10.0**9),
    ],
)
def test_option_out_of_bounds_is_refused(option: str, value: float) -> None:
    with pytest.raises(OciError, match=option):
        Policy(**{option: value})


def test_private_endpoint_allows_shorter_intervals() -> None:
    policy = Policy(interval_floor=0, capacity_interval=1, jitter_max=0, private=True)
    assert policy.capacity_wait(1, random.Random(1).random) == 1
