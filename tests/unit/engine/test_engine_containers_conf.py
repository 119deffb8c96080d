# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in file and the probe's program."""

import fcntl
import os
import platform
import subprocess
import tarfile
import threading
from io import BytesIO

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import containers_conf, preflight, probe

CHOICES = preflight.candidates(["runc"], [], 20000, 32768)
WORLD = World.real()


class Host:
    """Works once the drop-in sets limits: it reads the file as Podman would."""

    def __init__(self, file: containers_conf.DropIn) -> None:
        self.file = file
        self.probes = 0

    def __call__(self) -> str:
        self.probes += 1
        return "" if "default_ulimits" in self.file.read() else "error setting rlimits for ready process"


@pytest.fixture
def file(tmp_path):
    return containers_conf.DropIn(str(tmp_path / "containers.conf.d"))


def test_needed_settings_are_written_once(file):
    host = Host(file)
    assert file.settle(host, CHOICES, WORLD) is True
    assert preflight.names_in(file.read()) == ["default_ulimits"]
    host.probes = 0
    assert file.settle(host, CHOICES, WORLD) is False
    assert host.probes == 1


def test_nothing_is_written_where_the_defaults_work(file):
    assert file.settle(lambda: "", CHOICES, WORLD) is False
    assert not os.path.exists(os.path.dirname(file.path))


def test_when_nothing_helps_the_file_is_as_before(file):
    os.makedirs(os.path.dirname(file.path))
    file.write("# before\n")
    with pytest.raises(preflight.PreflightError):
        file.settle(lambda: "Error: no", CHOICES, WORLD)
    assert file.read() == "# before\n"
    assert os.listdir(os.path.dirname(file.path)) == [containers_conf.NAME]


def test_files_of_others_stay(file):
    other = os.path.join(os.path.dirname(file.path), "99-theirs.conf")
    os.makedirs(os.path.dirname(file.path))
    with open(other, "w") as stream:
        stream.write("[engine]\n")
    file.settle(Host(file), CHOICES, WORLD)
    file.write("")
    assert os.listdir(os.path.dirname(file.path)) == ["99-theirs.conf"]


def test_of_two_at_once_the_second_waits_and_finds_it_done(file):
    folder = os.path.dirname(file.path)
    os.makedirs(folder)
    host = Host(file)
    results = []
    first = os.open(folder, os.O_RDONLY)
    fcntl.flock(first, fcntl.LOCK_EX)
    second = threading.Thread(target=lambda: results.append(file.settle(host, CHOICES, WORLD)))
    second.start()
    second.join(0.5)
    assert second.is_alive()
    assert file.read() == ""
    file.write(preflight.render(CHOICES[:1]))
    os.close(first)
    second.join(20)
    assert results == [False]
    assert host.probes == 2


def test_folder_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "containers").write_text("a file")
    file = containers_conf.DropIn(str(tmp_path / "containers" / "containers.conf.d"))
    with pytest.raises(
        containers_conf.DropInError, match=r"containers\.conf\.d: .*; check the permissions and the disk"
    ):
        file.settle(lambda: "Error: no", CHOICES, WORLD)


def test_program_runs_and_ends_with_zero(tmp_path):
    with tarfile.open(fileobj=BytesIO(probe.probe_tar(platform.machine()))) as archive:
        # Not extract(): Debian 12's Python does not know its filter yet, and later ones want it.
        (tmp_path / "probe").write_bytes(archive.extractfile("probe").read())
    (tmp_path / "probe").chmod(0o755)
    assert os.path.getsize(tmp_path / "probe") < 200
    assert subprocess.run([tmp_path / "probe", "end"], check=False, timeout=10).returncode == 0
    waiting = subprocess.Popen([tmp_path / "probe"])
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.2)
    waiting.kill()
    waiting.wait(10)


def test_processor_without_a_program_is_named():
    with pytest.raises(probe.ProbeError, match="riscv64"):
        probe.probe_tar("riscv64")
