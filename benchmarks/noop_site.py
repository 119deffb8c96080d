"""A run of site.yml that finds nothing to do, against the same outcome with community.docker and ansible.builtin."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "testbed"))
from onebox_testbed import cli  # noqa: E402

BENCHMARK = "a run that finds nothing to do: site.yml against the usual modules, 97layer on Docker"
ROUNDS = 3


def play(playbook: str, variables: str, env: dict[str, str]) -> float:
    """Seconds of one whole run."""
    began = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", playbook, "-l", "demo", "-e", variables],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{playbook} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - began


def main() -> None:
    env = {**os.environ, **cli.environment(), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    with tempfile.TemporaryDirectory(prefix="obx-noop-site-") as place:
        shared = {
            "onebox_engine": "docker",
            "onebox_root": f"{place}/root",
            "onebox_state_dir": f"{place}/state",
            "layer97_workspace": f"{place}/97layerOS",
        }
        variables = json.dumps(shared)
        try:
            play("site.yml", variables, env)
            play("benchmarks/noop_site_peer.yml", variables, env)
            play("site.yml", variables, env)
            ours, theirs = [], []
            for _round in range(ROUNDS):
                ours.append(play("site.yml", variables, env))
                theirs.append(play("benchmarks/noop_site_peer.yml", variables, env))
        finally:
            play("playbooks/down.yml", json.dumps({**shared, "yes": "all"}), env)
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(
        f"site.yml {statistics.median(ours):.1f} s, the usual modules {statistics.median(theirs):.1f} s: "
        f"{ratio:.1f}x faster, mounts proven instead of written to"
    )


if __name__ == "__main__":
    main()
