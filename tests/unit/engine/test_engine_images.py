# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Substitute images: their declaration, their registry, their build, and an interrupted build."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import images

PYTHON = images.StandIn("bookworm", ("python3", "ca-certificates"), ("python3",), {"LANG": "C.UTF-8"})


def test_no_mirror_is_named():
    words = images.build_command(PYTHON, "/var/cache/x/image.tar")
    assert words[-2:] == ["bookworm", "/var/cache/x/image.tar"]
    assert "--include=python3,ca-certificates" in words
    assert not any("://" in word for word in words)


def test_image_is_labelled_as_a_stand_in():
    words = images.import_command("podman", PYTHON, "/x.tar", "docker.io/library/python:3.11-slim")
    assert words == [
        "podman",
        "import",
        "--change",
        'LABEL onebox.standin="Debian bookworm with python3, ca-certificates"',
        "--change",
        'ENV LANG="C.UTF-8"',
        "--change",
        'CMD ["python3"]',
        "/x.tar",
        "docker.io/library/python:3.11-slim",
    ]


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("python:3.11-slim", "registry-1.docker.io"),
        ("library/python", "registry-1.docker.io"),
        ("docker.io/library/python:3.11-slim", "registry-1.docker.io"),
        ("ghcr.io/owner/name:1", "ghcr.io"),
        ("localhost/name", "localhost"),
        ("registry.example.org:5000/a/b@sha256:00", "registry.example.org"),
        ("box:5000/a", "box"),
    ],
)
def test_registry_of_a_reference(reference, host):
    assert images.registry_of(reference) == host


@pytest.mark.parametrize(
    ("data", "named"),
    [({}, "nothing"), ({"suite": "bookworm", "package": ["x"]}, "package"), ({"packages": ["x"]}, "packages")],
)
def test_wrong_declaration_names_the_image_and_what_it_has(data, named):
    with pytest.raises(images.ImageError, match=named) as error:
        images.StandIn.parse("docker.io/library/redis:7", data)
    assert "docker.io/library/redis:7" in str(error.value)


def test_remains_of_killed_builds_are_removed_and_nothing_else(tmp_path):
    (tmp_path / "standin-abc" / "deep").mkdir(parents=True)
    (tmp_path / "standin-abc" / "deep" / "image.tar").write_text("half")
    (tmp_path / "other" / "standin-x").mkdir(parents=True)
    images.sweep(str(tmp_path))
    assert [entry.name for entry in tmp_path.rglob("*")] == ["other", "standin-x"]


# A builder that ends on request of the test, and an engine that never pulls and imports any archive.
BUILDER = """#!/bin/sh
for archive; do :; done
echo $$ >>"$SCRATCH/../builds"
until [ -e "$SCRATCH/../go" ]; do sleep 0.02; done
echo system >"$archive"
"""
ENGINE = """#!/bin/sh
case $1 in import) for reference; do :; done; echo "$reference" >>"$SCRATCH/../images" ;; *) exit 1 ;; esac
"""
RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import conftest
import test_engine_images as tests
tests.here(sys.argv[2]).ensure("example.invalid/app:1", tests.PYTHON)
"""


class FileEngine(Engine):
    """An engine whose images are the lines of a file."""

    name = "engine"

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file

    def image(self, reference):
        known = self.file.read_text().split() if self.file.exists() else []
        return (
            {"Id": "sha256:1", "Config": {"Labels": {images.STAND_IN_LABEL: "Debian"}}} if reference in known else None
        )


def here(scratch: str) -> images.Images:
    place = pathlib.Path(scratch).parent
    path = f"{place}/programs:{os.environ['PATH']}"
    world = dataclasses.replace(World.real(), environ={**os.environ, "PATH": path, "SCRATCH": scratch})
    engine = FileEngine(place / "images")
    return images.Images(engine, world=world, registry_timeout=5, pull_timeout=5, scratch=scratch)


@pytest.fixture
def scratch(tmp_path):
    """The scratch directory of a host with a builder and an engine."""
    for name, text in (("mmdebstrap", BUILDER), ("engine", ENGINE)):
        program = tmp_path / "programs" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    return tmp_path / "scratch"


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the awaited condition did not come about"
        time.sleep(0.01)


def run_in_a_process(scratch: pathlib.Path) -> subprocess.Popen:
    tests = pathlib.Path(__file__).resolve()
    argv = [sys.executable, "-c", RUN, str(tests.parents[2]), str(scratch)]
    return subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(tests.parent)})


@pytest.mark.parametrize("killed", [False, True])
def test_second_run_waits_for_the_build_of_the_first_also_of_a_killed_one(scratch, killed):
    builds, go = scratch.parent / "builds", scratch.parent / "go"
    first = run_in_a_process(scratch)
    rows = []
    second = threading.Thread(target=lambda: rows.append(here(str(scratch)).ensure("example.invalid/app:1", PYTHON)))
    try:
        until(builds.exists)
        if killed:
            first.send_signal(signal.SIGKILL)
            first.wait(10)
        second.start()
        # The builder of the first still works: its directory stays, and no second builder starts.
        second.join(0.5)
        assert second.is_alive()
        assert len(builds.read_text().split()) == 1
        assert len(list(scratch.glob("standin-*"))) == 1
    finally:
        go.touch()
        second.join(30)
        first.wait(30)
    # A killed run has not imported its archive, so the second builds again; else it finds the image.
    assert [row["how"] for row in rows] == ["standin" if killed else "present"]
    assert len(builds.read_text().split()) == (2 if killed else 1)
    assert sorted(entry.name for entry in scratch.iterdir()) == ["builder.lock", "lock"]


def test_run_that_never_ends_is_named_and_not_waited_for_without_end(scratch):
    scratch.mkdir()
    now = [0.0]
    subject = here(str(scratch))
    subject._world = dataclasses.replace(
        subject._world, monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    with (
        lock.held(str(scratch / "lock"), purpose="obtain redis:7", timeout=0, world=World.real()),
        pytest.raises(lock.LockHeld, match=r"scratch/lock is locked by process \d+ .*obtain redis:7.*waited 1210 s"),
    ):
        subject.ensure("example.invalid/app:1", PYTHON)


def test_scratch_that_cannot_be_used_is_named_with_what_to_do(scratch):
    scratch.write_text("a file")
    with pytest.raises(images.ImageError, match=r"cannot use .*/scratch: .*give another scratch directory"):
        here(str(scratch)).ensure("example.invalid/app:1", PYTHON)


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        # mmdebstrap 1.3.5 without a network, and on a full tmpfs.
        (
            "E: Failed to fetch http://mirror.invalid/debian/dists/bookworm/InRelease  Could not resolve "
            "'mirror.invalid'\nE: Some index files failed to download. They have been ignored, or old ones used "
            "instead.\nE: apt-get update -oAPT::Status-Fd=<$fd> failed: E: mmdebstrap failed to run",
            "Could not resolve 'mirror.invalid'",
        ),
        (
            "dpkg: error: failed to write status database: No space left on device\nE: mmdebstrap failed to run",
            "is full",
        ),
    ],
)
def test_failed_build_says_why(printed, said, tmp_path):
    error = process.CommandError("mmdebstrap failed", process.Result(("mmdebstrap",), 1, "", printed, 1.0))
    text = images._build_failed("docker.io/library/python:3.11-slim", PYTHON, str(tmp_path), error)
    assert said in text
    assert "docker.io/library/python:3.11-slim" in text
