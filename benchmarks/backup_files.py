# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backup runner against bare restic on the same files: first run, nothing changed, many small files.

OBX_BENCH_FILES (default 20000) small files and OBX_BENCH_MIB (default 300) of large ones. The aims are 1.3x for the
second run of unchanged files, 1.15x for small files, and less than 60 MB of memory for the runner.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
BENCHMARK = "backups of files: the runner against bare restic"
ROUNDS = 3


def restic() -> str:
    spec = importlib.util.spec_from_file_location("obx_backup_restic", ROOT / "tests/testbed/backup/restic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.ensure("trixie") / "restic")


# A process of its own between: a child's largest resident set begins with that of the process it was forked from.
MEASURE = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def timed(argv: list[str], env: dict[str, str]) -> tuple[float, int]:
    """Seconds, and the largest resident set in KiB of the process and what it started."""
    done = subprocess.run([sys.executable, "-c", MEASURE, *argv], env=env, check=True, capture_output=True, text=True)
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def told(what: str, ours: float, bare: float, check: float) -> None:
    print(f"{what}: {ours:.1f} s against {bare:.1f} + check {check:.1f} s: {ours / (bare + check):.2f}x", flush=True)


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
    """The runner and bare restic, each with a repository of its own, over the same directory."""

    def __init__(self, base: pathlib.Path, files: pathlib.Path, program: str) -> None:
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
            "repository": repository,
            "sources": [{"name": "files", "kind": "directory", "path": str(files)}],
        }
        (base / "c.json").write_text(json.dumps(config), encoding="utf-8")
        package = "ansible_collections.onebox.stack.plugins.module_utils.backup"
        self.env = {**os.environ, "PYTHONPATH": str(ROOT / ".collections")}
        self.ours = [sys.executable, "-m", package, "--config", str(base / "c.json"), "backup"]
        bare = [program, "-q", "-r", str(base / "b"), "-p", str(base / "key"), "--cache-dir", str(base / "cache")]
        subprocess.run([*bare, "init"], check=True)
        self.bare = [*bare, "backup", str(files)]
        # What the runner does besides and bare restic users do, too: look whether the repository is whole.
        self.check = [*bare, "check", "--read-data-subset", "1/14"]

    def run(self) -> tuple[float, float, float]:
        ours, _memory = timed(self.ours, self.env)
        bare, _memory = timed(self.bare, self.env)
        check, _memory = timed(self.check, self.env)
        return ours, bare, check


def main() -> None:
    program = restic()
    small, mib = int(os.environ.get("OBX_BENCH_FILES", "20000")), int(os.environ.get("OBX_BENCH_MIB", "300"))
    with tempfile.TemporaryDirectory(prefix="obx-backup-bench-") as scratch:
        base = pathlib.Path(scratch)
        for name, count, size in (("large files", 0, mib), ("small files", small, 0)):
            files = base / name.replace(" ", "-")
            files.mkdir()
            fill(files, count, size)
            pair = Pair(base / f"pair-{name[0]}", files, program)
            told(f"{name}, first run", *pair.run())
            rounds = [pair.run() for _round in range(ROUNDS)]
            told(f"{name}, unchanged", *(min(column) for column in zip(*rounds, strict=True)))
        plain = json.loads((base / "pair-l" / "c.json").read_text(encoding="utf-8"))
        plain["repository"] = {"engine": "files", "path": str(base / "plain")}
        plain["state_dir"] = str(base / "plain-state")
        (base / "pair-l" / "c.json").write_text(json.dumps(plain), encoding="utf-8")
        seconds, memory = timed(pair.ours[:-2] + [str(base / "pair-l" / "c.json"), "backup"], pair.env)
        print(f"plain files, {mib} MiB: {seconds:.1f} s, runner's largest resident set {memory / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
