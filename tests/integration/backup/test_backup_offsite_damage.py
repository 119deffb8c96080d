# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run makes of what is off-site: real restic, the place a directory that is damaged or closed."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup import run, status
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.retention import Policy
from backup_stack import restic_programs
from test_backup_offsite import Box

NO_FORGET = '#!/bin/sh\ncase "$*" in *forget*) echo "the bucket is read-only" >&2; exit 1;; esac\nexec {restic} "$@"\n'


@pytest.fixture
def box(tmp_path):
    made = Box(tmp_path / "box", str(tmp_path / "away"), {})
    made.fill()
    return made


def hasty(box):
    """A context with which the older of two sets goes."""
    context = box.context()
    context.config = dataclasses.replace(context.config, retention=Policy(1, 0, 1, 3))
    return context


def test_a_rebuilt_and_still_empty_box_does_not_become_the_newest_set_off_site(box, tmp_path):
    assert run.backup(box.context())["error"] == ""
    fresh = Box(tmp_path / "fresh", box.place, {})
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


def test_a_set_that_cannot_be_read_off_site_is_none_and_the_one_here_stays(box):
    assert run.backup(box.context())["error"] == ""
    for base, _dirs, names in os.walk(os.path.join(box.place, "data")):
        for name in names:
            path = os.path.join(base, name)
            os.chmod(path, 0o600)
            with open(path, "r+b") as pack:
                pack.write(b"x" * os.path.getsize(path))
    for name in os.listdir(box.base / "state/manifests"):
        os.unlink(box.base / "state/manifests" / name)
    report = run.backup(hasty(box))
    assert report["exit_code"] == 7
    assert "lacks, or cannot read, 1 of the sets here, such as 1" in report["error"]
    assert report["offsite"]["lag"] == 1
    assert report["pruned"] == []
    assert [found.seq for found in box.context().store.sets()] == [1, 2]


def test_the_lag_grows_while_the_place_is_down_also_over_a_run_that_failed(box):
    assert run.backup(box.context())["offsite"]["lag"] == 0
    os.rename(os.path.join(box.place, "keys"), os.path.join(box.place, "keys.gone"))
    assert run.backup(box.context())["offsite"]["lag"] == 1
    shutil.move(box.files, str(box.files) + ".gone")
    assert run.backup(box.context())["exit_code"] == 4
    assert status.status(box.context())["offsite_lag"] == 1
    shutil.move(str(box.files) + ".gone", box.files)
    assert run.backup(box.context())["offsite"]["lag"] == 2
    os.rename(os.path.join(box.place, "keys.gone"), os.path.join(box.place, "keys"))
    assert run.backup(box.context())["offsite"]["lag"] == 0


def test_deleting_off_site_that_fails_is_not_told_as_a_set_that_is_not_there(box, tmp_path):
    assert run.backup(box.context())["error"] == ""
    program = tmp_path / "restic"
    program.write_text(NO_FORGET.format(restic=restic_programs() / "restic"), encoding="utf-8")
    program.chmod(0o755)
    context = hasty(box)
    context.offsite._program._spec = dataclasses.replace(context.offsite._spec, program=str(program))
    report = run.backup(context)
    assert report["exit_code"] == 7
    assert "committed here and off-site, but old ones there could not be deleted" in report["error"]
    assert "the bucket is read-only" in report["error"]
    assert report["offsite"]["lag"] == 0
    assert report["pruned"] == [1]


def lose(box, kind, least=0):
    """Remove the objects of a kind, as a lifecycle rule of a bucket does. Returns how many."""
    gone = 0
    for base, _dirs, names in os.walk(os.path.join(box.place, kind)):
        for name in names:
            path = os.path.join(base, name)
            if os.path.getsize(path) >= least:
                os.unlink(path)
                gone += 1
    return gone


@pytest.mark.parametrize(("kind", "least"), [("data", 100_000), ("data", 0), ("index", 0), ("keys", 0)])
def test_objects_that_were_lost_off_site_are_found_by_the_daily_check_and_nothing_here_is_deleted(box, kind, least):
    assert run.backup(box.context())["error"] == ""
    assert status.check(box.context())["healthy"] is True
    assert lose(box, kind, least) > 0
    found = status.check(box.context())
    assert found["healthy"] is False
    (problem,) = found["problems"]
    assert problem.startswith(f"the last check off-site failed: restic check on {box.place}") or kind == "keys"
    assert status.status(box.context())["problems"] == [problem]
    assert 'onebox_backup_last_check_ok{stack="box",where="offsite"} 0' in box.metrics()
    report = run.backup(hasty(box))
    assert report["pruned"] == []
    assert [found.seq for found in box.context().store.sets()][:1] == [1]


def test_off_site_that_is_gone_whole_is_found_by_the_daily_check_and_copied_again(box):
    assert run.backup(box.context())["error"] == ""
    shutil.rmtree(box.place)
    assert "the repository is gone" in status.check(box.context())["problems"][0]
    report = run.backup(box.context())
    assert report["error"] == ""
    assert report["offsite"]["copied"] == 2
    assert status.check(box.context())["healthy"] is True
