# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack's files as one text arrive as rsync would copy them, and a hostile text writes nothing outside."""

from __future__ import annotations

import base64
import io
import os
import pathlib
import stat
import subprocess
import tarfile
import typing as t

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import bundle as received
from ansible_collections.onebox.stack.plugins.plugin_utils import bundle
from ansible_collections.onebox.stack.plugins.plugin_utils.bundle import Folder

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "compose_stack"
EXCLUDES = DataLoader().load_from_file(str(ROLE / "vars/main.yml"))["__compose_stack_excludes"]
WORDS = ["rsync", "--recursive", "--links", "--perms", "--checksum", *(f"--exclude={each}" for each in EXCLUDES)]


def tree(folder: pathlib.Path) -> dict[str, tuple[t.Any, ...]]:
    """Type, mode and content of everything below a folder."""
    found: dict[str, tuple[t.Any, ...]] = {}
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = pathlib.Path(place, name)
            status = path.lstat()
            if path.is_symlink():
                found[os.path.relpath(path, folder)] = ("link", os.readlink(path))
            else:
                content = path.read_bytes() if path.is_file() else b""
                found[os.path.relpath(path, folder)] = (stat.filemode(status.st_mode), content)
    return found


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with names, modes and types that a copy can get wrong."""
    folder = tmp_path / "source"
    (folder / "app" / "deep" / "empty").mkdir(parents=True)
    files = ["compose.yml", ".env", "app/run.sh", "app/private", "app/__pycache__/a.pyc", "app/b.pyc", ".git/config"]
    files += ["app/.DS_Store", "._x", ".onebox-stack", "app/.onebox-stack", "a name\nwith a line", "-rf", "app/*", "v"]
    for number, name in enumerate(files):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{number}\0\xff".encode("latin-1"))
    (folder / "empty").write_bytes(b"")
    pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/not-utf8-\xff")).write_text("x")
    (folder / "app/run.sh").chmod(0o4755)
    (folder / "app/private").chmod(0o400)
    (folder / "app/deep").chmod(0o2711)
    (folder / "link").symlink_to("app/run.sh")
    (folder / "outside").symlink_to("/etc/passwd")
    (folder / "dangling").symlink_to("../nothing")
    (folder / "folder").symlink_to("app")
    os.link(folder / "compose.yml", folder / "hard link")
    os.mkfifo(folder / "pipe")
    return folder


def unpacked(folders: list[Folder], place: pathlib.Path) -> dict[str, tuple[t.Any, ...]]:
    place.mkdir(mode=0o700)
    received.unpack(bundle.pack(folders, EXCLUDES), str(place))
    return tree(place)


def test_files_arrive_as_rsync_copies_them(source: pathlib.Path, tmp_path: pathlib.Path):
    to = tmp_path / "rsync"
    words = [*WORDS, "--exclude=/.onebox-stack", f"{source}/", f"{to}/files/"]
    (to / "content-0").mkdir(parents=True)
    subprocess.run(words, check=True, capture_output=True)
    subprocess.run([*WORDS, str(source / "app"), f"{to}/content-0/"], check=True, capture_output=True)
    (to / "content-0").chmod(stat.S_IMODE(source.stat().st_mode))
    folders = [Folder(f"{source}/", "files", "x", ".onebox-stack"), Folder(f"{source}/app", "content-0", "y")]
    found = unpacked(folders, tmp_path / "bundle")
    assert found == tree(to)
    assert {"files/app/.onebox-stack", "files/link", "content-0/app/run.sh"} <= set(found)
    assert not {"files/.onebox-stack", "files/pipe", "files/.git", "files/app/b.pyc"} & set(found)


def test_link_to_the_folder_is_followed_as_by_rsync(source: pathlib.Path, tmp_path: pathlib.Path):
    (tmp_path / "current").symlink_to(source)
    by_link = bundle.pack([Folder(f"{tmp_path}/current/", "files", "x")], EXCLUDES)
    assert by_link == bundle.pack([Folder(f"{source}/", "files", "x")], EXCLUDES)


def test_same_files_are_the_same_bundle_at_another_time(source: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    first = bundle.pack([Folder(f"{source}/", "files", "x")], EXCLUDES)
    monkeypatch.setattr("time.time", lambda: 1_000_000_000.0)
    assert bundle.pack([Folder(f"{source}/", "files", "x")], EXCLUDES) == first


def test_small_folder_fits_and_a_large_one_does_not(source: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    folders = [Folder(f"{source}/", "files", "x")]
    assert bundle.fits(folders, EXCLUDES)
    assert not bundle.fits([Folder("stacks/blog/", "files", "x")], EXCLUDES)
    with open(source / "large", "wb") as file:
        file.truncate(bundle.MOST_BYTES)
    assert not bundle.fits(folders, EXCLUDES)
    assert bundle.fits(folders, ["large"])
    monkeypatch.setattr(bundle, "MOST_ENTRIES", 3)
    assert not bundle.fits(folders, ["large"])


def test_missing_folder_is_named_with_its_variable(tmp_path: pathlib.Path):
    with pytest.raises(bundle.BundleError, match=r"^compose_stack_content: /nowhere/ on the controller: No such file"):
        bundle.fits([Folder("/nowhere/", "content-0", "compose_stack_content")], [])


def hostile(*rows: tuple[str, bytes, str]) -> str:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, kind, target in rows:
            row = tarfile.TarInfo(name)
            row.type, row.linkname = kind, target
            archive.addfile(row)
    return base64.b64encode(whole.getvalue()).decode()


@pytest.mark.parametrize(
    "rows",
    [
        [("../x", tarfile.REGTYPE, "")],
        [("/tmp/obx-bundle-x", tarfile.REGTYPE, "")],
        [("files", tarfile.SYMTYPE, "/tmp"), ("files/x", tarfile.REGTYPE, "")],
        [("files", tarfile.DIRTYPE, ""), ("files/a", tarfile.SYMTYPE, "../.."), ("files/a/x", tarfile.REGTYPE, "")],
        [("files", tarfile.DIRTYPE, ""), ("files/a", tarfile.SYMTYPE, "../x"), ("files/a", tarfile.REGTYPE, "")],
        [("x", tarfile.LNKTYPE, "/etc/passwd")],
        [("x", tarfile.CHRTYPE, "")],
    ],
    ids=["above", "absolute", "below a link", "below a link in a folder", "over a link", "hard link", "device"],
)
def test_hostile_bundle_is_refused_and_writes_nothing_outside(rows, tmp_path: pathlib.Path):
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    with pytest.raises((ValueError, OSError)):
        received.unpack(hostile(*rows), str(place))
    assert [path.name for path in tmp_path.iterdir()] == ["place"]
    assert not os.path.lexists("/tmp/obx-bundle-x")


NONE = {"bundle": None, "staging_dir": None, "staged_dir": None, "name": "blog"}


def test_parameters_name_the_unpacked_directories_which_are_removed_at_the_end(source: pathlib.Path):
    text = bundle.pack([Folder(f"{source}/", "files", "x")], EXCLUDES)
    with received.unpacked({**NONE, "bundle": text}) as params:
        folder = params["staging_dir"]
        assert params["staged_dir"] == f"{folder}/files"
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        assert os.path.isfile(f"{folder}/files/compose.yml")
    assert not os.path.exists(folder)
    with received.unpacked(NONE) as params:
        assert params == NONE


def test_bundle_that_cannot_be_used_is_refused_with_the_way_out():
    for text in ("no base64", base64.b64encode(b"no archive").decode()):
        with (
            pytest.raises(ComposeError, match="bundle: cannot be unpacked: .*stack_bundle"),
            received.unpacked({**NONE, "bundle": text}),
        ):
            raise AssertionError("the run began")
    with (
        pytest.raises(ComposeError, match="bundle: cannot be combined with staging_dir"),
        received.unpacked({**NONE, "bundle": "x", "staging_dir": "/tmp/x"}),
    ):
        raise AssertionError("the run began")
