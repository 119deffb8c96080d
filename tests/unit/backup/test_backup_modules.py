# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup modules with Ansible's own AnsibleModule, on a stack of files; results as Ansible reads them."""

from __future__ import annotations

import importlib
import json
import os

import pytest
from ansible.module_utils.testing import patch_module_args

MODULES = "ansible_collections.onebox.stack.plugins.modules"


class Site:
    """A directory and its backup configuration."""

    def __init__(self, base, capsys):
        self.base = base
        self.capsys = capsys
        self.data = base / "data"
        self.data.mkdir()
        (self.data / "page").write_text("worth keeping", encoding="utf-8")
        self.declared = {
            "stack": "blog",
            "state_dir": str(base / "state"),
            "repository": {"engine": "files", "path": str(base / "repo")},
            "reserve_mib": 0,
            "sources": [{"name": "pages", "kind": "directory", "path": str(self.data)}],
        }
        self.config = base / "backup.json"
        self.declare()

    def declare(self, **more):
        self.config.write_text(json.dumps({**self.declared, **more}), encoding="utf-8")

    def run(self, name, *, check=False, **arguments):
        """The exit code and the result of a module."""
        given = {"_ansible_check_mode": check, **arguments}
        if name != "stack_backup_runner":
            given = {"name": "blog", "config": str(self.config), **given}
        module = importlib.import_module(f"{MODULES}.{name}")
        with patch_module_args(given), pytest.raises(SystemExit) as ended:
            module.main()
        result = json.loads(self.capsys.readouterr().out)
        assert "\n" not in result.get("msg", "")
        assert "exception" not in result
        return ended.value.code, result


@pytest.fixture
def site(tmp_path, capsys):
    return Site(tmp_path, capsys)


def test_backup_returns_its_set_and_check_mode_changes_nothing(site):
    code, planned = site.run("stack_backup", check=True)
    assert (code, planned["changed"], planned["snapshot"], planned["last_good"]) == (0, True, {}, None)
    assert sorted(os.listdir(site.base)) == ["backup.json", "data"]
    code, done = site.run("stack_backup")
    assert (code, done["changed"], done["snapshot"]["seq"]) == (0, True, 1)
    assert (done["verified"], done["last_good"]) == (True, 1)
    assert set(planned) == set(done)
    assert done["sources"][0]["ok"] is True
    assert done["warnings_found"] == []


def test_failed_backup_names_the_source_and_returns_its_report(site):
    site.run("stack_backup")
    (site.data / "page").unlink()
    code, failed = site.run("stack_backup")
    assert code == 1
    assert (failed["failed"], failed["changed"], failed["last_good"]) == (True, False, 1)
    assert "source pages is empty" in failed["msg"]
    assert [row["ok"] for row in failed["sources"]] == [False]
    code, done = site.run("stack_backup", accept_drop=["pages"])
    assert (code, done["snapshot"]["seq"]) == (0, 3)


def test_info_reports_without_a_change(site):
    code, found = site.run("stack_backup_info")
    assert (code, found["changed"], found["healthy"]) == (0, False, False)
    assert found["problems"] == ["there is no backup yet"]
    site.run("stack_backup")
    code, found = site.run("stack_backup_info", check=True)
    assert (found["healthy"], found["last_good"], found["sources"]) == (True, 1, [{"name": "pages", "count": 1}])


def test_rehearsal_compares_and_its_self_test_names_skipped_damages(site):
    site.run("stack_backup")
    code, found = site.run("stack_rehearse", check=True)
    assert (code, found["changed"], found["snapshot"]["seq"], found["verified"]) == (0, False, 1, False)
    code, found = site.run("stack_rehearse")
    assert (code, found["changed"], found["verified"]) == (0, False, True)
    assert os.path.isfile(found["evidence"])
    code, found = site.run("stack_rehearse", self_test=True)
    assert (code, found["verified"]) == (0, True)
    assert [row["caught"] for row in found["controls"]] == [True] * 3
    assert found["not_rehearsed"] == [
        "cut dump",
        "altered row",
        "cut dump of MySQL",
        "altered row of MySQL",
        "empty RDB",
        "cut file of SQLite",
        "altered row of SQLite",
        "altered setting of SQLite",
        "altered file of a volume",
    ]
    assert "skipped" not in found  # Ansible would report the task as skipped
    (tar,) = (site.base / "repo").rglob("pages.tar")
    tar.write_bytes(tar.read_bytes()[:-1] + b"x")
    code, found = site.run("stack_rehearse")
    assert code == 1
    assert "pages.tar is damaged" in found["msg"]
    assert (found["verified"], found["changed"]) == (False, False)


def test_restore_is_planned_without_the_name_and_done_with_it(site):
    site.run("stack_backup")
    (site.data / "page").write_text("changed", encoding="utf-8")
    for options in ({}, {"check": True}, {"check": True, "confirm": "blog"}):
        code, found = site.run("stack_restore", **options)
        assert (code, found["changed"], found["verified"]) == (0, "confirm" in options, False)
        assert len(found["steps"]) == 1
    assert (site.data / "page").read_text(encoding="utf-8") == "changed"
    code, found = site.run("stack_restore", confirm="blog")
    assert (code, found["changed"], found["verified"]) == (0, True, True)
    assert (site.data / "page").read_text(encoding="utf-8") == "worth keeping"
    code, found = site.run("stack_restore", confirm="other")
    assert code == 1
    assert "type the name of the stack: blog" in found["msg"]


