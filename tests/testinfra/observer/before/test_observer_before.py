# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After check mode of the whole site.yml: no directory, no file, no container, no secret."""


def test_check_mode_changed_nothing(host, containers):
    assert containers("observer") == {}
    for path in ("/home/ubuntu", "/opt/onebox", "/var/lib/onebox"):
        assert not host.file(path).exists, path
