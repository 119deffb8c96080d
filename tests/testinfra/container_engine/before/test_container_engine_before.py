# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode: no engine, no settings, on a host that had none."""


def test_check_mode_installed_nothing(host, engine):
    for command in ("docker", "dockerd", "podman", "runc", "rsync", "mmdebstrap"):
        assert not host.exists(command)


def test_check_mode_wrote_nothing(host):
    assert not host.file("/etc/containers").exists
    assert not host.file("/opt/onebox").exists
    assert not host.file("/var/lib/onebox").exists
