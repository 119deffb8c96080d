# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The removed watch leaves no unit, configuration or metric behind. Its program may serve other watches and stays."""


def test_no_file_of_the_watch_is_on_the_host(host):
    for path in (
        "/etc/onebox/watch/demo.json",
        "/etc/onebox/watch/demo.ping",
        "/etc/systemd/system/onebox-watch-demo.service",
        "/etc/systemd/system/onebox-watch-demo.timer",
        "/home/anna/.config/onebox/watch/anna.json",
        "/home/anna/.config/systemd/user/onebox-watch-anna.timer",
    ):
        assert not host.file(path).exists, path
    assert host.file("/var/lib/node-exporter").listdir() == []


def test_systemd_has_no_timer_of_the_watch(host):
    assert "onebox-watch" not in host.check_output("systemctl list-timers --all --no-legend")


def test_monitoring_does_not_run_and_has_no_file(host):
    for name in ("prometheus", "prometheus-alertmanager", "prometheus-node-exporter"):
        assert not host.service(name).is_running
        assert not host.service(name).is_enabled
        assert not host.file(f"/etc/systemd/system/{name}.service.d/onebox.conf").exists
    assert not host.file("/etc/onebox/monitoring").exists
