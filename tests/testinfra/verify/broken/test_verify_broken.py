# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three mounts have come off in three ways: the timer's unit fails, the metric names them, the playbook does, too."""

import re
import time

UNIT = "onebox-verify-observer"
METRICS = "/var/lib/node exporter/onebox-mounts.prom"
BREAKS = {"web": "stale_deleted", "worker": "stale_renamed", "journal": "unmounted_inside"}


def test_unit_fails_and_its_log_says_what_to_do(host, checked_by_timer, engine):
    checked_by_timer("exit-code")
    deadline = time.monotonic() + 60
    # While the next check runs it is not on the list.
    while f"{UNIT}.service" not in host.check_output("systemctl --failed --no-legend"):
        assert time.monotonic() < deadline, "the unit is not on systemd's list of failed ones"
    log = host.check_output("journalctl -u %s.service -o cat -n 50", UNIT)
    for verdict in BREAKS.values():
        assert verdict in log
    assert f"{engine} restart " in log


def test_metric_names_each(host, checked_by_timer):
    checked_by_timer("exit-code")
    text = host.file(METRICS).content_string
    assert 'onebox_mounts_ok{stack="observer"} 0' in text
    assert 'onebox_mounts_failed{stack="observer"} 3' in text
    found = re.findall(r'^onebox_mount_verdict\{.*container="([^"]+)".*verdict="(\w+)"\} 1$', text, re.MULTILINE)
    assert sorted((service(name), verdict) for name, verdict in found) == sorted(BREAKS.items())


def test_playbook_names_each_and_ends_with_an_exit_code(playbook):
    result = playbook("verify.yml")
    assert result.returncode != 0
    for verdict in BREAKS.values():
        assert verdict in result.stdout
    assert "0 of 3 mounts proven in 3 containers" in " ".join(result.stdout.split())


def service(container):
    return next(name for name in BREAKS if name in container)
