"""The mount tests on a real engine: start containers, break their mounts, query the verdict."""

from __future__ import annotations

import collections
import os
import pathlib
import subprocess
import time
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover

ENGINES = ("docker", "podman")
ROOTLESS = "podman, rootless"
PREFIX = "obx-mounts"
IMAGE = "localhost/obx-mounts-tiny:1"
APPLETS = (
    *("sh", "sleep", "su", "setpriv", "mount", "umount"),
    *("mkdir", "mkfifo", "touch", "ln", "rm", "mv", "dd", "cat", "grep", "seq"),
)
ADVICE = "run `make testbed`, which starts the engines and has the packages the integration tests need"


def command(*words: str | os.PathLike[str], check: bool = True, **options: t.Any) -> str:
    """Run a command of the test itself and return its output."""
    done = subprocess.run(
        [os.fspath(word) for word in words], capture_output=True, text=True, timeout=60, check=False, **options
    )
    if check and done.returncode:
        raise AssertionError(f"{words} failed with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout.strip()


# Results so far: engine and verdict, and the fixes. The summary shows it.
SEEN: dict[tuple[str, str], set[str]] = collections.defaultdict(set)


def proof(
    engine: Engine, *, through: Prover | None = None, fstab: str = "/etc/fstab", **wanted: t.Any
) -> dict[str, t.Any]:
    """What the check of these containers returns; ``wanted`` as :class:`Check` has it."""
    return verify(engine, Check(**wanted), world=World.real(), through=through, fstab=fstab)


class Lab:
    """One engine, with the actions of a test."""

    def __init__(self, engine: Engine, folder: pathlib.Path) -> None:
        self.engine = engine
        self.folder = folder
        self._made: list[str] = []
        self._volumes: list[str] = []
        self._mounted: list[pathlib.Path] = []

    @property
    def name(self) -> str:
        return self.engine.name

    def cli(self, *words: str | os.PathLike[str], check: bool = True) -> str:
        return command(self.engine.name, *words, check=check)

    def directory(self, name: str, *, mode: int = 0o755, owner: int = 0) -> pathlib.Path:
        path = self.folder / name
        path.mkdir(parents=True)
        path.chmod(mode)
        os.chown(path, owner, owner)
        return path

    def volume(self) -> str:
        """A fresh name for a volume; the engine makes the volume with the container."""
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns()}"
        self._volumes.append(name)
        return name

    def run(self, *options: str | os.PathLike[str], argv: t.Sequence[str] = (), wait: bool = True) -> str:
        """Start a container and return its name."""
        name = self.create(*options, argv=argv)
        self.cli("start", name)
        if wait:
            # ``start`` returns before the container's program has replaced the runtime's.
            self.until(lambda: self.comm(name) not in ("runc:[2:INIT]", "runc", "crun", ""))
        return name

    def create(self, *options: str | os.PathLike[str], argv: t.Sequence[str] = ()) -> str:
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns()}"
        self._made.append(name)
        self.cli("create", "--name", name, "--network", "none", *options, IMAGE, *(argv or ("/bin/sleep", "100000")))
        return name

    def create_by_api(self, socket: str, *options: str) -> str:
        """Create a container through an engine's Docker-compatible API."""
        name = f"{PREFIX}-{os.getpid()}-{time.monotonic_ns()}"
        self._made.append(name)
        words = ("docker", "create", "--name", name, "--network", "none", *options, IMAGE, "/bin/sleep", "100000")
        command(*words, env=dict(os.environ, DOCKER_HOST=f"unix://{socket}"))
        return name

    def pid(self, name: str) -> int:
        return int(self.cli("inspect", "-f", "{{.State.Pid}}", name))

    def comm(self, name: str) -> str:
        try:
            return pathlib.Path(f"/proc/{self.pid(name)}/comm").read_text().strip()
        except OSError:
            return ""

    def restart(self, name: str) -> None:
        self.cli("restart", "-t", "0", name)
        self.until(lambda: self.comm(name) == "sleep")

    def inside(self, name: str, *words: str) -> str:
        """Do something in the container's mounts with the host's rights, as a privileged process there could."""
        return command("nsenter", "-t", str(self.pid(name)), "-m", "-p", "--", *words)

    def mount(self, kind: str, point: pathlib.Path, *options: str, source: str = "none") -> None:
        command("mount", "-t", kind, *options, source, point)
        self._mounted.append(point)

    def unmount(self, point: pathlib.Path) -> None:
        command("umount", "-l", point)
        self._mounted.remove(point)

    def proof(self, name: str, **options: t.Any) -> dict[str, t.Any]:
        result = proof(self.engine, names=[name], **options)
        for container in result["containers"]:
            for row in container["mounts"]:
                SEEN[self.name, row["verdict"]].add(row["fix"])
        # ok means that nothing is left unproven; a container without mounts has nothing to prove.
        assert result["ok"] <= (result["summary"]["ok"] == result["summary"]["checked"]), result["table"]
        return result

    def verdict(self, name: str, destination: str = "/data", **options: t.Any) -> dict[str, t.Any]:
        """The row about one destination."""
        (container,) = self.proof(name, **options)["containers"]
        return next(row for row in container["mounts"] if row["destination"] == destination)

    @staticmethod
    def until(condition: t.Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the awaited condition did not come about"
            time.sleep(0.01)

    def close(self) -> None:
        for name in self._made:
            # Podman would first wait for the program to end by itself.
            self.cli("rm", "-f", "-v", *(("-t", "0") if self.name == "podman" else ()), name, check=False)
        for name in self._volumes:
            self.cli("volume", "rm", "-f", name, check=False)
        for point in reversed(self._mounted):
            command("umount", "-l", point, check=False)