def test_migration_is_planned_and_done(site):
    new = site.base / "new"
    new.mkdir()
    (new / "page").write_text("moved", encoding="utf-8")
    data = [{"source": "pages", "file": "new"}]
    for options in ({}, {"check": True}):
        code, found = site.run("stack_migrate", data_dir=str(site.base), data=data, **options)
        assert (code, found["changed"], found["moves"], found["verified"]) == (0, bool(options), True, False)
    code, found = site.run("stack_migrate", data_dir=str(site.base), data=data, confirm="blog")
    assert (code, found["changed"], found["moves"], found["verified"]) == (0, True, False, True)
    assert (site.data / "page").read_text(encoding="utf-8") == "moved"
    code, found = site.run("stack_migrate", data=[{"source": "pages", "file": "/none"}])
    assert code == 1
    assert "/none is not a directory" in found["msg"]


def test_runner_is_installed_once_and_its_diff_shows_the_configuration(site):
    given = {
        "path": str(site.base / "bin" / "onebox-backup"),
        "config": str(site.base / "etc" / "blog.json"),
        "declaration": site.declared,
        "secrets": {str(site.base / "etc" / "key"): "k3y", str(site.base / "etc" / "empty"): ""},
    }
    for check in (True, False):
        code, found = site.run("stack_backup_runner", check=check, **given)
        assert (code, found["changed"], found["runner_changed"], found["config_changed"]) == (0, True, True, True)
        assert found["secrets_changed"] == [str(site.base / "etc" / "key")]
        assert "k3y" not in json.dumps(found)
        assert '"stack": "blog"' in found["diff"]["after"]
        assert (site.base / "bin" / "onebox-backup").exists() is not check
    assert found["backups"]["wants_first"] is True
    assert not (site.base / "etc" / "empty").exists()
    code, found = site.run("stack_backup_runner", **given)
    assert (code, found["changed"]) == (0, False)
    assert (site.base / "bin" / "onebox-backup").read_bytes().startswith(b"#!/usr/bin/python3 -IS\n")
    code, found = site.run("stack_backup_runner", **{**given, "secrets": {"relative": "x"}})
    assert code == 1
    assert "'relative' must be an absolute path" in found["msg"]


def test_runner_creates_the_authentication_key_and_keeps_earlier_ones(site):
    key = site.base / "etc" / "blog.authentication"
    given = {
        "path": str(site.base / "bin" / "onebox-backup"),
        "config": str(site.base / "etc" / "blog.json"),
        "declaration": site.declared,
        "secrets": {str(key): ""},
    }
    _code, found = site.run("stack_backup_runner", check=True, **given)
    assert (found["authentication_created"], key.exists()) == (True, False)
    _code, found = site.run("stack_backup_runner", **given)
    assert (found["authentication_file"], found["authentication_created"]) == (str(key), True)
    first = key.read_text(encoding="ascii")
    assert (len(first), key.stat().st_mode & 0o777) == (65, 0o600)
    assert first.strip() not in json.dumps(found)
    another = "x" * 40
    given["secrets"] = {str(key): another}
    for changed in (True, False):
        _code, found = site.run("stack_backup_runner", **given)
        assert (found["changed"], found["authentication_created"]) == (changed, False)
        assert key.read_text(encoding="ascii").split() == [another, first.strip()]


def test_set_without_authentication_is_used_by_its_number_or_with_its_key(site):
    site.run("stack_backup")
    key = site.base / "backup.authentication"
    kept = site.base / "kept"
    key.rename(kept)
    for name in ("stack_rehearse", "stack_restore"):
        code, found = site.run(name)
        assert code == 1
        assert "--accept-unauthenticated 1" in found["msg"]
        assert site.run(name, accept_unauthenticated=2)[0] == 1
        assert site.run(name, accept_unauthenticated=1)[0] == 0
        assert site.run(name, authentication_key=str(kept))[0] == 0
    assert site.run("stack_restore", accept_unauthenticated=1, confirm="blog")[1]["verified"] is True


@pytest.mark.parametrize("name", ["stack_backup", "stack_backup_info", "stack_rehearse", "stack_restore"])
def test_configuration_of_another_stack_is_refused(site, name):
    site.declare(stack="shop")
    code, found = site.run(name)
    assert code == 1
    assert "configures the backups of 'shop', not of 'blog'" in found["msg"]


@pytest.mark.parametrize("name", ["stack_backup", "stack_rehearse", "stack_restore", "stack_migrate"])
def test_state_directory_that_is_a_file_is_named_in_one_line(site, name):
    site.run("stack_backup")
    site.declare(state_dir=str(site.base / "data" / "page"))
    code, found = site.run(name, **({"confirm": "blog"} if name == "stack_restore" else {}))
    assert code == 1
    assert f"{site.base}/data/page is a link or not a directory" in found["msg"]
