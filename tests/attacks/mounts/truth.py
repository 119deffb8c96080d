# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start containers whose application tries its data on a signal, and compare what it finds with the verdict."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import PodmanCli
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify

PREFIX = "obx-truth"
# On SIGUSR1 it writes 5000 bytes where D says (in a directory: to the file truth), or starts the program D.
APP = r"""
import os, signal, subprocess, sys, time
LOG = globals().get("LOG") or open("/o/log", "a")
D, MODE = os.environ.get("D", "/data"), os.environ.get("MODE", "write")
def attempt(*unused):
    try:
        if MODE == "exec":
            subprocess.run([D], check=True)
        elif MODE == "read":
            os.listdir(D) if os.path.isdir(D) else open(D, "rb").read()
        else:
            file = D + "/truth" if os.path.isdir(D) else D
            with open(file, "w" if file != D else "a") as stream:
                stream.write("x" * 5000)
                stream.flush()
                os.fsync(stream.fileno())
        print("TRUTH ok", file=LOG, flush=True)
    except OSError as error:
        print("TRUTH", error, file=LOG, flush=True)
signal.signal(signal.SIGUSR1, attempt)
print("UP", os.getuid(), file=LOG, flush=True)
while True:
    time.sleep(0.2)
"""
CHROOT = (
    "import os, signal, subprocess, sys, time\nos.makedirs('/jail/data', exist_ok=True)\n"
    "source = open('/t/app.py').read()\n"
    "LOG = open('/o/log', 'a')\n"
    "os.chroot('/jail')\nos.chdir('/')\nexec(source)\n"
)


