# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a service more costs a run of the role that finds nothing to do, from 5 to 50 services. Needs the testbed.

The whole of it: files compared, plan, lock, health gate, the proof of each mount as the process that runs, a set
compared.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable

from plan_services import Lab, backend
from role_box import Box

BENCHMARK = "growth of a run that finds nothing to do, by the service, from 5 to 50"
ROUNDS = 5
SERVICES = (5, 50)


def median_ms(action: Callable[[], object]) -> float:
    """Median wall time of ``action`` in milliseconds, after one round that does not count."""
    action()
    times = []
    for _round in range(ROUNDS):
        began = time.perf_counter()
        action()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def measure(services: int) -> tuple[float, float]:
    """Milliseconds of a whole run of the role, and of its deploying module alone, for that many services."""
    with tempfile.TemporaryDirectory(prefix="obx-bench-") as folder:
        root = pathlib.Path(folder)
        (root / "lab").mkdir()
        (root / "home").mkdir()
        lab = Lab(backend(), f"obx-bench-growth-{services}", root / "lab")
        try:
            for number in range(services):
                lab.services[f"s{number}"] = lab.service(volumes=["${DATA}:/data"], environment={"LEVEL": "${LEVEL}"})
            lab.write()
            box = Box(lab, root / "home")
            box.run()
            box.run()  # from here on nothing is new
            run = median_ms(box.run)
            stack = {"project_dir": str(box.deployed), "state_dir": str(root / "home" / "state")}
            module = median_ms(lambda: lab.stack(**stack).converge())
        finally:
            lab.clean()
    return run, module


def main() -> None:
    figures = {services: measure(services) for services in SERVICES}
    few, many = SERVICES
    (run_few, module_few), (run_many, module_many) = figures[few], figures[many]
    run, module = (run_many - run_few) / (many - few), (module_many - module_few) / (many - few)
    print(f"run of the role     {run_few:7.0f} ms with {few} services, {run_many:7.0f} ms with {many}")
    print(f"its module alone    {module_few:7.0f} ms with {few} services, {module_many:7.0f} ms with {many}")
    print(f"growth by service   {run:7.2f} ms of the run, {module:.2f} ms of the module (aim: under 15)")
    print(json.dumps({"run_growth_ms": run, "module_growth_ms": module}))


if __name__ == "__main__":
    main()
