# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode: nothing was installed or started."""


def test_check_mode_installs_no_unit(host):
    assert host.run("ls /etc/containers/systemd/*.container").rc != 0
    assert host.check_output("podman ps --all --quiet") == ""
