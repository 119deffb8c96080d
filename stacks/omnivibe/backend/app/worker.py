"""The worker: does one job after the other. Like a Celery worker it keeps its code until it restarts."""

from __future__ import annotations

import json
import pathlib

from . import RELEASE
from .bus import QUEUE, Bus, BusError, Process

OUTPUTS = pathlib.Path("/app/outputs")


def main() -> None:
    process = Process("worker")
    bus = Bus()
    while not process.told.is_set():
        try:
            taken = bus("BRPOP", QUEUE, 1)
            if taken is None:
                continue
            job = json.loads(taken[1])
            result = f"{job['text'].upper()} (release {RELEASE})"
            (OUTPUTS / f"{job['id']}.txt").write_text(result, encoding="utf-8")
            bus("SET", f"result:{job['id']}", result, "EX", 3600)
        except (BusError, OSError, ValueError, KeyError) as error:
            print(f"worker: {error}", flush=True)
            process.told.wait(1)


if __name__ == "__main__":
    main()
