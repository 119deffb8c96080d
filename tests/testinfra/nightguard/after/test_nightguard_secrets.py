# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values from a vault reach the container as Podman secrets, and nothing else: the tests search for them everywhere."""

import base64
import json
import os
import pathlib
import subprocess

NAMES = ("gemini_api_key", "telegram_bot_token")
ROOT = pathlib.Path(__file__).resolve().parents[4]
# Where Podman itself keeps secrets: its own store, and the copy of each container.
PODMAN = "/var/lib/containers/storage"
# What the watcher is shown on purpose.
CONTROL = "canary-control-3a55"
# Watches the arguments and environments of all processes until it is killed. Standard input has the searched values.
WATCHER = r"""
import glob, os, sys, time
needles = sys.stdin.buffer.read().split()
print(os.getpid(), flush=True)
while True:
    for path in glob.glob("/proc/[0-9]*/cmdline") + glob.glob("/proc/[0-9]*/environ"):
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        if any(needle in text for needle in needles):
            print(path, text.replace(b"\0", b" "), flush=True)
    time.sleep(0.02)
"""


def canary(name: str, edition: str = "77e0") -> str:
    return f"canary-{name}-{edition}"


def shapes(values: list[str]) -> list[str]:
    """The values, plain and in base64 at every alignment."""
    found = list(values)
    for value in values:
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + value.encode()).decode()
            found.append(text[(0, 2, 3)[shift] : len(text) // 4 * 4 - 4])
    return found


def site(name: str, given: pathlib.Path) -> subprocess.CompletedProcess:
    """Run site.yml as loudly as it gets, with values from a file."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    return subprocess.run(
        ["ansible-playbook", "-vvvv", "--diff", "-i", inventory, "-l", name, "-e", f"@{given}", str(ROOT / "site.yml")],
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_DEBUG": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def places(host, values: list[str]) -> list[str]:
    """Every file of the host that holds one of the values."""
    words = " ".join(f"-e '{shape}'" for shape in shapes(values))
    # Not through the host's sudo, which logs its commands. The test's own archives are at /testbed.
    skip = "-path /proc -o -path /sys -o -path /dev -o -path /testbed"
    search = rf"find / \( {skip} \) -prune -o -type f -size -200M -exec grep -lsaF {words} {{}} +"
    argv = ["docker", "exec", host.backend.get_hostname(), "sh", "-c", search]
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False).stdout.split()


def test_container_has_them(host):
    for name in NAMES:
        assert host.check_output("podman exec 97layer-nightguard cat /run/secrets/%s", name) == canary(name)
        shown = host.check_output("podman exec 97layer-nightguard stat -c '%%a %%u' /run/secrets/%s", name)
        assert shown == "400 10097"


def test_secrets_are_nowhere_else(host, containers):
    values = [canary(name) for name in NAMES]
    found = places(host, values)
    assert [path for path in found if path.startswith(f"{PODMAN}/secrets/")], "the search itself finds nothing"
    kept = (f"{PODMAN}/secrets/", f"{PODMAN}/overlay-containers/", "/run/containers/storage/overlay-containers/")
    assert [path for path in found if not path.startswith(kept)] == []
    text = json.dumps(containers("nightguard")) + host.check_output("journalctl --no-pager --output cat")
    assert [value for value in values if value in text] == []


def test_new_value_recreates_and_is_not_seen_on_the_way(host, containers, tmp_path):
    edition = "9c21"
    (before,) = containers("nightguard").values()
    values = {f"nightguard_{name}": canary(name, edition) for name in NAMES}
    given = tmp_path / "new.json"
    given.write_text(json.dumps(values))
    name = host.backend.get_hostname()
    watcher = subprocess.Popen(
        ["docker", "exec", "-i", name, "python3", "-c", WATCHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    watcher.stdin.write("\n".join([*values.values(), CONTROL]))
    watcher.stdin.close()
    pid = watcher.stdout.readline().strip()
    try:
        # What is to be seen, so that seeing nothing else means something.
        subprocess.run(["docker", "exec", "-e", f"WORD={CONTROL}", name, "sleep", "1"], check=True)
        result = site(name, given)
    finally:
        host.run("kill %s", pid)
        seen = watcher.stdout.read().splitlines()
        watcher.wait(30)
    output = result.stdout + result.stderr
    assert result.returncode == 0, output[-3000:]
    assert [line for line in seen if CONTROL in line], "the watcher sees nothing"
    assert [line for line in seen if CONTROL not in line] == []
    (after,) = containers("nightguard").values()
    assert after["Id"] != before["Id"]
    assert "secret_changed" in output
    for value in values.values():
        assert value not in output
    assert host.check_output("podman exec 97layer-nightguard cat /run/secrets/gemini_api_key") == canary(
        NAMES[0], edition
    )
    kept = (f"{PODMAN}/", "/run/containers/storage/overlay-containers/")
    assert [path for path in places(host, list(values.values())) if not path.startswith(kept)] == []
