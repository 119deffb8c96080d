# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image's rules were loaded manually, without the service: containers are cut off, although Docker is active."""


def test_containers_are_cut_off(host, container):
    gateway = host.check_output("ip route show default").split()[2]
    assert host.service("docker").is_running
    assert "-j DOCKER-USER" not in host.check_output("iptables -S FORWARD")
    assert container("ping", "-c", "1", "-W", "3", gateway).rc != 0
