# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode on a fresh host: no package, no file, no rule."""


def test_check_mode_changed_nothing(host):
    assert not host.exists("unattended-upgrade")
    for path in ("/etc/apt/apt.conf.d/52onebox-upgrades", "/etc/systemd/system/netfilter-persistent.service.d"):
        assert not host.file(path).exists, path
    assert "8088" not in host.check_output("iptables -S INPUT") + host.file("/etc/iptables/rules.v4").content_string
    assert "/var/lib/docker" not in host.file("/proc/swaps").content_string
