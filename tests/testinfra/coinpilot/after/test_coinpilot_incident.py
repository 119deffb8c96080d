# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The incident: after a move the bot had no REDIS_HOST, connected to Redis on itself, and no alert was sent."""

import json
import os
import pathlib
import re
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]


def site(host, env: dict | None = None) -> subprocess.CompletedProcess:
    """Run the deploy of site.yml on this host, with other values for the environment file when there are some."""
    extra = ["-e", json.dumps({"compose_stack_env": env})] if env is not None else []
    inventory, me = os.environ["MOLECULE_INVENTORY_FILE"], host.backend.get_hostname()
    return subprocess.run(
        ["ansible-playbook", "-v", "--diff", "-i", inventory, "-l", me, "--tags", "deploy", *extra, "site.yml"],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def state(host, containers) -> dict:
    """What must not change: the containers with the time they started, and the environment file."""
    found = {name: (entry["Id"], entry["State"]["StartedAt"]) for name, entry in containers("coinpilot").items()}
    env = host.file("/opt/onebox/coinpilot/.env")
    return {**found, ".env": (env.sha256sum, env.mtime)}


def test_provoked_incident_is_named_and_fixed(host, containers):
    values = yaml.safe_load((ROOT / "inventories/host_vars/oci-vm.yml").read_text())["compose_stack_env"]
    before = state(host, containers)

    for name, forgotten in (
        ("missing", {key: value for key, value in values.items() if key != "REDIS_HOST"}),
        ("empty", {**values, "REDIS_HOST": ""}),
    ):
        result = site(host, forgotten)
        assert result.returncode != 0, name
        assert "REDIS_HOST" in result.stdout + result.stderr, name
        assert not re.search(r"Traceback|not-to-be-seen", result.stdout + result.stderr), name
        assert state(host, containers) == before, f"{name}: something was touched"

    result = site(host)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"changed=0\b", result.stdout), result.stdout
    assert "not-to-be-seen" not in result.stdout + result.stderr
    assert state(host, containers) == before


def test_bot_itself_says_what_it_misses(host):
    """A manual start without the role is refused too."""
    compose = (
        "docker compose --project-directory /opt/onebox/coinpilot run --rm --no-deps -T -e REDIS_HOST= -e LLM_MODE= bot"
    )
    result = host.run(compose)
    assert result.rc == 1
    assert "REDIS_HOST is empty" in result.stderr
    assert "LLM_MODE is empty" in result.stderr
    assert "Traceback" not in result.stderr
