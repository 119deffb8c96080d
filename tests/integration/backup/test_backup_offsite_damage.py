# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs with a damaged or read-only off-site repository: real restic with a directory as off-site."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.retention import Policy
from backup_stack import restic_programs
from test_backup_offsite import Site

NO_FORGET = '#!/bin/sh\ncase "$*" in *forget*) echo "the bucket is read-only" >&2; exit 1;; esac\nexec {restic} "$@"\n'


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path / "box", str(tmp_path / "away"), {})
    made.fill()
    return made


def hasty(site):
    """A context whose retention deletes the older of two sets."""
    context = site.context()
    context.config = dataclasses.replace(context.config, retention=Policy(1, 0, 1, 3))
    return context


def test_rebuilt_empty_host_does_not_become_the_newest_set_off_site(site, tmp_path):
    assert run.backup(site.context())["error"] == ""
    fresh = Site(tmp_path / "fresh", site.place, {})
    fresh.files.mkdir()
    (fresh.files / "welcome").write_text("an empty stack", encoding="utf-8")
    for _timer in range(2):
        report = run.backup(fresh.context())
        assert report["exit_code"] == 4
        assert "source files went from 30 to 1" in report["error"]
    assert [found.seq for found in fresh.context().offsite.sets()] == [1]
    anew = run.backup(fresh.context(), accept_drop=["files"])
    assert anew["error"] == ""
    assert anew["snapshot"]["seq"] > 1
    assert anew["offsite"]["lag"] == 0


def test_unreadable_off_site_set_does_not_count_and_the_local_one_is_kept(site):
    assert run.backup(site.context())["error"] == ""
    for base, _dirs, names in os.walk(os.path.join(site.place, "data")):
        for name in names:
            path = os.path.join(base, name)
            os.chmod(path, 0o600)
            with open(path, "r+b") as pack:
                pack.write(b"x" * os.path.getsize(path))
    for name in os.listdir(site.base / "state/manifests"):
        os.unlink(site.base / "state/manifests" / name)
    report = run.backup(hasty(site))
    assert report["exit_code"] == 7
    assert "lacks, or cannot read, 1 of the local sets, such as 1" in report["error"]
    assert report["offsite"]["lag"] == 1
    assert report["pruned"] == []
    assert [found.seq for found in site.context().store.sets()] == [1, 2]


def test_lag_grows_while_off_site_is_down_also_over_a_failed_run(site):
    assert run.backup(site.context())["offsite"]["lag"] == 0
    os.rename(os.path.join(site.place, "keys"), os.path.join(site.place, "keys.gone"))
    assert run.backup(site.context())["offsite"]["lag"] == 1
    shutil.move(site.files, str(site.files) + ".gone")
    assert run.backup(site.context())["exit_code"] == 4
    assert status.status(site.context())["offsite_lag"] == 1
    shutil.move(str(site.files) + ".gone", site.files)
    assert run.backup(site.context())["offsite"]["lag"] == 2
    os.rename(os.path.join(site.place, "keys.gone"), os.path.join(site.place, "keys"))
    assert run.backup(site.context())["offsite"]["lag"] == 0


def test_failed_deletion_off_site_is_not_reported_as_a_missing_set(site, tmp_path):
    assert run.backup(site.context())["error"] == ""
    program = tmp_path / "restic"
    program.write_text(NO_FORGET.format(restic=restic_programs() / "restic"), encoding="utf-8")
    program.chmod(0o755)
    context = hasty(site)
    context.offsite._program._spec = dataclasses.replace(context.offsite._spec, program=str(program))
    report = run.backup(context)
    assert report["exit_code"] == 7
    assert "committed locally and off-site, but not pruned off-site" in report["error"]
    assert "the bucket is read-only" in report["error"]
    assert report["offsite"]["lag"] == 0
    assert report["pruned"] == [1]


def lose(site, kind, least=0):
    """Remove the objects of a kind, as a lifecycle rule of a bucket does. Returns how many."""
    gone = 0
    for base, _dirs, names in os.walk(os.path.join(site.place, kind)):
        for name in names:
            path = os.path.join(base, name)
            if os.path.getsize(path) >= least:
                os.unlink(path)
                gone += 1
    return gone


@pytest.mark.parametrize(("kind", "least"), [("data", 100_000), ("data", 0), ("index", 0), ("keys", 0)])
def test_lost_off_site_objects_are_found_by_the_daily_check_and_local_sets_are_kept(site, kind, least):
    assert run.backup(site.context())["error"] == ""
    assert status.check(site.context())["healthy"] is True
    assert lose(site, kind, least) > 0
    found = status.check(site.context())
    assert found["healthy"] is False
    (problem,) = found["problems"]
    assert problem.startswith(f"the last check off-site failed: restic check on {site.place}") or kind == "keys"
    assert status.status(site.context())["problems"] == [problem]
    assert 'onebox_backup_last_check_ok{stack="box",where="offsite"} 0' in site.metrics()
    report = run.backup(hasty(site))
    assert report["pruned"] == []
    assert [found.seq for found in site.context().store.sets()][:1] == [1]


def test_missing_off_site_repository_is_found_by_the_daily_check_and_copied_again(site):
    assert run.backup(site.context())["error"] == ""
    shutil.rmtree(site.place)
    assert "the repository is missing" in status.check(site.context())["problems"][0]
    report = run.backup(site.context())
    assert report["error"] == ""
    assert report["offsite"]["copied"] == 2
    assert status.check(site.context())["healthy"] is True
