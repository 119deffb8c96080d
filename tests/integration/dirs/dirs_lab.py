"""Real file systems for the tests of data_dirs: small disks in files, tmpfs, bind mounts, exFAT. All need root."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "testbed"))

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.dirs.ensure import ensure  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import Mounts  # noqa: E402
from onebox_testbed import packages  # noqa: E402
from onebox_testbed.base import CACHE  # noqa: E402

APP = 999


def command(*words: object) -> str:
    """Run a command that must succeed and return its output."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


class Lab:
    """A directory that other users can pass through (pytest's own is closed), and the mounts in it."""

    def __init__(self) -> None:
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="obx-dirs-"))
        self.place.chmod(0o755)
        self._mounted: list[pathlib.Path] = []
        self._immutable: list[pathlib.Path] = []

    def run(self, *entries: dict, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        options = {
            "base": str(self.place / "srv"),
            "deploy_dir": None,
            "state_dir": str(self.place / "state"),
            "mounts": Mounts(World.real()),
            **options,
        }
        return ensure(entries, check=check, **options)

    def refused(self, *entries: dict, **options: t.Any) -> str:
        """The message of the only problem, which is the same in check mode."""
        checked = self.run(*entries, check=True, **options)
        result = self.run(*entries, **options)
        assert checked["problems"] == result["problems"]
        assert not result["changed"]
        (problem,) = result["problems"]
        return problem["message"]

    def disk(self, name: str, size: str = "16M", *mkfs: str) -> pathlib.Path:
        """An ext4 file system in a file; mount it with :meth:`mount`."""
        image = self.place / f"{name}.img"
        command("truncate", "-s", size, image)
        command("mkfs.ext4", "-q", "-m", "0", *mkfs, image)
        return image

    def mount(self, *words: object, at: pathlib.Path) -> pathlib.Path:
        """Run ``mount`` with these arguments, at a directory that is created."""
        at.mkdir(parents=True, exist_ok=True)
        command("mount", *words, at)
        self._mounted.append(at)
        return at

    def unmount(self, at: pathlib.Path) -> None:
        command("umount", at)
        self._mounted.remove(at)

    def freeze(self, path: pathlib.Path) -> None:
        """Make ``path`` immutable until the end of the test."""
        command("chattr", "+i", path)
        self._immutable.append(path)

    def exfat(self, at: pathlib.Path, size: str = "16M") -> pathlib.Path:
        """A real exFAT: the kernel's if it has one, otherwise FUSE's."""
        image = self.place / "exfat.img"
        command("truncate", "-s", size, image)
        unpacked = CACHE / "exfat"
        if shutil.which("mkfs.exfat") and "exfat" in pathlib.Path("/proc/filesystems").read_text():
            command("mkfs.exfat", image)
            return self.mount("-o", "loop", image, at=at)
        if not unpacked.is_dir():
            packages.unpack("bookworm", ["exfat-fuse", "exfatprogs", "libfuse2"], unpacked)
        command(next(unpacked.glob("**/mkfs.exfat")), image)
        at.mkdir(parents=True, exist_ok=True)
        libraries = next(unpacked.glob("**/libfuse.so.2")).parent
        device = command("losetup", "-f", "--show", image).strip()
        try:
            command("env", f"LD_LIBRARY_PATH={libraries}", next(unpacked.glob("**/mount.exfat-fuse")), device, at)
            self._mounted.append(at)
        finally:
            command("losetup", "-d", device)  # the device is removed when it is unmounted
        return at

    def close(self) -> None:
        for path in self._immutable:
            command("chattr", "-i", path)
        for at in reversed(self._mounted):
            command("umount", at)
        shutil.rmtree(self.place)


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    assert os.geteuid() == 0, "these tests mount file systems: run them as root"
    made = Lab()
    with contextlib.closing(made):
        yield made


def as_user(uid: int, gid: int, work: t.Callable[[], t.Any], groups: t.Sequence[int] = ()) -> t.Any:
    """The result of ``work`` as another user, in its own process. It must be valid JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setgroups(list(groups))
            os.setgid(gid)
            os.setuid(uid)
            try:
                answer = {"answer": work()}
            except OSError as error:
                answer = {"error": type(error).__name__}
            os.write(writing, json.dumps(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    os.waitpid(child, 0)
    answer = json.loads(text)
    return answer.get("answer", answer.get("error"))


def kill_when(condition: t.Callable[[], bool], work: t.Callable[[], t.Any]) -> None:
    """Start ``work`` in its own process and kill it with SIGKILL as soon as ``condition`` is true."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    while not condition():
        assert os.waitpid(child, os.WNOHANG) == (0, 0), "the work ended before it could be killed"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
