# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus, node exporter and Alertmanager listen on loopback only, and nothing alerts."""

import json

import pytest


def query(host, path):
    return json.loads(host.check_output(f"curl -sSf --noproxy '*' 'http://127.0.0.1:9090/api/v1/{path}'"))["data"]


@pytest.mark.parametrize("name", ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"])
def test_service_runs_and_is_enabled(host, name):
    assert host.service(name).is_running
    assert host.service(name).is_enabled


def test_every_port_is_on_loopback_only(host):
    listening = {line.split()[3] for line in host.check_output("ss -H -ltn").splitlines()}
    ours = {address for address in listening if address.rpartition(":")[2] in ("9090", "9093", "9094", "9100")}
    assert ours == {"127.0.0.1:9090", "127.0.0.1:9093", "127.0.0.1:9100"}


def test_every_target_answers(host, eventually):
    eventually(lambda: {row["health"] for row in query(host, "targets")["activeTargets"]} == {"up"})
    assert len(query(host, "targets")["activeTargets"]) == 3


def test_metrics_of_the_watch_arrive(host, eventually):
    (row,) = eventually(lambda: query(host, "query?query=onebox_watch_ok")["result"])
    assert (row["metric"]["watch"], row["value"][1]) == ("demo", "1")


def test_exporter_reads_the_metrics_of_the_watch_and_of_the_host(host):
    metrics = host.check_output("curl -sSf --noproxy '*' http://127.0.0.1:9100/metrics")
    assert 'onebox_watch_ok{watch="demo"} 1' in metrics
    assert "node_textfile_scrape_error 0" in metrics
    assert "node_filesystem_avail_bytes{" in metrics


def test_alertmanager_holds_the_watchdog_and_joins_no_cluster(host, eventually):
    def alerts():
        said = host.check_output("curl -sSf --noproxy '*' http://127.0.0.1:9093/api/v2/alerts")
        return [(row["labels"]["alertname"], row["receivers"]) for row in json.loads(said)]

    assert eventually(alerts) == [("Watchdog", [{"name": "ping"}])]
    status = json.loads(host.check_output("curl -sSf --noproxy '*' http://127.0.0.1:9093/api/v2/status"))
    assert status["cluster"]["status"] == "disabled"


def test_every_rule_is_evaluated_without_an_error(host, eventually):
    def rules():
        return [rule for group in query(host, "rules")["groups"] for rule in group["rules"]]

    eventually(lambda: {rule["health"] for rule in rules()} == {"ok"})
    assert len(rules()) >= 20


def test_nothing_alerts_but_the_watchdog_which_is_pinged(host, eventually):
    # A host of the tests does not synchronise the clock: that alert needs an hour to fire.
    eventually(lambda: "/alive" in host.file("/var/lib/pings").content_string.split(), 120.0)
    firing = [alert for alert in query(host, "alerts")["alerts"] if alert["state"] == "firing"]
    assert [alert["labels"]["alertname"] for alert in firing] == ["Watchdog"]


def test_no_metric_of_a_rule_is_absent(host, eventually):
    """An absent metric is pending before it alerts."""

    def absent():
        names = ("HostMetricsAbsent", "WatchMetricsAbsent")
        return [row["labels"] for row in query(host, "alerts")["alerts"] if row["labels"]["alertname"] in names]

    eventually(lambda: not absent())


def test_urls_are_not_readable_for_others(host):
    assert host.file("/etc/onebox/monitoring/alertmanager.yml").mode == 0o640
    assert "8099" not in host.check_output("ps axww")
