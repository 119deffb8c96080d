# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode reported the installation of the watch and installed nothing."""


def test_no_file_of_the_watch_is_on_the_host(host):
    for path in (
        "/usr/local/bin/onebox-watch",
        "/etc/onebox/monitoring",
        "/usr/bin/prometheus",
        "/etc/onebox/watch/demo.json",
        "/etc/onebox/watch/demo.ping",
        "/etc/systemd/system/onebox-watch-demo.service",
        "/etc/systemd/system/onebox-watch-demo.timer",
        "/home/anna/.local/bin/onebox-watch",
        "/home/anna/.config/systemd/user/onebox-watch-anna.timer",
    ):
        assert not host.file(path).exists, path
    assert host.file("/var/lib/node-exporter").listdir() == []


def test_systemd_has_no_timer_of_the_watch(host):
    assert "onebox-watch" not in host.check_output("systemctl list-timers --all --no-legend")
