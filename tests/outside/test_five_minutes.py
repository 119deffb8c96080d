# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page "Your own stack in five minutes": its commands are run as written, and print what it shows.

The project is a stranger's: PostgreSQL, Redis, a web server, relative binds, an open port, an example of an .env file.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import time
import typing as t

import images as databases
import pytest
from onebox_testbed import ports

if t.TYPE_CHECKING:
    from conftest import Stranger

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/how-to/five-minutes.md").read_text()
# The page's name of the stack, and the one that no other stack on this machine has.
WIKI, NAME = "wiki", "obxfive"
# The current directory of the page.
FOLDER = "/home/me/boxes"
MOST_COMMANDS, MOST_LINES, MOST_SECONDS = 4, 6, 300
# Image of the compose file -> what stands for it on a machine without a registry.
IMAGES = {"docker.io/library/postgres:17": "pg17", "docker.io/library/redis:7": "redis7"}
WEB = "docker.io/library/busybox:1"


def blocks(kind: str) -> list[str]:
    """The fenced blocks of one kind on the page, with the name of the test's stack."""
    found = re.findall(rf"(?ms)^```{kind}\n(.*?)^```$", PAGE)
    return [text.replace(WIKI, NAME) for text in found]


def transcript() -> list[tuple[str, list[str]]]:
    """Each command of the page with the lines that it prints there. "…" stands for lines that are left out."""
    found: list[tuple[str, list[str]]] = []
    for line in "".join(blocks("console")).splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip(" …"):
            found[-1][1].append(line)
    return found


def plain(text: str) -> list[str]:
    """The lines of an output without what differs between two runs and two machines: numbers, units, ages, padding."""
    text = re.sub(r"less than a minute|\d+ (?:minutes?|hours?)(?= old| ago)", "0", text)
    text = re.sub(r"\d+(?:\.\d+)*(?: ?(?:ms|s|B|kB|MB|GB|TB|%))?(?=\W|$)", "0", text)
    return [" ".join(line.split()) for line in text.splitlines()]


class Reader:
    """Somebody who follows the page on this machine."""

    def __init__(self, user: Stranger) -> None:
        self.user = user
        self.folder = user.base / "five"
        self.folder.mkdir()
        self.project = user.base / "home" / NAME
        shutil.copytree(pathlib.Path(__file__).parent / "wiki", self.project)
        self.port = ports.claim()
        example = self.project / ".env.example"
        example.write_text(example.read_text().replace("18080", str(self.port)))
        self.environ = {**user.environ, "PWD": str(self.folder)}

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).replace(str(self.folder), FOLDER)

    def by_hand(self) -> list[str]:
        """Write the lines that the page lets a person write. Returns them."""
        written = []
        for text in blocks("(?:yaml|ini)"):
            heading, *lines = text.splitlines()
            path = self.folder / heading.removeprefix("# ")
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines))
            written += lines
        return written


def forget() -> None:
    """Remove what a host keeps of the stack. Its backups survive the stack, so a second test would find the first's."""
    backups = ("/var/backups/onebox", "/var/lib/onebox-backup", "/etc/onebox/backup")
    for folder in ("/opt/onebox", "/var/lib/onebox", *backups):
        for left in pathlib.Path(folder).glob(f"{NAME}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.fixture
def reader(stranger: Stranger) -> t.Iterator[Reader]:
    tags = {WEB: stranger.environ["NOTES_IMAGE"], **{tag: databases.ensure(p, "podman") for tag, p in IMAGES.items()}}
    for tag, image in tags.items():
        stranger.run("podman", "tag", image, tag)
    # A test that was killed could not remove them.
    forget()
    found = Reader(stranger)
    yield found
    playbook = [str(found.folder / "venv/bin/ansible-playbook"), "-i", "hosts.yml", "onebox.stack.down"]
    found.run(" ".join([*playbook, "-e", f"confirm={NAME}"]))
    stranger.run("podman", "rmi", *tags)
    forget()


def test_page_takes_a_stack_of_a_stranger_to_proven_backed_up_and_rehearsed(reader: Reader, stranger: Stranger) -> None:
    steps = transcript()
    assert 0 < len(steps) <= MOST_COMMANDS
    shutil.copy(next(stranger.base.glob("onebox-stack-*.tar.gz")), reader.folder)
    began = time.monotonic()
    said = ""
    for command, shown in steps:
        if "galaxy collection install" in command:
            # Galaxy is not part of the test: the dependencies come from this clone.
            command = command.replace(" install ", " install --offline ") + " " + " ".join(stranger.dependencies)
        if command.endswith("onebox.stack.site"):
            assert len(reader.by_hand()) <= MOST_LINES
        said = reader.run(command)
        missing = [line for line in plain("\n".join(shown)) if line not in plain(said)]
        assert not missing, f"{command} does not print these lines of the page: {missing}\n{said}"
    took = time.monotonic() - began
    # On a machine that other programs use, a run waits for its turn.
    assert took < MOST_SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)), f"{took:.0f} s"
    assert re.search(rf"{NAME} on box: OK - 3 of 3 services healthy, 4 of 4 mounts proven", said), said
    assert re.search(r"1 set, newest .*; rehearsed", said), said
    again = reader.run(steps[-1][0])
    assert re.search(r"(?m)^box\s+:.*changed=0 .*failed=0", again), again
