# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""coinpilot as site.yml leaves it with the inventory's values, checked from inside and outside its host."""

import json
import pathlib
import urllib.parse

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
STACK = ROOT / "stacks" / "coinpilot"
SERVICES = ["bot", "collector", "dashboard", "db", "grafana", "n8n", "prometheus", "redis"]
PUBLISHED = {"dashboard": 8501, "n8n": 5678, "prometheus": 9090, "grafana": 3000}
UNPUBLISHED = {"bot": 8000, "collector": 8001, "db": 5432, "redis": 6379}
# Service, directory of the host, directory in the container, and user of the service.
MOUNTS = [
    ("db", "/srv/coinpilot/postgres", "/var/lib/postgresql/data", 999),
    ("redis", "/srv/coinpilot/redis", "/data", 999),
    ("n8n", "/srv/coinpilot/n8n", "/home/node/.n8n", 1000),
    ("prometheus", "/srv/coinpilot/prometheus", "/prometheus", 65534),
    ("prometheus", "/opt/onebox/coinpilot/monitoring/prometheus", "/etc/prometheus", 65534),
    ("grafana", "/srv/coinpilot/grafana", "/var/lib/grafana", 472),
    ("grafana", "/opt/onebox/coinpilot/monitoring/grafana/dashboards", "/etc/grafana/dashboards", 472),
]
ADMIN = {"user": "admin", "password": "GRAFANA_ADMIN_PASSWORD"}
QUERY = "http://127.0.0.1:9090/api/v1/query?query="


def test_every_service_runs_and_is_healthy(containers):
    found = containers("coinpilot")
    assert sorted(found) == SERVICES
    for service, entry in found.items():
        assert entry["State"]["Running"], service
        assert entry["State"]["Health"]["Status"] == "healthy", service
        assert entry["RestartCount"] == 0, service


def test_nothing_is_reached_from_outside(host, reached, inside, eventually):
    for service, port in {**PUBLISHED, **UNPUBLISHED}.items():
        assert not reached(port), f"{service} answers on port {port}"
    for service, port in PUBLISHED.items():
        assert inside(f"http://127.0.0.1:{port}/")[0] in (200, 302, 401, 404), service
    # Access from outside works: a port that listens everywhere is reached.
    host.check_output("systemd-run -q --unit obx-open python3 -m http.server 18080")
    try:
        eventually(lambda: reached(18080), 30)
    finally:
        host.check_output("systemctl stop obx-open")


def test_published_ports_listen_on_loopback_alone(host, containers):
    listening = host.check_output("ss -Hltn").splitlines()
    for service, port in PUBLISHED.items():
        assert [line.split()[3] for line in listening if line.split()[3].endswith(f":{port}")] == [
            f"127.0.0.1:{port}"
        ], service
    for service in UNPUBLISHED:
        ports = containers("coinpilot")[service]["NetworkSettings"]["Ports"]
        assert not any(ports.values()), service


@pytest.mark.parametrize(("service", "source", "destination", "user"), MOUNTS)
def test_every_mount_is_the_directory_of_the_host(host, containers, service, source, destination, user):
    pid = str(containers("coinpilot")[service]["State"]["Pid"])
    inode = host.check_output("stat -c %%d:%%i %s", source)
    assert host.check_output("stat -c %%d:%%i /proc/%s/root%s", pid, destination) == inode
    assert host.check_output("stat -c %%u /proc/%s", pid) == str(user)


def test_no_data_in_the_deploy_directory(host):
    there = host.check_output("ls -A /opt/onebox/coinpilot").split()
    assert sorted(there) == [".env", ".env.example", "app", "compose.yml", "migrations", "monitoring"]
    for name in ("postgres/PG_VERSION", "redis/appendonlydir", "n8n/database.sqlite", "grafana/grafana.db"):
        assert host.file(f"/srv/coinpilot/{name}").exists, name


def test_prometheus_really_scrapes_the_bot(inside, sql, eventually):
    status, answer = inside("http://127.0.0.1:9090/api/v1/targets?state=active")
    assert status == 200
    (target,) = [row for row in answer["data"]["activeTargets"] if row["labels"]["job"] == "coinpilot-core"]
    assert (target["scrapeUrl"], target["health"], target["lastError"]) == ("http://bot:8000/metrics", "up", "")

    def same() -> bool:
        """Prometheus has the figures of the database, unless the bot trades at this moment."""
        result = inside(QUERY + "coinpilot_active_positions")[1]["data"]["result"]
        active = sql("SELECT count(*) FROM positions WHERE closed_at IS NULL")
        return bool(result) and result[0]["value"][1] == active

    eventually(same)
    assert inside(QUERY + "coinpilot_total_pnl")[1]["data"]["result"]


