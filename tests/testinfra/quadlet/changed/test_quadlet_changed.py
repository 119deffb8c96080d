# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a change of one service: only its unit was restarted."""


def test_only_the_changed_service_is_restarted(host, containers):
    found = containers("shop")
    assert "MODE=second" in found["worker"]["Config"]["Env"]
    assert host.file("/root/web-before").content_string.strip() == found["web"]["Id"]
    assert len(host.file("/srv/shop data/migrated").content_string.splitlines()) == 1
