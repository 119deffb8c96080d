# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deploy after which Prometheus does not reach the stack is a failed one. Prometheus is a real one, Debian's."""

import json
import subprocess
import urllib.request

import pytest
from compose_lab import Lab, wait_for
from onebox_testbed import packages, ports
from onebox_testbed.base import CACHE


@pytest.fixture
def lab(make_lab) -> Lab:
    """A stack of one service that has metrics on a port of the loopback address."""
    lab = make_lab("docker+2.26")
    lab.port = ports.claim()
    (lab.data / "metrics").write_text("up_and_well 1\n")
    lab.services["web"] = lab.service(
        "exec httpd -f -p 80 -h /www",
        ports=[f"127.0.0.1:{lab.port}:80"],
        volumes=["${DATA}:/www:ro"],
        environment={"LEVEL": "one"},
    )
    return lab


@pytest.fixture
def prometheus(lab: Lab, tmp_path):
    """The URL of a Prometheus that watches the stack every second."""
    place = CACHE / "prometheus-bookworm"
    if not place.is_dir():
        packages.unpack("bookworm", ["prometheus"], place)
    scrape = [{"job_name": "app", "static_configs": [{"targets": [f"127.0.0.1:{lab.port}"]}]}]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scrape}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    port = ports.claim()
    argv = [
        str(place / "usr/bin/prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=tmp_path)

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            assert process.poll() is None, (tmp_path / "prometheus.log").read_text()
            return False

    wait_for(ready, 60)
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_targets_must_be_up(lab: Lab, prometheus: str):
    checks = ({"url": prometheus, "jobs": ["app"]}, {"url": prometheus + "/"})
    first = lab.deploy(prometheus_checks=checks)
    assert [(row["job"], row["health"], row["ok"]) for row in first["targets"]] == [("app", "up", True)] * 2
    assert lab.deploy(prometheus_checks=checks)["changed"] is False

    # It runs, answers and its container is healthy. Only its metrics are gone.
    lab.services["web"]["command"] = ["sh", "-c", "exec httpd -f -p 80 -h /tmp"]
    lab.write()
    result = lab.stack(prometheus_checks=checks[:1], wait_timeout=4.0).converge()
    assert result["failed"] is True
    assert result["rolled_back"] is True
    assert f"job app 127.0.0.1:{lab.port}" in result["rollback_reason"]
    assert "404" in result["rollback_reason"]
    assert result["targets"][0]["ok"] is True


def test_job_without_targets_and_other_server_are_reported(lab: Lab, prometheus: str):
    lab.write()
    checks = (
        {"url": prometheus, "jobs": ["app", "worker"]},
        {"url": f"http://127.0.0.1:{lab.port}"},
        {"url": f"http://127.0.0.1:{ports.claim()}"},
    )
    result = lab.stack(prometheus_checks=checks, wait_timeout=5.0).converge()
    assert "job worker: has no target" in result["msg"]
    assert f"http://127.0.0.1:{lab.port}: answered 404" in result["msg"]
    assert "Connection refused" in result["msg"]
    assert [row["ok"] for row in result["targets"]] == [True, False, False, False]
