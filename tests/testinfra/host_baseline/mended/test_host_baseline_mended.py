# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ran where Docker's rules had been thrown away."""


def test_containers_talk_again(host, container, server):
    assert "-j DOCKER-USER" in host.check_output("iptables -S FORWARD")
    for other in (server(), host.check_output("ip route show default").split()[2]):
        result = container("ping", "-c", "1", "-W", "10", other)
        assert result.rc == 0, result.stdout + result.stderr
