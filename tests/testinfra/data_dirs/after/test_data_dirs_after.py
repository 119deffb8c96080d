# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directories of a stack on a Debian 13 host, checked from outside."""

import pytest


@pytest.mark.parametrize(
    ("path", "uid", "gid", "mode"),
    [
        ("/srv/observer/journal", 1500, None, 0o750),
        ("/srv/observer/logs", 999, 999, 0o750),
        ("/srv/observer/settings", 0, 0, 0o750),
        ("/srv/observer/secrets", 1500, 0, 0o700),
        ("/srv/observer/shared", 0, 0, 0o775),
        ("/srv/observer/with space and ü", 0, 0, 0o750),
        ("/mnt/archive/snapshots", 999, 0, 0o750),
    ],
)
def test_owner_and_mode(host, path, uid, gid, mode):
    directory = host.file(path)
    assert directory.is_directory
    assert (directory.uid, directory.mode) == (uid, mode)
    assert directory.gid == (host.group("observer").gid if gid is None else gid)


def test_data_from_before_is_untouched(host):
    kept = host.file("/srv/observer/journal/from before.jsonl")
    assert kept.content_string == '{"kept": true}\n'
    assert (kept.uid, kept.mode) == (0, 0o640)


def test_disk_is_still_mounted_and_has_an_identity(host):
    assert host.mount_point("/mnt/archive").filesystem == "tmpfs"
    assert host.file("/mnt/archive/.onebox-disk").size > 0


def test_no_data_in_the_deploy_directory(host):
    assert not host.file("/opt/onebox/observer").exists
