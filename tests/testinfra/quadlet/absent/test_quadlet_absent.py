# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After state absent: no unit, no container and no network, but the data."""


def test_nothing_but_the_data_is_left(host, containers):
    assert containers("shop") == {}
    assert host.check_output("find /etc/containers/systemd -name 'shop*'") == ""
    assert host.check_output("systemctl list-units --all --no-legend 'shop*'") == ""
    assert host.run("podman network exists shop_default").rc == 1
    assert host.run("podman volume exists shop_work").rc == 0
    assert host.file("/srv/shop data/page.html").exists
