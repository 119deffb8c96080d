"""Stop the fake cloud that ``oci_server.py FOLDER`` started, and wait until it has removed its machines.

Only a process that really is that cloud is ended; where none is, there is nothing to do. Standard library alone.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time

TIMEOUT = 120.0


def running(pid: int, folder: pathlib.Path) -> bool:
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(folder) in words and any(word.endswith(b"oci_server.py") for word in words)


def main() -> None:
    folder = pathlib.Path(sys.argv[1]).absolute()
    place = folder / "pid"
    pid = int(place.read_text()) if place.exists() else 0
    if not pid or not running(pid, folder):
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + TIMEOUT
    while running(pid, folder):
        if time.monotonic() > deadline:
            sys.exit(f"process {pid} has not ended within {TIMEOUT:.0f} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
