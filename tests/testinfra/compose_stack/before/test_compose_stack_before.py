# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode: nothing deployed, nothing runs."""


def test_check_mode_deployed_nothing(host, containers):
    assert containers("observer") == {}
    assert not host.file("/opt/onebox/observer").exists
    assert not host.file("/var/lib/onebox/observer").exists


def test_check_mode_left_the_data_alone(host):
    assert host.file("/srv/observer data").listdir() == ["page.html"]
