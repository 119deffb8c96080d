"""Containers to measure on: one static busybox, four bind mounts each, removed afterwards."""

from __future__ import annotations

import contextlib
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t

IMAGE = "obx-mounts-bench:1"
DESTINATIONS = ("/data", "/logs", "/config", "/cache")
MANY = 200


def _docker(*words: str, **options: t.Any) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True, **options).stdout


@contextlib.contextmanager
def containers(count: int, project: str = "") -> t.Iterator[list[str]]:
    """Names of ``count`` running containers, the services s0, s1 and so on of a compose project if there is one."""
    with tempfile.TemporaryDirectory(prefix="obx-mounts-bench-") as folder:
        _image(pathlib.Path(folder))
        names = [f"obx-mounts-bench-{count}-{number}" for number in range(count)]
        try:
            for name in names:
                labels = [f"project={project}", f"service=s{names.index(name)}"] if project else []
                binds = [word for label in labels for word in ("--label", f"com.docker.compose.{label}")]
                for destination in DESTINATIONS:
                    source = pathlib.Path(folder, name, destination[1:])
                    source.mkdir(parents=True)
                    binds += ["-v", f"{source}:{destination}"]
                _docker("run", "-d", "--network", "none", "--name", name, *binds, IMAGE, "/bin/sleep", "100000")
            yield names
        finally:
            # One after the other: Docker 20.10 can block for ever (libnetwork) when very many containers end at once.
            for name in names:
                subprocess.run(["docker", "rm", "-f", name], check=False, capture_output=True)
            subprocess.run(["docker", "rmi", "-f", IMAGE], check=False, capture_output=True)


def _image(folder: pathlib.Path) -> None:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("no busybox (Debian package busybox-static) for the image: run `make testbed`")
    root = folder / "image"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in ("sh", "sleep", "cat", "rm"):
        (root / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", root, "-cf", folder / "image.tar", "."], check=True)
    _docker("import", str(folder / "image.tar"), IMAGE)


def peak_memory() -> tuple[float, float]:
    """Megabytes that a check of many containers takes at most, child processes included, in a process of its own, and
    the seconds of the proof alone."""
    with containers(MANY):
        done = subprocess.run([sys.executable, __file__], check=True, capture_output=True, text=True)
    memory, seconds = done.stdout.split()
    return float(memory), float(seconds)


def _measure() -> None:
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
    import conftest  # noqa: F401
    from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
    from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
    from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify

    names = [f"obx-mounts-bench-{MANY}-{number}" for number in range(MANY)]
    world = World.real()
    assert verify(find("docker", world=world), Check(names=names, ephemeral=True), world=world)["ok"]
    used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    memory = max(used) / 1024
    taken = []
    for _time in range(5):
        began = time.perf_counter()
        verify(find("docker", world=world), Check(names=names, access="none"), world=world)
        taken.append(time.perf_counter() - began)
    print(memory, min(taken))


if __name__ == "__main__":
    _measure()
