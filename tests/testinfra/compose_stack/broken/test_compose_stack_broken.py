# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manually broken mount is reported by name, with the fix and an exit code for a monitor."""


def test_containers_still_run_and_seem_healthy(containers):
    assert all(entry["State"]["Running"] for entry in containers("observer").values())


def test_verify_finds_it(playbook):
    result = playbook("verify.yml")
    assert result.returncode != 0
    assert "stale_renamed" in result.stdout
    assert "/srv/observer data" in result.stdout
