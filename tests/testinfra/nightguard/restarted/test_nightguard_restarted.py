# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a real restart of the host, without a playbook, nightguard is back with its secrets and its mount."""

import time


def test_nightguard_is_back_and_healthy(containers):
    deadline = time.monotonic() + 30
    while True:
        (entry,) = containers("nightguard").values()
        if entry["State"]["Running"] and entry["State"]["Health"]["Status"] == "healthy":
            break
        assert time.monotonic() < deadline, entry["State"]
        time.sleep(0.5)


def test_secrets_are_there(host):
    for name in ("gemini_api_key", "telegram_bot_token"):
        assert host.check_output("podman exec 97layer-nightguard cat /run/secrets/%s", name).startswith(
            f"canary-{name}"
        )


def test_mount_is_proven(playbook):
    result = playbook("verify.yml")
    assert result.returncode == 0, result.stdout + result.stderr
