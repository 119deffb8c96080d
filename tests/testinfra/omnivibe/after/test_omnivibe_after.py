# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""omnivibe as site.yml leaves it, with the code in the image: all processes run the deployed code."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from omnivibe_api import ask, releases  # noqa: E402


def test_every_service_is_healthy(containers):
    found = containers("omnivibe")
    assert sorted(found) == ["api", "beat", "redis", "worker"]
    for service, entry in found.items():
        assert entry["State"]["Health"]["Status"] == "healthy", service


def test_all_of_them_run_the_code_that_is_deployed(host):
    text = host.file("/opt/onebox/omnivibe/backend/app/__init__.py").content_string
    release = re.search(r'^RELEASE = "(.*)"$', text, re.M)[1]
    assert releases(host) == {"api": release, "worker": release, "beat": release}


def test_one_image_for_the_three(containers):
    found = containers("omnivibe")
    assert len({found[service]["Image"] for service in ("api", "worker", "beat")}) == 1


def test_job_goes_through_redis_to_the_worker_and_its_output_is_on_the_host(host):
    job = ask(host, "/jobs", "kept across the mount")["id"]
    place = f"/root/omnivibe/outputs/{job}.txt"
    deadline = time.monotonic() + 15
    while not host.file(place).exists:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert host.file(place).content_string.startswith("KEPT ACROSS THE MOUNT")
    assert ask(host, f"/jobs/{job}")["result"].startswith("KEPT ACROSS THE MOUNT")


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
