# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup runner against bare restic on the same files: first run, nothing changed, many small files, a volume.

OBX_BENCH_FILES (default 20000) small files and OBX_BENCH_MIB (default 300) of large ones; the aims are stated for
100000 and 1024: within 1.3 times bare restic for unchanged large files, within 1.15 times for small ones, less than
60 MB of memory for the runner. A volume has the large files: 1.3 times at first, 1.2 times unchanged. Bare restic
neither hashes files for a later comparison nor reads the written data again. Needs the testbed's Docker.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCHMARK = "backups of files: the runner against bare restic"
ROUNDS = 5
PACKAGE = "ansible_collections.onebox.stack.plugins.module_utils.backup"


def testbed(name: str) -> object:
    """A module of tests/testbed/backup."""
    spec = importlib.util.spec_from_file_location(f"obx_backup_{name}", ROOT / f"tests/testbed/backup/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install_runner(path: pathlib.Path) -> None:
    """The one-file runner, as the role installs it."""
    code = f"import sys; from {PACKAGE}.runner import install; install.install(sys.argv[1], sys.executable, False)"
    env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
    subprocess.run([sys.executable, "-c", code, str(path)], env=env, check=True)


TIMED = """
import subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic() - began)
"""
# Not by getrusage: a child's largest resident set begins there with that of the process it was forked from.
WEIGHED = """
import contextlib, os, re, runpy, sys
sys.argv = sys.argv[1:]
with contextlib.suppress(SystemExit), open(os.devnull, "w") as sys.stdout:
    runpy.run_path(sys.argv[0], run_name="__main__")
sys.stderr.write(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""


def timed(argv: list[str]) -> float:
    """Seconds of a command."""
    done = subprocess.run([sys.executable, "-c", TIMED, *argv], check=True, capture_output=True, text=True)
    return float(done.stdout)


def weighed(argv: list[str]) -> float:
    """The largest resident set of the runner itself, without what it starts, in MiB."""
    done = subprocess.run([sys.executable, "-c", WEIGHED, *argv], check=True, capture_output=True, text=True)
    return int(done.stderr) / 1024


def fill(place: pathlib.Path, small: int, mib: int) -> None:
    rng = random.Random(1)
    for number in range(small):
        if number % 1000 == 0:
            (place / f"d{number // 1000}").mkdir(parents=True)
        (place / f"d{number // 1000}" / f"f{number}").write_bytes(rng.randbytes(rng.randint(100, 4000)))
    (place / "large").mkdir(parents=True)
    for number in range(mib // 50):
        (place / "large" / f"l{number}").write_bytes(rng.randbytes(50 << 20))


class Pair:
    """The runner and bare restic, each with a repository of its own, over the same directory.

    Args:
        volume: the name of the Docker volume that is the directory; "" for a directory of the host.
    """

    def __init__(self, base: pathlib.Path, files: pathlib.Path, program: str, volume: str = "") -> None:
        base.mkdir()
        (base / "key").write_text("k\n", encoding="utf-8")
        repository = {
            "engine": "restic",
            "path": str(base / "a"),
            "password_file": str(base / "key"),
            "program": program,
        }
        config = {
            "stack": "bench",
            "state_dir": str(base / "state"),
            "reserve_mib": 0,
            # All rounds are of one day: without it each would delete one of the sets before.
            "retention": {"daily": 7, "weekly": 4, "min_keep": 30, "max_delete": 3},
            "repository": repository,
            "sources": [{"name": "files", "kind": "directory", "path": str(files)}],
        }
        if volume:
            config["sources"] = [{"name": "files", "kind": "volume", "volume_name": volume}]
            config.update(container_engine="docker", socket=os.environ["DOCKER_HOST"].removeprefix("unix://"))
        (base / "c.json").write_text(json.dumps(config), encoding="utf-8")
        install_runner(base / "onebox-backup")
        self.ours = [str(base / "onebox-backup"), "--config", str(base / "c.json"), "backup"]
        bare = [program, "-q", "-r", str(base / "b"), "-p", str(base / "key"), "--cache-dir", str(base / "cache")]
        # Made once and copied: what a key costs is found out by a measurement of the moment, and was half a second on
        # one side and a fifth on the other.
        subprocess.run([program, "-q", "-r", str(base / "a"), "-p", str(base / "key"), "init"], check=True)
        (base / "a").chmod(0o700)
        shutil.copytree(base / "a", base / "b")
        self.bare = [*bare, "backup", str(files)]

    def run(self) -> tuple[float, float]:
        return timed(self.ours), timed(self.bare)


@contextlib.contextmanager
def volume() -> t.Iterator[tuple[str, pathlib.Path]]:
    """A Docker volume and its directory."""
    name = f"obx-bench-{os.getpid()}"
    subprocess.run(["docker", "volume", "create", name], check=True, capture_output=True)
    try:
        words = ["docker", "volume", "inspect", "--format", "{{.Mountpoint}}", name]
        yield name, pathlib.Path(subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip())
    finally:
        subprocess.run(["docker", "volume", "rm", name], check=True, capture_output=True)


def told(what: str, ours: float, bare: float) -> None:
    print(f"{what}: {ours:.2f} s against {bare:.2f} s of bare restic: {ours / bare:.2f}x", flush=True)


def main() -> None:
    program = str(testbed("restic").ensure("trixie") / "restic")  # type: ignore[attr-defined]
    small, mib = int(os.environ.get("OBX_BENCH_FILES", "20000")), int(os.environ.get("OBX_BENCH_MIB", "300"))
    with tempfile.TemporaryDirectory(prefix="obx-backup-bench-") as scratch:
        base = pathlib.Path(scratch)
        for name, count, size in ((f"{mib} MiB in large files", 0, mib), (f"{small} small files", small, 0)):
            files = base / f"files-{count}"
            files.mkdir()
            fill(files, count, size)
            measure(name, Pair(base / f"pair-{count}", files, program))
        with volume() as (name, files):
            fill(files, 0, mib)
            measure(f"a volume of {mib} MiB", Pair(base / "pair-volume", files, program, name))


def measure(name: str, pair: Pair) -> None:
    told(f"{name}, first run", *pair.run())
    rounds = [pair.run() for _round in range(ROUNDS)]
    told(f"{name}, unchanged", *(min(column) for column in zip(*rounds, strict=True)))
    print(f"{name}: largest resident set of the runner {weighed(pair.ours):.0f} MiB")


if __name__ == "__main__":
    main()
