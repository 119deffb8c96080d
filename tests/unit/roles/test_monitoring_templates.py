# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the role monitoring writes: loopback only, and a receiver for each kind of webhook."""

from __future__ import annotations

import pathlib
import shlex
import typing as t

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "monitoring"


def templar(**values: t.Any) -> Templar:
    loader = DataLoader()
    variables: dict[str, t.Any] = {"role_path": str(ROLE)}
    for part in ("defaults", "vars"):
        variables |= loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True)
    return Templar(loader=loader, variables={**variables, **values})


def rendered(name: str, **values: t.Any) -> str:
    return str(templar(**values).template(trust_as_template((ROLE / "templates" / name).read_text())))


def arguments(service: str, **values: t.Any) -> list[str]:
    """The command of a service, as systemd reads it."""
    line = rendered("service.conf.j2", item=service, **values).strip().splitlines()[-1]
    return shlex.split(line.removeprefix("ExecStart="))


@pytest.mark.parametrize("service", ["prometheus", "prometheus-alertmanager", "prometheus-node-exporter"])
def test_service_listens_on_loopback_only(service: str) -> None:
    program, *words = arguments(service)
    assert program == f"/usr/bin/{service}"
    listen = [word for word in words if "listen-address" in word]
    assert listen[0].startswith("--web.listen-address=127.0.0.1:")
    assert listen[1:] == (["--cluster.listen-address="] if service == "prometheus-alertmanager" else [])


def test_earlier_command_of_the_package_is_replaced() -> None:
    assert "\nExecStart=\nExecStart=/usr/bin/prometheus " in rendered("service.conf.j2", item="prometheus")


def test_prometheus_queries_its_targets_and_those_of_the_owner() -> None:
    mine = [{"job": "coinpilot-core", "targets": ["127.0.0.1:8000"]}]
    found = yaml.safe_load(rendered("prometheus.yml.j2", monitoring_targets=mine, monitoring_exporter_port=9111))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in found["scrape_configs"]}
    assert targets == {
        "prometheus": ["127.0.0.1:9090"],
        "node": ["127.0.0.1:9111"],
        "alertmanager": ["127.0.0.1:9093"],
        "coinpilot-core": ["127.0.0.1:8000"],
    }
    assert found["rule_files"] == ["rules/*.rules.yml"]


@pytest.mark.parametrize(
    ("style", "key", "name"),
    [
        ("discord", "discord_configs", "webhook_url"),
        ("slack", "slack_configs", "api_url"),
        ("generic", "webhook_configs", "url"),
    ],
)
def test_owner_is_notified_by_the_kind_of_webhook(style: str, key: str, name: str) -> None:
    url = "https://example.com/hook"
    found = yaml.safe_load(rendered("alertmanager.yml.j2", monitoring_webhook_url=url, monitoring_webhook_style=style))
    owner, ping = found["receivers"]
    assert owner == {"name": "owner", key: [{name: url, "send_resolved": True}]}
    assert ping == {"name": "ping"}


def test_watchdog_goes_to_the_ping_and_nothing_else_does() -> None:
    found = yaml.safe_load(rendered("alertmanager.yml.j2", monitoring_ping_url="https://hc.example.com/x"))
    assert found["receivers"][0] == {"name": "owner"}
    assert found["receivers"][1]["webhook_configs"][0]["url"] == "https://hc.example.com/x"
    assert found["route"]["receiver"] == "owner"
    (route,) = found["route"]["routes"]
    assert (route["receiver"], route["matchers"]) == ("ping", ['alertname="Watchdog"'])


@pytest.mark.parametrize(
    ("declared", "rules"),
    [
        ({}, ["host", "watch"]),
        ({"backups_sources": [], "backups_metrics_dir": "/x"}, ["host", "watch", "backups"]),
        ({"backups_sources": []}, ["host", "watch"]),
        ({"verify_textfile": "/x/mounts.prom"}, ["host", "watch", "mounts"]),
    ],
)
def test_rules_are_those_whose_metrics_the_host_writes(declared: dict[str, t.Any], rules: list[str]) -> None:
    made = templar(**declared)
    assert made.template(trust_as_template("{{ monitoring_rules }}")) == rules
    for name in rules:
        path = made.template(trust_as_template(f"{{{{ __monitoring_rule_files['{name}'] }}}}"))
        assert (ROLE / "files" / path).resolve().is_file()
