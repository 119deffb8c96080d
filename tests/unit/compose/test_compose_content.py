# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a deploy copies into data directories, which a container's user may change at any moment."""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import image_tags
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from paper_engine import Paper

# As the user of a container: swaps directories of the data for links to the victim, and files for links and hard links.
SWAPPER = """
import itertools, os, sys
os.chdir(sys.argv[1])
os.setgroups([]); os.setgid(1000); os.setuid(1000)
victim = sys.argv[2]
print("swapping", flush=True)
for number in itertools.count():
    for name, target in (("sub", victim), ("sub/deep", victim), ("app", victim + "/shadow")):
        try:
            os.rename(name, "aside")
            os.symlink(target, name)
            os.unlink(name)
            os.rename("aside", name)
        except OSError:
            try:
                os.rename("aside", name)
            except OSError:
                pass
"""


@pytest.fixture
def paper(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Paper:
    for name in ("tag", "untag"):
        monkeypatch.setattr(image_tags.Tagger, name, lambda *words: None)
    tmp_path.chmod(0o755)
    paper = Paper(tmp_path, monkeypatch)
    paper.write()
    return paper


def content(paper: Paper, name: str, **texts: str) -> tuple[tuple[str, str], ...]:
    """Staged files for the data directory."""
    folder = paper.root / "staging" / name
    for path, text in texts.items():
        place = folder / path.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return ((str(folder), str(paper.root / "data")),)


def texts(paper: Paper) -> dict[str, str]:
    top = paper.root / "data"
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


def test_content_is_written_updated_in_place_and_never_removed(paper: Paper):
    (paper.root / "data").mkdir()
    (paper.root / "data" / "rows").write_text("precious")
    result = paper.deploy(content=content(paper, "one", app="one", sub__a="a"))
    assert not result.get("failed"), result["msg"]
    assert {(row["path"], row["action"]) for row in result["files"]} >= {
        (f"{paper.root}/data/app", "create"),
        (f"{paper.root}/data/sub/a", "create"),
    }
    inode = (paper.root / "data" / "app").stat().st_ino
    result = paper.deploy(content=content(paper, "two", app="two"))
    assert texts(paper) == {"rows": "precious", "app": "two", "sub/a": "a"}
    assert (paper.root / "data" / "app").stat().st_ino == inode
    assert result["foreign_files"] == []
    assert paper.deploy(content=content(paper, "three", app="two"))["changed"] is False
    paper.stack(state="absent", staged_dir="").converge()
    assert texts(paper) == {"rows": "precious", "app": "two", "sub/a": "a"}


def test_content_that_the_application_changed_is_saved(paper: Paper):
    paper.deploy(content=content(paper, "one", app="one"))
    (paper.root / "data" / "app").write_text("changed by the application")
    result = paper.deploy(content=content(paper, "two", app="two"))
    (warning,) = [each for each in result["warnings"] if "data/app" in each]
    (copy,) = [path for path in (paper.state / "shop" / "saved").rglob("app") if path.is_file()]
    assert copy.read_text() == "changed by the application"
    assert str(copy) in warning


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which the attack is against")
def test_content_gets_the_owner_of_its_directory(paper: Paper):
    (paper.root / "data").mkdir()
    os.chown(paper.root / "data", 1000, 1000)
    paper.deploy(content=content(paper, "one", app="one", sub__a="a"))
    assert {path.stat().st_uid for path in (paper.root / "data").rglob("*")} == {1000}


@pytest.mark.parametrize("place", ["/", "/etc", "/usr/bin", "/srv", "/var/lib/docker/volumes"])
def test_content_for_a_directory_of_the_system_is_refused(paper: Paper, place: str):
    ((folder, _path),) = content(paper, "one", app="one")
    with pytest.raises(OneboxError, match="is (a directory of the system|the root directory)"):
        paper.deploy(content=((folder, place),))
    assert not paper.host.exists()


def test_link_of_others_on_the_way_to_the_directory_is_refused(paper: Paper):
    (paper.root / "open").mkdir()
    (paper.root / "open").chmod(0o777)
    (paper.root / "victim").mkdir()
    (paper.root / "open" / "data").symlink_to(paper.root / "victim")
    ((folder, _path),) = content(paper, "one", app="one")
    with pytest.raises(OneboxError, match="is a symbolic link that root did not create"):
        paper.deploy(content=((folder, str(paper.root / "open" / "data")),))
    assert list((paper.root / "victim").iterdir()) == []
    assert not paper.host.exists()


def test_directory_whose_way_leads_through_a_bound_directory_is_refused_behind_a_link(paper: Paper):
    # The container runs as root and made the link: by its owner it looks like root's own.
    (paper.root / "bound").mkdir()
    (paper.root / "victim").mkdir()
    (paper.root / "bound" / "data").symlink_to(paper.root / "victim")
    paper.services["web"]["volumes"] = [f"{paper.root}/bound:/all"]
    paper.write()
    ((folder, _path),) = content(paper, "one", app="one")
    with pytest.raises(OneboxError, match="is a symbolic link that root did not create"):
        paper.deploy(content=((folder, str(paper.root / "bound" / "data")),))
    assert list((paper.root / "victim").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, which the attack is against")
def test_no_byte_leaves_a_data_directory_that_a_process_swaps(paper: Paper, tally, how_many):
    data, victim = paper.root / "data", paper.root / "victim"
    (data / "sub" / "deep").mkdir(parents=True)
    victim.mkdir(mode=0o755)
    (victim / "shadow").write_text("root only")
    (victim / "shadow").chmod(0o600)
    for path in (data, data / "sub", data / "sub" / "deep"):
        os.chown(path, 1000, 1000)
    before = _state(victim)
    runs, outside, done = how_many(100, 1000), 0, 0
    swapper = subprocess.Popen(
        [sys.executable, "-c", SWAPPER, str(data), str(victim)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert swapper.stdout is not None
    assert swapper.stdout.readline() == b"swapping\n"
    try:
        for number in range(runs):
            name = f"run-{number}"
            staged = content(paper, name, app=f"{number}", sub__a=f"{number}", sub__deep__b=f"{number}", shadow="x")
            with contextlib.suppress(OneboxError):
                paper.deploy(content=staged, env={"LEVEL": "info"})
                done += 1
            outside += _state(victim) != before
        assert swapper.poll() is None
    finally:
        swapper.kill()
        swapper.wait()
    tally("content is deployed beside a process that swaps its directories: bytes outside", runs, outside)
    assert done > 0


def _state(folder: pathlib.Path) -> list[tuple]:
    return [
        (
            str(path),
            path.lstat().st_mode,
            path.lstat().st_uid,
            path.lstat().st_mtime_ns,
            path.is_file() and path.read_bytes(),
        )
        for path in [folder, *sorted(folder.rglob("*"))]
    ]
