# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The timer runs the check, and every mount is proven."""

UNIT = "onebox-verify-observer"
METRICS = "/var/lib/node exporter/onebox-mounts.prom"


def test_timer_is_there_for_the_next_boot_too(host):
    assert host.service(f"{UNIT}.timer").is_enabled
    assert host.service(f"{UNIT}.timer").is_running
    assert host.file(f"/usr/local/bin/{UNIT}").mode == 0o755
    host.check_output("systemd-analyze verify /etc/systemd/system/%s.timer /etc/systemd/system/%s.service", UNIT, UNIT)


def test_timer_fires_repeatedly_and_succeeds(checked_by_timer):
    first, second = checked_by_timer("success"), checked_by_timer("success")
    assert second["at"] > first["at"]


def test_metric_says_so(host, checked_by_timer):
    checked_by_timer("success")
    metrics = host.file(METRICS)
    assert metrics.mode == 0o644
    assert 'onebox_mounts_ok{stack="observer"} 1' in metrics.content_string
    assert 'onebox_mounts_checked{stack="observer"} 3' in metrics.content_string
    assert "onebox_mount_verdict" not in metrics.content_string
    assert abs(seconds(metrics.content_string) - int(host.check_output("date +%s"))) < 60


def seconds(text):
    """The time of the last check, by the metric of the alert."""
    (line,) = [one for one in text.splitlines() if one.startswith("onebox_mounts_check_time_seconds{")]
    return int(line.split()[1])
