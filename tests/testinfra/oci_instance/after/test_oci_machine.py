# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One machine, won through four refusals and a lost answer, that a person can log in to."""

import stat


def test_each_attempt_was_one_request(cloud):
    assert cloud.launches() == 4
    assert cloud.state()["attempts"] == 4
    assert cloud.state()["pending"] is None


def test_machine_accepts_the_login(cloud):
    assert cloud.ssh("sudo id -u").strip() == "0"
    assert cloud.ssh("hostname").strip() == "coinpilot-ins"


def test_first_boot_is_over(cloud):
    assert "done" in cloud.ssh("cloud-init status")


def test_machine_accepts_ssh_only_like_oracles_images(cloud):
    assert "-A INPUT -j REJECT --reject-with icmp-host-prohibited" in cloud.ssh("sudo iptables -S INPUT")


def test_host_key_belongs_to_the_machine_and_not_to_the_address(cloud):
    assert cloud.knows(cloud.state()["instance"]["id"])
    assert not cloud.knows(cloud.connection()["ansible_host"])


def test_secrets_are_private(cloud):
    for name in ("keys/coinpilot", "state/coinpilot-ins.json"):
        assert stat.S_IMODE((cloud.folder / name).stat().st_mode) == 0o600, name
