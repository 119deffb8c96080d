# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup configuration is parsed, or refused with the name of the option."""

from __future__ import annotations

import copy
import json
import os

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install

GOOD = {
    "version": 1,
    "stack": "coinpilot",
    "state_dir": "/var/lib/onebox/coinpilot/backup",
    "repository": {"engine": "files", "path": "/var/backups/onebox/coinpilot"},
    "sources": [
        {"name": "db", "kind": "postgresql", "service": "db", "databases": ["coin"]},
        {"name": "cache", "kind": "redis", "service": "redis", "allow_empty": True},
        {"name": "uploads", "kind": "directory", "path": "/srv/a b/ü", "sqlite": ["*.db"], "exclude": ["tmp"]},
        {"name": "stack", "kind": "compose", "files": ["/opt/onebox/coinpilot/compose.yml"]},
    ],
}


def test_valid_configuration_has_safe_defaults():
    found = configuration.parse(copy.deepcopy(GOOD))
    assert [source.kind for source in found.sources] == ["postgresql", "redis", "directory", "compose"]
    assert (found.retention.daily, found.retention.weekly, found.retention.min_keep) == (7, 4, 3)
    assert found.sources[0].max_drop_percent == 50
    assert found.sources[1].max_drop_percent == 100
    assert found.offsite is None


def change(path: list[object], value: object) -> dict[str, object]:
    data: object = copy.deepcopy(GOOD)
    inner = data
    for step in path[:-1]:
        inner = inner[step]  # type: ignore[index]
    inner[path[-1]] = value  # type: ignore[index]
    return data  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["stack"], "../etc", "stack"),
        (["stack"], "-rf", "stack"),
        (["stack"], None, "stack"),
        (["versoin"], 1, "'versoin'"),
        (["version"], 2, "version"),
        (["sources"], [], "sources is empty"),
        (["sources"], {}, "sources must be a list"),
        (["sources", 0, "kind"], "oracle", "kind must be one of"),
        (["sources", 0, "exclude"], ["x"], "unknown option 'exclude'"),
        (["sources", 0, "container"], "db-1", "either service or container"),
        (["sources", 0, "databases"], "coin", "databases must be a list"),
        (["sources", 0, "max_drop_percent"], 101, "max_drop_percent"),
        (["sources", 0, "port"], "5432", "port must be a whole number"),
        (["sources", 1, "name"], "db", "two sources are called 'db'"),
        (["sources", 1, "allow_empty"], "yes", "allow_empty must be true or false"),
        (["sources", 2, "path"], "srv", "path must be an absolute path"),
        (["sources", 2, "path"], "/srv/../etc", "without '..'"),
        (["sources", 2, "path"], "/srv/a\nb", "newline"),
        (["sources", 3, "files"], ["compose.yml"], "files must be absolute"),
        (["sources", 3, "files"], [], "files is missing"),
        (["repository", "engine"], "borg", "engine must be one of files, restic"),
        (["repository", "password_file"], "/x", "unknown option 'password_file'"),
        (["repository"], {"engine": "restic", "path": "/x"}, "password_file"),
        (["repository"], {"engine": "restic", "path": "x", "password_file": "/p"}, "path must be absolute or a URL"),
        (
            ["repository"],
            {"engine": "restic", "path": "rest:https://me:secret@host/x", "password_file": "/p"},
            "RESTIC_REST_PASSWORD",
        ),
        (
            ["offsite"],
            {"engine": "restic", "path": "/x", "password_file": "/p"},
            "offsite needs a repository with engine",
        ),
        (["retention"], {"daily": 0}, "daily must be a whole number of at least 1"),
        (["retention"], {"daily": True}, "daily"),
        (["webhook"], {"url_file": "/u", "style": "slack"}, "style must be one of"),
        (["timeout"], 0, "timeout"),
    ],
)
def test_invalid_configuration_names_the_option(path, value, words):
    with pytest.raises(ConfigError) as caught:
        configuration.parse(change(path, value))
    assert words in str(caught.value)


def test_missing_file_and_invalid_json_are_reported(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        configuration.read(str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="not JSON"):
        configuration.read(str(tmp_path / "bad.json"))
    (tmp_path / "good.json").write_text(json.dumps(GOOD), encoding="utf-8")
    assert configuration.read(str(tmp_path / "good.json")).stack == "coinpilot"


def test_invalid_configuration_is_not_written(tmp_path):
    with pytest.raises(ConfigError):
        install.write_config(str(tmp_path / "c.json"), {"stack": "x"}, check=False)
    with pytest.raises(ConfigError, match="absolute"):
        install.put_files({"relative": "x"}, 0o600, check=False)
    assert os.listdir(tmp_path) == []
