# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that rotates logs, run by a real shell on real files; podman is a script with recorded answers."""

from __future__ import annotations

import gzip
import pathlib
import subprocess

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.mac import logs

# ``machine ssh NAME COMMAND`` hands its input to the command in the guest, which here is this host.
PODMAN = """\
#!/bin/sh
echo "$*" >>"$LAB/calls"
case "$*" in
  "machine inspect --format {{.State}} it's one") cat "$LAB/state" ;;
  "machine ssh it's one sh -s here") exec env -u LAB sh -s here ;;
  *) echo "unknown: $*" >&2; exit 125 ;;
esac
"""


class Lab:
    def __init__(self, home: pathlib.Path) -> None:
        self.home = home
        self.folder = home / "my logs"
        self.folder.mkdir()
        podman = home / "podman client"
        podman.write_text(PODMAN)
        podman.chmod(0o755)
        (home / "state").write_text("stopped\n")
        one = logs.Logs("it's one", "libkrun", (str(self.folder),), max_bytes=100, keep=2, podman=str(podman))
        self.script = home / "rotate logs.sh"
        self.script.write_text(logs.script(one))

    def run(self) -> subprocess.CompletedProcess[str]:
        env = {"LAB": str(self.home), "HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        return subprocess.run(["/bin/sh", str(self.script)], env=env, text=True, capture_output=True, check=False)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Lab:
    return Lab(tmp_path)


@pytest.mark.parametrize("state", ["stopped", "running"])
def test_log_with_a_writer_is_emptied_without_loss(lab: Lab, state: str) -> None:
    (lab.home / "state").write_text(state + "\n")
    log = lab.folder / "sync receiver.log"
    (lab.folder / "small.log").write_text("x" * 100)
    (lab.folder / "data.json").write_text("y" * 500)
    written = []
    with log.open("a") as writer:
        for number in range(4):
            text = f"{number}" * 150
            writer.write(text)
            writer.flush()
            written.append(text)
            done = lab.run()
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert log.read_text() == ""
            assert gzip.decompress((lab.folder / "sync receiver.log.1.gz").read_bytes()).decode() == text
        writer.write("after")
    # There is no hole of zeros before the next text of the writer.
    assert log.read_text() == "after"
    kept = [gzip.decompress((lab.folder / f"sync receiver.log.{n}.gz").read_bytes()).decode() for n in (1, 2)]
    assert kept == [written[3], written[2]]
    assert lab.names() == [
        "data.json", "small.log", "sync receiver.log", "sync receiver.log.1.gz", "sync receiver.log.2.gz",
    ]  # fmt: skip
    calls = (lab.home / "calls").read_text()
    assert ("machine ssh" in calls) == (state == "running")


def test_links_are_kept_and_an_empty_directory_is_accepted(lab: Lab) -> None:
    assert lab.run().returncode == 0
    elsewhere = lab.home / "elsewhere"
    elsewhere.write_text("z" * 500)
    (lab.folder / "link.log").symlink_to(elsewhere)
    assert lab.run().returncode == 0
    assert elsewhere.stat().st_size == 500


def test_log_that_cannot_be_compressed_is_kept(lab: Lab) -> None:
    log = lab.folder / "a.log"
    log.write_text("q" * 500)
    # A directory has the name of the compressed copy, which has the effect of a full disk.
    (lab.folder / "a.log.new.gz").mkdir()
    done = lab.run()
    assert done.returncode == 1
    assert "cannot be rotated" in done.stderr
    assert log.stat().st_size == 500


def test_agent_runs_at_its_interval() -> None:
    made = logs.definition("/s.sh", "/s.log", 60)
    assert (made["StartInterval"], made["ProgramArguments"]) == (3600, ["/bin/sh", "/s.sh"])
