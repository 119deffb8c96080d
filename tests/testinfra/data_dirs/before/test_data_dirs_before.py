# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode: the host is as it was."""

import pytest


@pytest.mark.parametrize("path", ["logs", "settings", "secrets", "shared", "with space and ü"])
def test_check_mode_made_no_directory(host, path):
    assert not host.file(f"/srv/observer/{path}").exists


def test_check_mode_changed_no_mode(host):
    journal = host.file("/srv/observer/journal")
    assert (journal.user, journal.mode) == ("root", 0o777)


def test_check_mode_gave_the_disk_no_identity(host):
    assert host.mount_point("/mnt/archive").exists
    assert host.file("/mnt/archive").listdir() == []
    assert not host.file("/var/lib/onebox").exists
