# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another machine after the first was terminated from outside: one request more, the same key, another host key."""


def test_one_request_more_made_it(cloud):
    assert cloud.launches() == 5


def test_replacement_is_another_machine_with_login(cloud):
    first = "ocid1.instance.oc1.ap-chuncheon-1.i0001"
    second = cloud.state()["instance"]["id"]
    assert second != first
    assert cloud.knows(first)
    assert cloud.knows(second)
    assert cloud.ssh("cat /etc/onebox-user-data").strip() == "carried out"
