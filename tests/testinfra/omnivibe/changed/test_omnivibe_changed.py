# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The code was changed and the containers restarted: all run the old code, and the plan shows the needed actions."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from omnivibe_api import releases  # noqa: E402


def test_restart_changed_nothing(host):
    assert 'RELEASE = "2"' in host.file("/opt/onebox/omnivibe/backend/app/__init__.py").content_string
    assert releases(host) == {"api": "1", "worker": "1", "beat": "1"}


def test_plan_names_it(playbook):
    result = playbook("plan.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "rebuild" in result.stdout
    assert "build_context_changed" in result.stdout
