"""A run of the watch as its timer starts it, against a shell script that only inspects and enters each container.

The watch also proves every mount as the application, reads promises, disks and notes, and writes its document.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests"))
importlib.import_module("conftest")  # makes the collection importable
import machine  # noqa: E402 - the path is set above
import proof_stage  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mounts import promised  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.watch import install  # noqa: E402

BENCHMARK = "a run of the watch for 1 and 10 services x 4 mounts against a script of inspect and exec; memory"
COUNTS = (1, 10)
TIMES = 10
# What is to be reached: seconds and megabytes for 10 services, and the share of a core at an interval of 5 minutes.
SECONDS, MEMORY, CORE, SCRIPT = 1.5, 40, 0.01, 1.0
INTERVAL = 300


class Cost(t.NamedTuple):
    """What one run takes: seconds, seconds of the processor, megabytes at most."""

    seconds: float
    processor: float
    memory: float


def once(argv: t.Sequence[str]) -> Cost:
    """Run a program and measure it with the processes that it starts."""
    began = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    assert os.waitstatus_to_exitcode(status) == 0, argv
    return Cost(taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def best(argv: t.Sequence[str]) -> Cost:
    """The least of several runs, which other work on the machine disturbs least, and the most memory."""
    costs = [once(argv) for _time in range(TIMES)]
    return Cost(
        min(cost.seconds for cost in costs),
        min(cost.processor for cost in costs),
        max(cost.memory for cost in costs),
    )


def configured(folder: pathlib.Path, names: t.Sequence[str], project: str) -> list[str]:
    """The command of the timer, for a stack that is as promised."""
    services = {f"s{number}": promised.Service(1, False) for number in range(len(names))}
    promised.save(str(folder / project / "promised.json"), promised.Promise(services, ()))
    stack = {"name": project, "engine": "docker", "state_dir": str(folder)}
    stack["socket"] = find("docker", world=World.real()).socket
    declared = {"version": 1, "name": project, "state_dir": str(folder / "watch"), "stacks": [stack], "units": []}
    config, program = str(folder / f"{project}.json"), str(folder / "onebox-watch")
    install.configuration(config, declared, False)
    install.program(program, "/usr/bin/python3", False)
    return [program, "--config", config, "run"]


def script(names: t.Sequence[str]) -> list[str]:
    """What people write instead: is each container running, and does a command in it answer?"""
    one = "docker inspect -f '{{.State.Status}}' %s && docker exec %s /bin/sh -c 'cat /proc/mounts'"
    return ["/bin/sh", "-ec", "; ".join(one % (name, name) for name in names)]


def main() -> None:
    before = machine.load()
    rows: list[tuple[int, Cost, Cost]] = []
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="obx-watch-bench-")))
        for count in COUNTS:
            project = f"obx-watch-bench-{count}"
            names = stack.enter_context(proof_stage.containers(count, project))
            argv = configured(folder, names, project)
            rows.append((count, best(argv), best(script(names))))
            found = json.loads((folder / "watch" / "watch.json").read_text())
            assert len(found["stacks"][0]["mounts"]["rows"]) == 4 * count, found["lines"]
    print(before)
    for count, watch, others in rows:
        print(
            f"{count:>3} services: {watch.seconds:.2f} s ({watch.processor:.2f} s of the processor), "
            f"{others.seconds / watch.seconds:.1f}x faster than the script ({others.seconds:.2f} s)"
        )
    (_one, few, _script), (_count, many, others) = rows
    print(
        f"{_held(many.seconds, SECONDS)} {many.seconds:.2f} s a run for {COUNTS[1]} services (to be under {SECONDS})\n"
        f"{_held(many.memory, MEMORY)} {many.memory:.0f} MB at most (to be under {MEMORY})\n"
        f"{_held(many.processor / INTERVAL, CORE)} {100 * many.processor / INTERVAL:.2f} % of a core at an interval of "
        f"{INTERVAL // 60} minutes (to be under {100 * CORE:.0f} %)\n"
        f"{_held(many.seconds / others.seconds, SCRIPT)} {many.seconds / others.seconds:.2f}x the script's time "
        f"(to be under {SCRIPT:.0f}x)\n"
        f"{_held(many.seconds / few.seconds, COUNTS[1])} {COUNTS[1]}x the services took "
        f"{many.seconds / few.seconds:.1f}x the time (to be under {COUNTS[1]}x)"
    )


def _held(value: float, limit: float) -> str:
    return "ok:    " if value <= limit else "MISSED:"


if __name__ == "__main__":
    main()
