# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a shutdown, and after a power cut: running services are back and healthy, stopped ones are not."""

import time


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.3)


def test_running_service_is_back_and_healthy(containers, get):
    wait_for(lambda: containers("observer")["web"]["State"]["Health"]["Status"] == "healthy")
    assert get(8080, "/page.html") == (200, "served from the host")


def test_service_stopped_manually_stays_stopped(host, containers):
    wait_for(lambda: host.check_output("systemctl show --property ActiveState --value onebox-observer") == "active")
    assert not containers("observer")["writer"]["State"]["Running"]


def test_host_has_booted_since(host, containers):
    started = host.check_output("date +%%s -d %s", containers("observer")["web"]["State"]["StartedAt"])
    booted = host.check_output("stat -c %Y /proc/1")
    assert int(started) >= int(booted)


def test_containers_see_the_directory_of_this_boot(host, containers):
    inode = host.check_output("stat -c %d:%i '/srv/observer data'")
    pid = containers("observer")["web"]["State"]["Pid"]
    assert host.check_output("stat -c %%d:%%i /proc/%s/root/data", str(pid)) == inode
