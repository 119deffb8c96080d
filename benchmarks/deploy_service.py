# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deploy of one changed service costs: against a bare ``docker compose up -d --wait`` of it. Needs the testbed.

The service has the healthcheck of this collection's own stacks, every five seconds. Ours plans, locks, applies, waits
until it is healthy and stays so for a second, proves the mounts and keeps a set to go back to.
"""

from __future__ import annotations

import json
import pathlib
import statistics
import tempfile
import time

from plan_services import Lab, backend

BENCHMARK = "deploy of one changed service of eight, against a bare docker compose up -d --wait"
ROUNDS = 5


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="obx-compose-bench-") as folder:
        lab = Lab(backend(), "obx-compose-bench-deploy", pathlib.Path(folder))
        check = {"test": ["CMD", "true"], "interval": "5s", "timeout": "5s", "retries": 3}
        try:
            for number in range(7):
                lab.services[f"s{number}"] = lab.service(volumes=["${DATA}:/data"])
            lab.services["web"] = lab.service(
                volumes=["${DATA}:/data"], environment={"N": "${LEVEL}"}, healthcheck=check
            )
            lab.deploy()
            ours, bare, steps = [], [], []
            for number in range(ROUNDS):
                lab.variables["LEVEL"] = f"ours {number}"
                lab.write()
                began = time.perf_counter()
                result = lab.stack(settle=3.0).converge()
                ours.append(time.perf_counter() - began)
                steps.append(result["timings_ms"])
                lab.variables["LEVEL"] = f"bare {number}"
                lab.write()
                began = time.perf_counter()
                lab.bare("up", "-d", "--wait", "web")
                bare.append(time.perf_counter() - began)
        finally:
            lab.clean()
    one, other = statistics.median(ours), statistics.median(bare)
    print(f"compose_stack        {one:6.2f} s")
    print(f"bare up -d --wait    {other:6.2f} s")
    print(f"ratio                {one / other:6.2f}   (aim: at most 1.3)")
    print(json.dumps({"ours_s": one, "bare_s": other, "ratio": one / other, "steps_ms": steps[-1]}))


if __name__ == "__main__":
    main()