def command(*argv: str | os.PathLike[str], check: bool = True, **options: t.Any) -> str:
    done = subprocess.run(
        [os.fspath(word) for word in argv], capture_output=True, text=True, timeout=60, check=False, **options
    )
    if check and done.returncode:
        raise AssertionError(f"{argv} failed with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout.strip()


class Lab:
    """One engine with applications in it."""

    def __init__(self, engine: t.Any, image: str) -> None:
        self.engine = engine
        self.image = image
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.tools = self.directory("tools")
        (self.tools / "app.py").write_text(APP)
        (self.tools / "chroot.py").write_text(CHROOT)
        for name in ("tini", "dumb-init"):
            # The kernel names a process after its program, so a shell of this name is an init with one child.
            shutil.copy("/bin/sh", self.tools / name)
        self._made: list[str] = []
        self._mounted: list[pathlib.Path] = []
        self._images: list[str] = []
        self._logs: dict[str, pathlib.Path] = {}
        self._ids: dict[str, str] = {}
        # Kept between layouts: engines are slow on a busy machine.
        # Podman's command line shows how a container was created, which its API does not: a directory as young as
        # these would be mistaken for one that the engine created.
        self._engine = (
            PodmanCli(World.real()) if engine.name == "podman" else find("docker", engine.socket, world=World.real())
        )

    @property
    def name(self) -> str:
        return self.engine.name

    def directory(self, name: str = "data", *, mode: int = 0o755, owner: int = 0) -> pathlib.Path:
        path = self.folder / name
        path.mkdir(parents=True)
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def mount(self, kind: str, point: pathlib.Path, *options: str, source: str = "none") -> None:
        command("mount", "-t", kind, *options, source, point)
        self._mounted.append(point)

    def disk(self, point: pathlib.Path, *options: str) -> pathlib.Path:
        """A small ext4 disk mounted at a place."""
        image = self.folder / f"disk-{len(self._mounted)}.img"
        with image.open("wb") as stream:
            stream.truncate(8 << 20)
        command("mkfs.ext4", "-q", "-F", *options, image)
        self.mount("ext4", point, "-o", "loop", source=str(image))
        return image

    def cli(self, *argv: str | os.PathLike[str], check: bool = True) -> str:
        return command(self.engine.name, *argv, check=check, env=self.engine.environ)

    def run(
        self,
        *options: str | os.PathLike[str],
        argv: t.Sequence[str] = ("python3", "-u", "/t/app.py"),
        image: str = "",
        ready: bool = True,
    ) -> str:
        """Start a container and wait until its application says that it is up."""
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns()}"
        self._made.append(name)
        out = self.folder / f"out-{len(self._made)}"
        out.mkdir()
        out.chmod(0o777)
        self._logs[name] = out / "log"
        self._logs[name].touch()
        self._logs[name].chmod(0o666)
        shared = ("--network", "none", "-v", f"{self.tools}:/t:ro", "-v", f"{out}:/o")
        self._ids[name] = self.cli("run", "-d", "--name", name, *shared, *options, image or self.image, *argv)
        if ready:
            self.until(lambda: "UP" in self.logs(name))
        return name

    def image_with(self, *lines: str) -> str:
        """An image upon the usual one."""
        tag = f"localhost/{PREFIX}-{os.getpid()}-{len(self._images)}:1"
        (self.folder / "Containerfile").write_text("\n".join([f"FROM {self.image}", *lines]) + "\n")
        empty = self.directory(f"context-{len(self._images)}")
        self.cli("build", "-q", "-t", tag, "-f", self.folder / "Containerfile", empty)
        self._images.append(tag)
        return tag

    def logs(self, name: str) -> str:
        """What the application said so far."""
        return self._logs[name].read_text()

    def pid(self, name: str) -> int:
        return self._engine.containers(names=[name])[0].pid

    def apps(self, name: str) -> list[int]:
        """The host's ids of the applications in a container, the youngest last."""
        identity = self._ids[name]
        found = []
        for place in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if place.name.isdigit() and identity in (place / "cgroup").read_text():
                    words = (place / "cmdline").read_bytes().split(b"\0")
                    ours = b"/t/app.py" in words or b"/t/chroot.py" in words
                    if ours and pathlib.Path(os.readlink(place / "exe")).name.startswith("python"):
                        found.append(int(place.name))
        return sorted(pid for pid in found if b"tini" not in pathlib.Path(f"/proc/{pid}/comm").read_bytes())

    def inside(self, name: str, *argv: str) -> str:
        """Do something in the container's mounts with the host's rights, as a privileged process there could."""
        return command("nsenter", "-t", str(self.pid(name)), "-m", "--", *argv)

    def truth(self, name: str, target: pathlib.Path, pid: int = 0, mode: str = "write") -> str:
        """What the application says when it tries, "" for ok; also whether it arrives at ``target`` on the host."""
        file = target / "truth" if target.is_dir() else target
        before = file.stat().st_size if file.is_file() else 0
        if file.name == "truth":
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
            before = 0
        said = self.logs(name).count("TRUTH")
        # The one that uses the data was started last.
        pid = pid or (self.apps(name) or [0])[-1]
        if not pid:
            return "no application runs"
        os.kill(pid, signal.SIGUSR1)
        with contextlib.suppress(AssertionError):
            self.until(lambda: self.logs(name).count("TRUTH") > said, 2.0)
        lines = [line for line in self.logs(name).splitlines() if line.startswith("TRUTH")]
        if len(lines) <= said:
            return "says nothing"
        if not lines[-1].endswith("TRUTH ok"):
            return lines[-1]
        if mode == "write" and (not file.exists() or file.stat().st_size < before + 5000):
            return "says ok, and nothing is on the host"
        return ""

    def proof(self, *names: str, **wanted: t.Any) -> dict[str, t.Any]:
        return verify(self._engine, Check(names=list(names), **wanted), world=World.real())

    def verdict(self, name: str, **wanted: t.Any) -> dict[str, t.Any]:
        """The first row that is not ok, if there is one."""
        (container,) = self.proof(name, **wanted)["containers"]
        rows = container["mounts"]
        return next((row for row in rows if row["verdict"] != "ok"), rows[0])

    @staticmethod
    def until(condition: t.Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the awaited condition did not come about"
            time.sleep(0.02)

    def forget(self) -> None:
        """Remove containers, mounts and directories, so that the next layout can begin."""
        if self._made:
            for name in self._made if self._frozen() else ():
                self.cli("unpause", name, check=False)
            patience = ("-t", "0") if self.name == "podman" else ()
            for _attempt in range(5):
                self.cli("rm", "-f", "-v", *patience, *self._made, check=False)
                # Podman does not remove a container that starts again at that moment.
                if not any(self.cli("ps", "-aq", "--filter", f"name=^{name}$") for name in self._made):
                    break
            else:
                raise AssertionError(f"not removed: {', '.join(self._made)}")
        for point in reversed(self._mounted):
            command("umount", "-l", point, check=False)
        self._made.clear()
        self._mounted.clear()
        for path in self.folder.iterdir():
            if path == self.tools:
                continue
            command("chattr", "-R", "-i", "-a", path, check=False)
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _frozen(self) -> bool:
        names = [name for name in self._made if name in self._ids]
        return any(row.status == "paused" for row in self._engine.containers(names=names))

    def close(self) -> None:
        self.forget()
        for tag in self._images:
            self.cli("rmi", "-f", tag, check=False)
        shutil.rmtree(self.folder)
