# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot: systemd started the stack, and a deploy changed nothing."""

import json


def test_stack_is_back_after_the_reboot(host, containers, get):
    found = containers("shop")
    assert found["web"]["State"]["Health"]["Status"] == "healthy"
    assert found["worker"]["State"]["Running"]
    assert get(8080, "/page.html") == (200, "served from the host")
    started = host.check_output("date +%%s -d %s", found["worker"]["State"]["StartedAt"])
    assert int(started) >= int(host.check_output("stat -c %Y /proc/1"))


def test_worker_started_after_the_page_was_healthy(host):
    def active_since(unit):
        return int(host.check_output("systemctl show --property ActiveEnterTimestampMonotonic --value %s", unit))

    began = host.check_output("systemctl show --property ExecMainStartTimestampMonotonic --value shop-worker")
    assert int(began) >= active_since("shop-web")


def test_deploy_after_the_reboot_changes_nothing(host):
    result = json.loads(host.file("/root/again.json").content_string)
    assert not result["changed"]
    assert {row["action"] for row in result["plan"]} == {"keep"}
