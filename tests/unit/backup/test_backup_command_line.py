# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of the runner."""

from __future__ import annotations

import json

from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli


def test_command_line_prints_json_and_text(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_text("x", encoding="utf-8")
    config = tmp_path / "c.json"
    config.write_text(
        json.dumps(
            {
                "stack": "words",
                "state_dir": str(tmp_path / "state"),
                "repository": {"engine": "files", "path": str(tmp_path / "repo")},
                "reserve_mib": 1,
                "sources": [{"name": "d", "kind": "directory", "path": str(tmp_path / "data")}],
            }
        ),
        encoding="utf-8",
    )
    base = ["--config", str(config)]
    assert cli.main([*base, "status"]) == cli.UNHEALTHY
    assert "there is no backup yet" in capsys.readouterr().out
    assert cli.main([*base, "rehearse"]) == 5
    assert "run a backup first" in capsys.readouterr().err
    assert cli.main([*base, "--json", "backup"]) == 0
    assert json.loads(capsys.readouterr().out)["snapshot"]["seq"] == 1
    assert cli.main([*base, "rehearse", "--self-test"]) == 0
    assert "SKIPPED empty RDB: no source of its kind" in capsys.readouterr().out
    assert cli.main([*base, "plan"]) == 0
    assert "keep   1: newest" in capsys.readouterr().out
    assert cli.main([*base, "restore", "--yes", "other"]) == 9
    assert cli.main([*base, "pin", "7"]) == 1
    assert cli.main([*base, "rehearse", "--offsite"]) == 5
    assert cli.main([*base, "check"]) == 0
