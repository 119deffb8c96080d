# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fault reaches Alertmanager, from the watch through the exporter, Prometheus and its rules."""

import json


def alerts(host):
    said = host.check_output("curl -sSf --noproxy '*' http://127.0.0.1:9093/api/v2/alerts")
    return {
        (row["labels"]["alertname"], row["labels"].get("code"), row["labels"].get("where")): row
        for row in json.loads(said)
    }


def test_broken_mount_reaches_alertmanager_with_its_command(host, eventually):
    row = eventually(lambda: alerts(host).get(("WatchFinding", "mount_broken", "shop/web:/data")), 120.0)
    assert row["labels"]["severity"] == "critical"
    assert row["receivers"] == [{"name": "owner"}]
    assert "onebox-watch --config /etc/onebox/watch/demo.json check" in row["annotations"]["description"]


def test_failed_unit_reaches_alertmanager(host, eventually):
    eventually(lambda: ("WatchFinding", "unit_failed", "onebox-broken.service") in alerts(host), 120.0)
