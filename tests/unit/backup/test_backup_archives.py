# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of directories: hostile members, odd names, files that change, patterns."""

from __future__ import annotations

import io
import os
import tarfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    StoreError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import archive as directories
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import extract, tar_format, walk


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = link
    data = b"evil" if kind == tarfile.REGTYPE else b""
    info.size = len(data)
    return info, io.BytesIO(data)


@pytest.mark.parametrize(
    "members",
    [
        [member("../out")],
        [member("/etc/out")],
        [member("a/../../out")],
        [member("door", tarfile.SYMTYPE, ".."), member("door/out")],
        [member("door", tarfile.SYMTYPE, "/tmp"), member("door", tarfile.REGTYPE)],
        [member("hard", tarfile.LNKTYPE, "../out")],
        [member("device", tarfile.CHRTYPE)],
    ],
)
def test_archive_that_would_leave_its_directory_is_refused(tmp_path, members):
    archive = tmp_path / "evil.tar"
    with tarfile.open(archive, "w") as tar:
        for info, data in members:
            tar.addfile(info, data)
    into = tmp_path / "into" / "here"
    into.mkdir(parents=True)
    with pytest.raises(StoreError):
        extract.extract(str(archive), str(into), owners=False)
    assert not (tmp_path / "into" / "out").exists()
    assert not (tmp_path / "out").exists()


def test_names_of_any_bytes_modes_and_links_are_restored(tmp_path):
    root = tmp_path / "root"
    root.mkdir(mode=0o750)
    with open(os.fsencode(root) + b"/\xff\n'\"%", "wb") as file:
        file.write(b"x")
    os.symlink("no where", root / "link")
    os.mkfifo(root / "pipe")
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep").chmod(0o500)
    staging = tmp_path / "staging"
    staging.mkdir()
    got = directories.capture(str(root), (), (), str(staging), "s", archive=True)
    out = tmp_path / "out"
    out.mkdir()
    extract.extract(str(staging / "files/s.tar"), str(out), owners=os.geteuid() == 0)
    assert directories.check(got.facts, str(staging), str(out), os.geteuid() == 0) == ([], [])
    (out / "link").unlink()
    os.symlink("else where", out / "link")
    (out / "new").write_text("n", encoding="utf-8")
    problems, _moved = directories.check(got.facts, str(staging), str(out), os.geteuid() == 0)
    assert len(problems) == 2
    (root / "deep").chmod(0o700)
    (out / "deep").chmod(0o700)


def test_file_that_shrinks_while_it_is_read_is_reported(tmp_path, monkeypatch):
    root = tmp_path / "root"
    root.mkdir()
    (root / "log").write_bytes(b"x" * 3_000_000)
    real = tar_format.add_file

    def shrinking(tar, path, *more):
        os.truncate(root / path, 1000)
        return real(tar, path, *more)

    monkeypatch.setattr(tar_format, "add_file", shrinking)
    staging = tmp_path / "staging"
    staging.mkdir()
    got = directories.capture(str(root), (), (), str(staging), "s", archive=True)
    assert got.warnings == ["1 files changed while they were read: log"]


def test_patterns_and_companions_are_left_out(tmp_path):
    for name in ("a.db", "a.db-wal", "a.db-shm", "b.txt", "cache/x", "keep/cache.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    found = walk.Listing(str(tmp_path), exclude=["cache"], sqlite=["*.db"])
    assert [path for path, _status in found] == [".", "a.db", "b.txt", "keep", "keep/cache.txt"]
    assert found.databases == ["a.db"]
    assert sorted(found.skipped) == ["a.db-shm", "a.db-wal", "cache"]
