"""What a launch loop costs: requests sent for one attempt, memory while it waits, seconds until a killed one continues.

All real: ansible-playbook, Oracle's SDK, and the fake cloud on loopback, which counts what arrives. The other side is
what a task of oracle.oci.oci_compute_instance does for one launch: the SDK's client with its default retry strategy
(its waits are left out here, its requests are not). Ends with exit code 1 when a promise is not kept.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

BENCHMARK = "OCI: POSTs for one attempt against the SDK's default, memory while waiting, time to continue after a kill"

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "testbed" / "oci"), str(ROOT / "tests" / "testbed")]

importlib.import_module("conftest")  # makes the collection importable
from oci_simulation import KEY  # noqa: E402
from oci_world import COMPARTMENT, IMAGE, SUBNET, World  # noqa: E402
from onebox_testbed.daemons import descendants  # noqa: E402

MEMORY_MB = 120.0
RESUME_SECONDS = 2.0
KILLS = 5


class LaunchLoop:
    """One launch by ansible-playbook that never gets anything but "Out of host capacity"."""

    def __init__(self, folder: pathlib.Path, endpoint: str, config_file: pathlib.Path) -> None:
        self.state = folder / "state.json"
        task = {
            "name": "coinpilot-ins",
            "compartment_id": COMPARTMENT,
            "subnet_id": SUBNET,
            "image_id": IMAGE,
            "ssh_public_key": KEY,
            "config_file": str(config_file),
            "endpoint": endpoint,
            "state_file": str(self.state),
            "capacity_interval": 600,
            "interval_floor": 300,
        }
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"onebox.stack.oci_capacity_launch": task}]}
        self.playbook = folder / "play.yml"
        self.playbook.write_text(json.dumps([play]))

    def start(self) -> subprocess.Popen[str]:
        program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
        environ = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([program, str(self.playbook)], cwd=ROOT, env=environ, text=True, stdout=subprocess.PIPE)


def until(process: subprocess.Popen[str], word: str) -> float:
    """Seconds from now until the process prints a line with ``word``."""
    began = time.monotonic()
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return time.monotonic() - began
    raise SystemExit(f"it ended without saying: {word}")


def memory_mb(ancestor: int) -> float:
    """What a process and all below it hold, pages they share counted once (PSS)."""
    total = 0
    for pid in (ancestor, *descendants(ancestor)):
        with contextlib.suppress(OSError):
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total / 1024


def processor_seconds(ancestor: int) -> float:
    """What a process and all below it have used of the processor, children that ended included."""
    ticks = 0
    for pid in (ancestor, *descendants(ancestor)):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime of proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def kill(process: subprocess.Popen[str]) -> None:
    for pid in (process.pid, *descendants(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def posts_of_the_sdk(endpoint: str, config_file: pathlib.Path) -> None:
    """One launch as Oracle's own Ansible collection sends it."""
    oci: t.Any = importlib.import_module("oci")
    oci.retry.retry.time.sleep = lambda seconds: None
    client = oci.core.ComputeClient(oci.config.from_file(str(config_file)), service_endpoint=endpoint)
    models = oci.core.models
    details = models.LaunchInstanceDetails(compartment_id=COMPARTMENT, shape="VM.Standard.A1.Flex", display_name="x")
    with contextlib.suppress(oci.exceptions.ServiceError):
        client.launch_instance(details, retry_strategy=oci.retry.DEFAULT_RETRY_STRATEGY)


def main() -> None:
    server_module = importlib.import_module("oci_server")
    signature = importlib.import_module("oci_signature")
    problems = []
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        account = signature.make_account(folder)
        with server_module.Server(World(time.time, otherwise="cap"), account.keys) as server:
            loop = LaunchLoop(folder, server.endpoint, account.config_file)
            process = loop.start()
            until(process, "out of capacity")
            own, held = server.posts(), memory_mb(process.pid)
            resumed, used = [], []
            for _unused in range(KILLS):
                kill(process)
                process = loop.start()
                resumed.append(until(process, "continuing after 1 attempt"))
                used.append(processor_seconds(process.pid))
            kill(process)
            if server.posts() != own:
                problems.append("a killed launch loop sent a request before its time")
            posts_of_the_sdk(server.endpoint, account.config_file)
            theirs = server.posts() - own
    # What else runs on the machine can only add to it, so the fastest counts.
    took = min(resumed)
    print(f"OCI footprint: {own} POST for one attempt, {theirs} by the SDK's default retries")
    print(f"waiting holds {held:.0f} MB (limit {MEMORY_MB:.0f})")
    print(
        f"continues {took:.2f} s after a kill -9, from the start of ansible-playbook; {min(used):.2f} s of that is "
        f"processor time; median {statistics.median(resumed):.2f} s (limit {RESUME_SECONDS:.0f} s)"
    )
    problems += [f"{own} POSTs for one attempt"] if own != 1 else []
    problems += ["too much memory"] if held > MEMORY_MB else []
    problems += ["too slow to continue"] if took > RESUME_SECONDS else []
    if problems:
        sys.exit("; ".join(problems))


if __name__ == "__main__":
    main()
