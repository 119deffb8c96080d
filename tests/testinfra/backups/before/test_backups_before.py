# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode promised and did nothing."""


def test_nothing_was_installed(host):
    for path in ("/usr/local/bin/onebox-backup", "/etc/onebox/backup", "/var/backups/onebox", "/var/lib/onebox-backup"):
        assert not host.file(path).exists, path
    assert host.run("ls /etc/systemd/system/onebox-backup-*").rc != 0
