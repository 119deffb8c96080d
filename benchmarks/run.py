"""Run every benchmark, or the named ones: python benchmarks/run.py [NAME ...]

A benchmark is a file of this folder with a line ``BENCHMARK = "what is compared"`` and a ``main()`` that prints ratios
measured side by side in one run. Absolute times are for the machine at hand only; the ratios are what is claimed.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def benchmarks() -> dict[str, str]:
    """Name and subject of each benchmark, by file name."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        subject = re.search(r'^BENCHMARK = "(.+)"$', path.read_text(), re.MULTILINE)
        if subject:
            found[path.stem] = subject.group(1)
    return found


def main() -> None:
    known = benchmarks()
    wanted = sys.argv[1:] or list(known)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"no benchmark called {', '.join(unknown)}; there are: {', '.join(known)}")
    failed = []
    for name in wanted:
        print(f"\n== {name}: {known[name]}", flush=True)
        if subprocess.run([sys.executable, HERE / f"{name}.py"], check=False).returncode != 0:
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
