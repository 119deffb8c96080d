# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins: how they are declared and built, whose registry is asked, what an interrupted build leaves."""

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import images

PYTHON = images.StandIn("bookworm", ("python3", "ca-certificates"), ("python3",), {"LANG": "C.UTF-8"})


def test_no_mirror_is_named():
    words = images.build_command(PYTHON, "/var/cache/x/image.tar")
    assert words[-2:] == ["bookworm", "/var/cache/x/image.tar"]
    assert "--include=python3,ca-certificates" in words
    assert not any("://" in word for word in words)


def test_the_image_is_labelled_as_a_stand_in():
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
def test_registry_of(reference, host):
    assert images.registry_of(reference) == host


@pytest.mark.parametrize(
    ("data", "named"),
    [({}, "nothing"), ({"suite": "bookworm", "package": ["x"]}, "package"), ({"packages": ["x"]}, "packages")],
)
def test_a_wrong_declaration_names_the_image_and_what_it_has(data, named):
    with pytest.raises(images.ImageError, match=named) as error:
        images.StandIn.parse("docker.io/library/redis:7", data)
    assert "docker.io/library/redis:7" in str(error.value)


def test_what_killed_builds_left_goes_and_nothing_else(tmp_path):
    (tmp_path / "standin-abc" / "deep").mkdir(parents=True)
    (tmp_path / "standin-abc" / "deep" / "image.tar").write_text("half")
    (tmp_path / "other" / "standin-x").mkdir(parents=True)
    images.sweep(str(tmp_path))
    assert [entry.name for entry in tmp_path.rglob("*")] == ["other", "standin-x"]


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
def test_a_failed_build_says_why(printed, said, tmp_path):
    error = process.CommandError("mmdebstrap failed", process.Result(("mmdebstrap",), 1, "", printed, 1.0))
    text = images._build_failed("docker.io/library/python:3.11-slim", PYTHON, str(tmp_path), error)
    assert said in text
    assert "docker.io/library/python:3.11-slim" in text
