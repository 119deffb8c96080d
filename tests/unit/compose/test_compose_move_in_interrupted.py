# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a deploy after a kill, on a full disk and with a damaged list: the next run converges."""

from __future__ import annotations

import os
import pathlib
import signal

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files
from deploy_place import Place


def _moments(place: Place, at: int) -> int:
    """Deploy in a child that is killed at its ``at``-th changing system call; the number of such calls."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count = 0

        def around(function):
            def wrapped(*args, **options):
                nonlocal count
                count += 1
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*args, **options)

            return wrapped

        for name in ("rename", "replace", "unlink", "mkdir", "rmdir", "fchmod", "symlink", "fsync", "open"):
            setattr(os, name, around(getattr(os, name)))
        status = 1
        try:
            place.deploy()
            status = 0
        finally:
            os.write(writing, str(count).encode())
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return int(text or 0)


def test_kill_at_every_step_loses_nothing_and_the_next_run_converges(tmp_path: pathlib.Path, tally):
    def prepared(number: int) -> Place:
        (tmp_path / str(number)).mkdir()
        place = Place(tmp_path / str(number))
        place.ship(compose="one", conf__a="a" * 70000, gone="gone", edited="x", old__deep="deep")
        place.deploy()
        (place.host / "data").mkdir()
        (place.host / "data" / "rows").write_text("rows")
        (place.host / "edited").write_text("by hand")
        place.ship(compose="two", conf__a="b" * 70001, new__b="b", edited="y")
        return place

    wanted = {"compose": "two", "conf/a": "b" * 70001, "new/b": "b", "edited": "y", "data/rows": "rows"}
    moments, bad = _moments(prepared(0), 0), 0
    for moment in range(1, moments + 1):
        place = prepared(moment)
        _moments(place, moment)
        place.deploy()
        saved = set(place.saved().values())
        # A file of a deploy is not an edit, even if the killed run did not reach it.
        kept = "by hand" in saved and not saved & {"one", "a" * 70000, "two", "b" * 70001}
        names = {path.name for path in place.host.iterdir()}
        clean = names == {"compose", "conf", "new", "edited", "data"}
        bad += not (place.texts() == wanted and kept and clean and place.actions() == {})
    tally("kill -9 while files are moved in: the next run converges", moments, bad)


def test_full_disk_is_named_and_the_next_run_converges(place: Place, monkeypatch: pytest.MonkeyPatch):
    place.ship(compose="one", conf__a="a")
    place.deploy()
    place.ship(compose="two", conf__a="b")
    written = beneath.Directory.overwrite

    def full(self, name, blocks, mode):
        if name == "conf/a":
            raise OSError(28, "No space left on device")
        return written(self, name, blocks, mode)

    with monkeypatch.context() as patch:
        patch.setattr(beneath.Directory, "overwrite", full)
        with pytest.raises(ComposeError, match="conf/a: cannot be deployed .No space left.*no container"):
            place.deploy()
    place.deploy()
    assert place.texts() == {"compose": "two", "conf/a": "b"}
    assert place.actions() == {}


def test_list_that_cannot_be_written_stops_before_the_first_file(place: Place, monkeypatch: pytest.MonkeyPatch):
    place.ship(compose="one")
    place.deploy()
    place.ship(compose="two")

    def refuse(*words, **options):
        raise files.DiskFull("cannot write", "x")

    monkeypatch.setattr(files, "replace", refuse)
    with pytest.raises(files.DiskFull):
        place.deploy()
    assert place.texts() == {"compose": "one"}


def test_damaged_list_removes_nothing(place: Place):
    place.ship(compose="one", more="more")
    place.deploy()
    for text in ("{", "[]", '{"files": {"x": 3}, "folders": {}}', '{"files": []}'):
        (place.state / "files.json").write_text(text)
        place.ship(compose="one")
        assert place.actions() == {}
        assert "more" in place.texts()
