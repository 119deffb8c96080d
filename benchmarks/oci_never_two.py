"""10,000 random histories with a kill at random steps, unknown outcomes of every kind and clock jumps.

How many double or lost instances? The answer must be 0 and 0; anything else ends with exit code 1 and the seeds.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
import time

BENCHMARK = "OCI: double and lost instances in 10,000 histories with kills at random steps (simulated)"

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "testbed" / "oci")]

importlib.import_module("conftest")  # makes the collection importable
from oci_histories import play  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=10_000)
    options = parser.parse_args()
    began = time.monotonic()
    doubles, lost, kills, launches, captured = [], [], 0, 0, 0
    for seed in range(options.histories):
        verdict = play(seed)
        doubles += [seed] if verdict.doubles else []
        lost += [seed] if verdict.lost else []
        kills += verdict.kills
        launches += verdict.launches
        captured += verdict.captured
    print(
        f"OCI never two: {options.histories} histories, {launches} launch requests, {kills} kills, {captured} "
        f"captured: {len(doubles)} double, {len(lost)} lost ({time.monotonic() - began:.0f} s)"
    )
    if doubles or lost:
        sys.exit(f"double: {doubles[:20]}, lost: {lost[:20]}")


if __name__ == "__main__":
    main()
