# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode of the whole site.yml: no directory, no file, no container, no timer."""


def test_check_mode_changed_nothing(host, containers):
    assert containers("coinpilot") == {}
    for path in ("/srv/coinpilot", "/opt/onebox", "/var/lib/onebox", "/etc/onebox", "/var/backups/onebox"):
        assert not host.file(path).exists, path
    assert "onebox" not in host.check_output("systemctl list-unit-files --no-legend")
