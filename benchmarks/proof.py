"""The mount proof against what one would do instead: a canary file by ``docker exec``, per container and per mount.

The floor is the least that any proof must do, written without a function too many: ask the engine for each container,
read its mount table, and compare device and inode of source and destination for each mount.
"""

from __future__ import annotations

import contextlib
import importlib
import pathlib
import subprocess
import sys
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
importlib.import_module("conftest")  # makes the collection importable
import proof_floor  # noqa: E402
import proof_stage  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.engine.find import find  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import verify  # noqa: E402

BENCHMARK = "the mount proof against exec canaries, 1, 10 and 50 containers x 4 mounts"
COUNTS = (1, 10, 50)


def seconds(work: t.Callable[[], object], times: int) -> float:
    """The best of some runs, which other work on the machine disturbs least; one before warms the caches."""
    work()
    taken = []
    for _time in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def canary(name: str, destinations: t.Sequence[str]) -> None:
    """What people do: write a file through the container, look for it, remove it."""
    script = "; ".join(
        f"echo x > {place}/.canary && cat {place}/.canary && rm {place}/.canary" for place in destinations
    )
    subprocess.run(["docker", "exec", name, "/bin/sh", "-ec", script], check=True, stdout=subprocess.DEVNULL)


def once(work: t.Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    rows = []
    with contextlib.ExitStack() as stack:
        for count in COUNTS:
            names = stack.enter_context(proof_stage.containers(count))
            rows.append((count, *measure(names)))
    print(
        f"{'containers x 4':>14} {'proof':>8} {'and write':>9} {'floor':>8}   {'exec/container':>14} {'exec/mount':>10}"
    )
    for count, proof, written, floor, by_container, by_mount in rows:
        print(
            f"{count:>14} {proof * 1000:>6.1f}ms {written * 1000:>7.1f}ms {floor * 1000:>6.1f}ms   "
            f"{by_container / proof:>12.0f}x {by_mount / proof:>9.0f}x"
        )
    count, proof, written, floor, by_container, by_mount = rows[-1]
    print(
        f"{count}x4: the proof is {by_container / proof:.0f}x faster than one exec a container, "
        f"{by_mount / proof:.0f}x faster than one a mount, and {proof / floor:.2f}x the floor;\n"
        f"with writing as the application it is {by_container / written:.0f}x faster than one exec a container. "
        f"{count // rows[0][0]}x the containers took {proof / rows[0][1]:.0f}x the time."
    )
    print(f"peak memory of a check of {proof_stage.MANY} containers: {proof_stage.peak_memory():.0f} MB")


def measure(names: t.Sequence[str]) -> tuple[float, float, float, float, float]:
    """Seconds for the proof, the proof with write probes, the floor, one exec a container, one exec a mount."""
    places = proof_stage.DESTINATIONS

    def check(access: str) -> None:
        # A fresh connection each time, as a module run has it.
        result = verify(find("docker"), names=names, access=access)
        assert result["ok"], result["table"]

    times = 9
    proof = seconds(lambda: check("none"), times)
    floor = seconds(lambda: proof_floor.check(names), times)
    written = seconds(lambda: check("write"), times)
    by_container = once(lambda: [canary(name, places) for name in names])
    by_mount = once(lambda: [canary(name, [place]) for name in names for place in places])
    return proof, written, floor, by_container, by_mount


if __name__ == "__main__":
    main()
