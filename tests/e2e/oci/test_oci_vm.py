"""From no machine at all to a coinpilot that is healthy, proven and backed up; its later days; and back to nothing.

The tests go on from one another, as the days of one machine do.
"""

from __future__ import annotations

import json
import time

import pytest
from oci_site import Site, changed_tasks

pytest.importorskip("oci.base_client", reason="Oracle's SDK is not installed (requirements-oci.txt)")

# What Oracle answers before a machine is had: none, none, none, too often; and one is made, but the answer is lost.
SCRIPT = ["cap", "cap-console-text", "cap", "429", "reset-after-create"]
SERVICES = ["bot", "collector", "dashboard", "db", "grafana", "n8n", "prometheus", "redis"]


def words(out: str) -> str:
    """What was printed, without the line breaks of a terminal."""
    return " ".join(out.split())


def all_healthy(site: Site) -> None:
    listed = site.ssh("sudo docker ps --filter label=com.docker.compose.project=coinpilot --format '{{json .}}'")
    rows = [json.loads(line) for line in listed.splitlines()]
    assert sorted(row["Names"].split("-")[1] for row in rows) == SERVICES
    assert all("(healthy)" in row["Status"] for row in rows), listed


def test_while_there_is_none_the_run_ends_well_and_says_how_it_stands(site: Site) -> None:
    site.server.world.script[:] = SCRIPT[:1]
    code, out = site.play("site.yml", "-e", "oci_instance_mode=tick", "-e", "oci_instance_capacity_interval=2")
    assert code == 0
    said = "coinpilot-ins does not exist yet: not captured after 1 attempt: 500 InternalError Out of host capacity."
    assert said in words(out)
    assert "Next request at 20" in out
    assert "TASK [Report]" not in out
    assert site.machines.alive() == []


def test_from_nothing_to_a_healthy_stack(site: Site) -> None:
    site.server.world.script[:] = SCRIPT[1:]
    code, out = site.play("site.yml")
    assert code == 0
    assert site.server.posts() == len(SCRIPT)
    assert len(site.server.world.instances) == 1
    assert len(site.machines.alive()) == 1
    for said in ("out of capacity; ", "too many requests; next request at ", "outcome unknown", "the instance exists"):
        assert said in out
    assert site.state()["attempts"] == len(SCRIPT)
    # The launch request's user data was carried out before anything else was done.
    assert "Unattended-Upgrade" in site.ssh("cat /etc/apt/apt.conf.d/52onebox-upgrades")
    all_healthy(site)
    assert "onebox.stack.compose_stack : Check, deploy and verify the stack" in changed_tasks(out)


def test_discord_was_told_in_few_words_and_its_url_stayed_secret(site: Site) -> None:
    begins, doubt, captured = site.discord.texts()
    assert begins.endswith("the launch begins")
    assert "the instance exists: ocid1.instance." in doubt
    assert "captured after " in captured
    assert site.discord.SECRET not in site.printed
    assert site.discord.SECRET not in site.state_file.read_text()


def test_the_bot_works_and_is_reached_by_nobody(site: Site) -> None:
    """Through the tunnel a person would use: Prometheus has the bot's figures; from outside no port answers but SSH."""
    page = "http://127.0.0.1:9090/api/v1/query?query=coinpilot_active_positions"
    query = f"python3 -c \"import urllib.request as r; print(r.urlopen('{page}').read().decode())\""
    deadline = time.monotonic() + 120
    while not json.loads(site.ssh(query))["data"]["result"]:
        assert time.monotonic() < deadline, "Prometheus has nothing of the bot"
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


def test_the_first_backup_is_taken_and_rehearsed(site: Site) -> None:
    code, unused = site.play("playbooks/backup.yml")
    assert code == 0
    code, out = site.play("playbooks/rehearse.yml")
    assert code == 0
    for source in ("db", "redis", "n8n", "grafana"):
        assert source in out


def test_a_second_run_changes_nothing(site: Site) -> None:
    code, out = site.play("site.yml")
    assert (code, changed_tasks(out)) == (0, [])
    assert site.server.posts() == len(SCRIPT)


def test_another_address_is_noticed_and_its_key_is_known(site: Site) -> None:
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
    # What it tells to type, once one has made sure, is right.
    assert f"ssh-keygen -R {identity} -f {site.known_hosts}" in words(out)
    site.forget_host_key(identity)
    code, out = site.play("playbooks/launch.yml")
    assert code == 0


def test_terminated_by_somebody_else_is_told_and_replaced_only_when_asked(site: Site) -> None:
    site.server.world.terminate(site.state()["instance"]["id"])
    assert site.machines.alive() == []
    code, out = site.play("site.yml")
    assert code == 2
    assert "has been terminated by somebody" in words(out)
    assert site.server.posts() == len(SCRIPT)
    # The whole way again, on another machine, for one request.
    code, out = site.play("site.yml", "-e", '{"oci_instance_replace": true}')
    assert code == 0
    assert site.server.posts() == len(SCRIPT) + 1
    assert len(site.machines.alive()) == 1
    all_healthy(site)


def test_it_is_given_back_only_with_its_ocid(site: Site) -> None:
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
