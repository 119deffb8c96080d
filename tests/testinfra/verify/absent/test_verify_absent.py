# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing of the schedule is on the host: before it is made, and after it was removed while it failed."""

UNIT = "onebox-verify-observer"


def test_no_unit_program_or_metric_is_there(host):
    for path in (
        f"/etc/systemd/system/{UNIT}.service",
        f"/etc/systemd/system/{UNIT}.timer",
        f"/etc/systemd/system/timers.target.wants/{UNIT}.timer",
        f"/usr/local/bin/{UNIT}",
    ):
        assert not host.file(path).exists, path
    assert host.file("/var/lib/node exporter").listdir() == []


def test_systemd_knows_nothing_of_it(host):
    assert UNIT not in host.check_output("systemctl list-timers --all --no-legend")
    assert UNIT not in host.check_output("systemctl --failed --no-legend")
    assert host.check_output("systemctl show -p ActiveState --value %s.service", UNIT) == "inactive"
