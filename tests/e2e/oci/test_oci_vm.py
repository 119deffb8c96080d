"""Launch, deployment, verification, backup, changes and termination of oci-vm.

Each test continues with the host of the previous one.
"""

from __future__ import annotations

import json
import time

import pytest
from oci_site import Site, changed_tasks

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

# Oracle's answers until the capture: three times no capacity, too many requests, and a launch whose answer is lost.
SCRIPT = ["cap", "cap-console-text", "cap", "429", "reset-after-create"]
SERVICES = ["bot", "collector", "dashboard", "db", "grafana", "n8n", "prometheus", "redis"]


def words(out: str) -> str:
    """The output without the line breaks of a terminal."""
    return " ".join(out.split())


def all_healthy(site: Site) -> None:
    listed = site.ssh("sudo docker ps --filter label=com.docker.compose.project=coinpilot --format '{{json .}}'")
    rows = [json.loads(line) for line in listed.splitlines()]
    assert sorted(row["Names"].split("-")[1] for row in rows) == SERVICES
    assert all("(healthy)" in row["Status"] for row in rows), listed


def test_run_without_capacity_ends_with_0_and_the_next_request(site: Site) -> None:
    site.server.world.script[:] = SCRIPT[:1]
    code, out = site.play("site.yml", "-e", "oci_instance_mode=tick", "-e", "oci_instance_capacity_interval=2")
    assert code == 0
    said = "coinpilot-ins does not exist yet: not captured after 1 attempt: 500 InternalError Out of host capacity."
    assert said in words(out)
    assert "Next request at 20" in out
    assert "TASK [Report]" not in out
    assert site.machines.alive() == []


def test_first_capture_deploys_a_healthy_stack(site: Site) -> None:
    site.server.world.script[:] = SCRIPT[1:]
    code, out = site.play("site.yml")
    assert code == 0
    assert site.server.posts() == len(SCRIPT)
    assert len(site.server.world.instances) == 1
    assert len(site.machines.alive()) == 1
    for said in ("out of capacity; ", "too many requests; next request at ", "outcome unknown", "the instance exists"):
        assert said in out
    assert site.state()["attempts"] == len(SCRIPT)
    # The user data of the launch request was applied first.
    assert "Unattended-Upgrade" in site.ssh("cat /etc/apt/apt.conf.d/52onebox-upgrades")
    all_healthy(site)
    assert "onebox.stack.compose_stack : Check, deploy and verify the stack" in changed_tasks(out)


def test_discord_got_few_messages_and_its_url_stayed_secret(site: Site) -> None:
    begins, unknown, captured = site.discord.texts()
    assert begins.endswith("the launch begins")
    assert "the instance exists: ocid1.instance." in unknown
    assert "captured after " in captured
    assert site.discord.SECRET not in site.printed
    assert site.discord.SECRET not in site.state_file.read_text()


def test_bot_works_and_only_ssh_is_reachable(site: Site) -> None:
    """Through a user's tunnel, Prometheus has the bot's metrics. From outside only the port of SSH answers."""
    page = "http://127.0.0.1:9090/api/v1/query?query=coinpilot_active_positions"
    query = f"python3 -c \"import urllib.request as r; print(r.urlopen('{page}').read().decode())\""
    deadline = time.monotonic() + 120
    while not json.loads(site.ssh(query))["data"]["result"]:
        assert time.monotonic() < deadline, "Prometheus has no metrics of the bot"
        time.sleep(1)
    listening = site.ssh("sudo ss -Hltn").splitlines()
    outward = {line.split()[3] for line in listening if not line.split()[3].startswith(("127.", "[::1]"))}
    assert {address.rpartition(":")[2] for address in outward} == {"22"}


def test_every_mount_is_proven(site: Site) -> None:
    (site.folder / "verify").mkdir()
    code, unused = site.play("playbooks/verify.yml", "-e", f"verify_json={site.folder}/verify")
    assert code == 0
    result = json.loads((site.folder / "verify" / "oci-vm.json").read_text())
    mounts = [mount for container in result["containers"] for mount in container["mounts"]]
    assert result["ok"]
    assert result["summary"]["checked"] == result["summary"]["ok"] == len(mounts) >= 7
    sources = {mount["source"] for mount in mounts}
    assert {f"/srv/coinpilot/{name}" for name in ("postgres", "redis", "n8n", "prometheus", "grafana")} <= sources


def test_first_backup_is_created_and_rehearsed(site: Site) -> None:
    code, unused = site.play("playbooks/backup.yml")
    assert code == 0
    code, out = site.play("playbooks/rehearse.yml")
    assert code == 0
    for source in ("db", "redis", "n8n", "grafana"):
        assert source in out


def test_second_run_changes_nothing(site: Site) -> None:
    code, out = site.play("site.yml")
    assert (code, changed_tasks(out)) == (0, [])
    assert site.server.posts() == len(SCRIPT)


def test_changed_address_is_recorded_and_its_key_is_known(site: Site) -> None:
    identity = site.state()["instance"]["id"]
    address = site.machines.move(identity)
    site.server.world.move(identity, address)
    code, out = site.play("playbooks/launch.yml")
    assert code == 0
    assert address in site.captured.read_text()
    assert site.ssh("hostname").strip() == "coinpilot-ins"


def test_another_host_key_is_refused_at_once(site: Site) -> None:
    identity = site.state()["instance"]["id"]
    site.machines.inside(identity, "rm /etc/ssh/ssh_host_* && ssh-keygen -A && systemctl restart ssh")
    began = time.monotonic()
    code, out = site.play("playbooks/launch.yml")
    assert code == 2
    assert "shows another SSH host key than before" in words(out)
    assert time.monotonic() - began < 500  # it would have waited 600 s for a login
    # The command in the message works.
    assert f"ssh-keygen -R {identity} -f {site.known_hosts}" in words(out)
    site.forget_host_key(identity)
    code, out = site.play("playbooks/launch.yml")
    assert code == 0


def test_foreign_termination_is_reported_and_replaced_only_with_replace(site: Site) -> None:
    site.server.world.terminate(site.state()["instance"]["id"])
    assert site.machines.alive() == []
    code, out = site.play("site.yml")
    assert code == 2
    assert "was running and has been terminated" in words(out)
    assert site.server.posts() == len(SCRIPT)
    # Everything again on another host, with one request.
    code, out = site.play("site.yml", "-e", '{"oci_instance_replace": true}')
    assert code == 0
    assert site.server.posts() == len(SCRIPT) + 1
    assert len(site.machines.alive()) == 1
    all_healthy(site)


def test_running_instance_is_terminated_only_with_its_ocid(site: Site) -> None:
    identity = site.state()["instance"]["id"]
    absent = ["-e", "oci_instance_state=absent"]
    for confirm in ([], ["-e", "oci_instance_confirm=coinpilot-ins"]):
        code, out = site.play("playbooks/launch.yml", *absent, *confirm)
        assert code == 2
        assert f"set confirm: {identity} (with the role: oci_instance_confirm: {identity})" in words(out)
        assert len(site.machines.alive()) == 1
    code, out = site.play("playbooks/launch.yml", *absent, "-e", f"oci_instance_confirm={identity}")
    assert code == 0
    assert site.machines.alive() == []
    assert not any(site.server.networks.rows.values())
    assert site.key.exists()
    assert not site.captured.exists()