def test_data_flows_through_both_stores(host, sql, inside, eventually):
    before = int(sql("SELECT count(*) FROM prices"))
    eventually(lambda: int(sql("SELECT count(*) FROM prices")) > before)
    keys = host.check_output("docker exec coinpilot-redis-1 redis-cli --scan --pattern 'bot:status:*'").split()
    assert sorted(keys) == ["bot:status:KRW-BTC", "bot:status:KRW-ETH"]
    status, shown = inside("http://127.0.0.1:8501/api/status")
    assert status == 200
    assert shown["missing"] == []
    assert float(shown["symbols"]["KRW-BTC"]["price"]) > 0


def test_n8n_receives_sales_only_with_the_secret(inside, sql, eventually):
    url = "http://127.0.0.1:5678/webhook/coinpilot"
    assert inside(url, data='{"event": "forged"}', secret="guessed")[0] == 403
    eventually(lambda: int(sql("SELECT count(*) FROM positions WHERE closed_at IS NOT NULL")) > 0, 120)
    calls = eventually(lambda: inside("http://127.0.0.1:5678/test/calls")[1])
    assert {call["event"] for call in calls} == {"sold"}
    assert inside(QUERY + "coinpilot_webhook_failures_total")[1]["data"]["result"][0]["value"][1] == "0"


def test_dashboards_of_grafana_show_the_bot(inside):
    assert inside("http://127.0.0.1:3000/api/search")[0] == 401
    dashboard = json.loads((STACK / "monitoring/grafana/dashboards/coinpilot.json").read_text())
    status, answer = inside(f"http://127.0.0.1:3000/api/dashboards/uid/{dashboard['uid']}", **ADMIN)
    assert status == 200
    asked = [target["expr"] for panel in answer["dashboard"]["panels"] for target in panel["targets"]]
    assert {"coinpilot_active_positions", "coinpilot_total_pnl"} <= set(asked)
    proxy = "http://127.0.0.1:3000/api/datasources/proxy/uid/coinpilot-prometheus/api/v1/query?query="
    for expression in asked:
        status, answer = inside(proxy + urllib.parse.quote(expression), **ADMIN)
        assert status == 200, (expression, answer)
        assert answer["data"]["result"], f"{expression} has no value"


def test_environment_file_is_roots_alone(host):
    env = host.file("/opt/onebox/coinpilot/.env")
    assert (env.user, env.mode) == ("root", 0o600)
    wanted = yaml.safe_load((ROOT / "inventories/host_vars/oci-vm.yml").read_text())
    lines = dict(line.partition("=")[::2] for line in env.content_string.splitlines() if "=" in line)
    assert set(wanted["compose_stack_required_env"]) <= set(lines)
    assert lines["REDIS_HOST"].strip("'\"") == "redis"


def test_secrets_are_in_no_process_list_and_no_log(host):
    # In brackets, so that grep does not find itself.
    find = "grep -lsr 'not-to-be-see[n]' {} || true"
    assert host.check_output(find.format("/proc/[0-9]*/cmdline")) == ""
    assert host.check_output(find.format("/var/log /etc/systemd/system /etc/onebox")) == ""
    assert "not-to-be-seen" not in host.check_output("journalctl -q --no-pager")
    for service in SERVICES:
        assert "not-to-be-seen" not in host.check_output("docker logs coinpilot-%s-1 2>&1", service), service
    for path in host.check_output(find.format("/var/lib/onebox")).splitlines():
        assert host.file(path).mode & 0o077 == 0, path
    assert "not-to-be-seen" not in host.file("/var/lib/onebox/coinpilot/report.json").content_string


def test_backups_are_scheduled(host):
    timers = host.check_output("systemctl list-timers --all --no-legend")
    for job in ("backup", "rehearse", "check"):
        assert f"onebox-backup-coinpilot-{job}.timer" in timers
    declared = json.loads(host.file("/etc/onebox/backup/coinpilot.json").content_string)
    assert [row["name"] for row in declared["sources"]] == ["db", "redis", "n8n", "grafana", "stack"]
    assert (declared["retention"]["daily"], declared["retention"]["weekly"]) == (7, 4)


def test_comes_back_after_a_reboot(host):
    assert "onebox-coinpilot" in host.check_output("systemctl list-unit-files --state=enabled --no-legend")
    assert host.check_output("systemctl --failed --no-legend") == ""


def test_verify_says_so(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
