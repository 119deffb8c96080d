# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the targets of a Prometheus, and their timeout. A real one runs in the integration tests."""

import dataclasses
import json

from ansible_collections.onebox.stack.plugins.module_utils.compose.health import prometheus
from ansible_collections.onebox.stack.plugins.module_utils.core import http
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

NOON = "2026-11-21T12:00:00.5Z"


class Time:
    """Time that passes only when it is waited for."""

    def __init__(self):
        self.now = 0.0

    def sleep(self, seconds):
        self.now += seconds

    @property
    def world(self):
        return dataclasses.replace(World.real(), monotonic=lambda: self.now, epoch=lambda: self.now, sleep=self.sleep)


def target(job="app", health="up", error="", scraped_at=NOON):
    labels = {"job": job, "instance": "web:80"}
    return {"labels": labels, "health": health, "lastError": error, "lastScrape": scraped_at}


def check(*answers, jobs=(), since=0.0, timeout=10.0):
    """The rows for a Prometheus that gives these answers one after the other, the last one for ever."""
    left = list(answers)

    def get(url, seconds):
        assert url == "http://p:9090/api/v1/targets?state=active"
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, http.Answer):
            return answer
        return http.Answer(200, body=json.dumps({"data": {"activeTargets": answer}}).encode())

    return prometheus.check([{"url": "http://p:9090/", "jobs": jobs}], timeout, since, Time().world, get)


def test_up_is_fine():
    (row,) = check([target()])
    assert (row["job"], row["instance"], row["ok"], row["message"]) == ("app", "web:80", True, "")


def test_down_says_why():
    (row,) = check([target(health="down", error="connection refused")])
    assert (row["ok"], row["message"]) == (False, "connection refused")


def test_target_is_awaited():
    assert [row["ok"] for row in check([target(health="unknown")], [target(health="down")], [target()])] == [True]


def test_scrape_of_the_previous_containers_does_not_count():
    since = epoch_of(NOON) + 1
    assert check([target()], since=since)[0]["message"] == "was not scraped since the deploy"
    assert check([target()], [target(scraped_at="2026-11-21T12:00:02Z")], since=since)[0]["ok"] is True


def test_only_requested_jobs_are_checked():
    rows = check([target(), target("other", "down", "gone")], jobs=["app"])
    assert [row["job"] for row in rows] == ["app"]


def test_job_without_targets_fails():
    rows = check([target()], jobs=["app", "worker"])
    assert [(row["job"], row["ok"], row["message"]) for row in rows] == [
        ("app", True, ""),
        ("worker", False, "has no target"),
    ]


def test_nothing_watched_at_all():
    assert check([])[0]["message"] == "has no targets"


def test_url_without_a_prometheus_fails():
    assert check(http.Answer(200, body=b"<html>"))[0]["message"] == "is not the answer of a Prometheus"
    assert check(http.Answer(200, body=b"\xff"))[0]["message"] == "is not the answer of a Prometheus"
    assert check(http.Answer(503))[0]["message"] == "answered 503"
    assert check(http.Answer(error="Connection refused"))[0]["message"] == "Connection refused"


def test_truncated_body_is_reported():
    (row,) = check(http.Answer(200, error="the body is longer than 9 bytes"))
    assert (row["ok"], row["message"]) == (False, "the body is longer than 9 bytes")


def test_password_in_a_url_is_not_in_a_result():
    def get(url, seconds):
        assert url == "http://ann:s3cret@p:9090/api/v1/targets?state=active"
        return http.Answer(200, body=json.dumps({"data": {"activeTargets": [target()]}}).encode())

    for answer in (get, lambda url, seconds: http.Answer(401)):
        (row,) = prometheus.check([{"url": "http://ann:s3cret@p:9090/"}], 1.0, 0.0, Time().world, answer)
        assert row["url"] == "http://***@p:9090"
        assert "s3cret" not in str(row)
