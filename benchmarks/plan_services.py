# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan costs: against one ``docker compose config``, and by the service. Needs the testbed's Docker."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "testbed"), str(ROOT / "tests" / "integration" / "compose")]

importlib.import_module("conftest")  # makes the collection importable
from compose_lab import Backend, Lab  # noqa: E402
from onebox_testbed import compose, docker, images  # noqa: E402

BENCHMARK = "a plan against one docker compose config, and its growth by the service"
ROUNDS = 9


def alternating_ms(one, other) -> tuple[float, float]:
    """Median wall times of two actions in milliseconds; in turns, so that a busy host slows down both."""
    one(), other()
    times: tuple[list[float], list[float]] = ([], [])
    for _round in range(ROUNDS):
        for action, row in zip((one, other), times):
            began = time.perf_counter()
            action()
            row.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def backend() -> Backend:
    """Docker and the compose plugin of the testbed."""
    socket = docker.find()
    if socket is None:
        raise SystemExit("no Docker engine answers; run: make testbed")
    plugin = sorted(compose.of_suite("trixie").glob("usr/lib*/docker/cli-plugins/docker-compose"))[0]
    env = {**os.environ, **docker.environment(socket), "DOCKER_CONFIG": str(plugin.parents[1])}
    return Backend("bench", "docker", socket, "docker-compose", str(plugin), env, images.TINY)


def measure(services: int, deployed: bool = True) -> tuple[float, float]:
    """Milliseconds of a plan and of one ``config``, for a stack of that many services.

    Args:
        deployed: whether it runs. Otherwise it is a stranger's: with files next to it, and images that are not
            on this host.
    """
    with tempfile.TemporaryDirectory(prefix="obx-compose-bench-") as folder:
        lab = Lab(backend(), f"obx-compose-bench-{services}", pathlib.Path(folder))
        try:
            for number in range(services):
                lab.services[f"s{number}"] = lab.service(
                    volumes=["${DATA}:/data"], environment={"LEVEL": "${LEVEL}", "NUMBER": str(number)}
                )
                if not deployed:
                    volumes = ["./conf:/etc/conf:ro", "${DATA}:/data"]
                    lab.services[f"s{number}"].update(image=f"example.org/none/s{number}:1", volumes=volumes)
            if deployed:
                lab.deploy(wait_timeout=120.0)
            else:
                (lab.folder / "conf").mkdir()
                lab.write()
            argv = [lab.backend.provider_path, "-p", lab.project, "--project-directory", str(lab.folder)]
            argv += ["-f", str(lab.folder / "compose.yml"), "--env-file", str(lab.folder / ".env")]
            argv += ["config", "--format", "json"]
            plan, config = alternating_ms(
                lambda: lab.stack().preview(),
                lambda: subprocess.run(argv, env=lab.backend.environ, stdout=subprocess.DEVNULL, check=True),
            )
        finally:
            lab.clean()
    return plan, config


def main() -> None:
    figures = {services: measure(services) for services in (5, 8, 50)}
    plan, config = figures[8]
    growth = (figures[50][0] - figures[5][0]) / 45
    print(f"plan of 8 services  {plan:7.1f} ms")
    print(f"one config          {config:7.1f} ms")
    print(f"ratio               {plan / config:7.2f}   (aim: at most 2)")
    print(f"growth by service   {growth:7.2f} ms, from 5 to 50 services (aim: under 15)")
    strangers = {services: measure(services, deployed=False) for services in (2, 10, 18)}
    for services, (took, once) in strangers.items():
        print(
            f"never deployed, {services:2} services: {took:6.1f} ms, one config {once:6.1f} ms, ratio {took / once:.2f}"
        )
    print("(aim: at most 1.5)")
    ratios = {services: took / once for services, (took, once) in strangers.items()}
    print(
        json.dumps(
            {"strangers": ratios, "plan_ms": plan, "config_ms": config, "ratio": plan / config, "growth_ms": growth}
        )
    )


if __name__ == "__main__":
    main()
