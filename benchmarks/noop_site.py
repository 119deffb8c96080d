"""A run of site.yml that finds nothing to do, against the same outcome with community.docker and ansible.builtin."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "testbed"))
import machine  # noqa: E402 - the path is set above
from onebox_testbed import cli  # noqa: E402

BENCHMARK = "a run that finds nothing to do: site.yml against the usual modules, 97layer on Docker"
ROUNDS = 3
STACK = "obx-noop-site"
# Ports of the stack, and those of its copy.
PORTS = {8081: 18181, 9876: 19876}


def own_stack(place: pathlib.Path) -> dict[str, t.Any]:
    """Copy the stack with names and ports of its own, so that it can run next to make demo. Returns its variables."""
    folder = place / "stacks" / STACK
    shutil.copytree(ROOT / "stacks" / "97layer", folder)
    text = (
        (folder / "compose.yml").read_text().replace("97layer-", f"{STACK}-").replace("name: 97layer", f"name: {STACK}")
    )
    for here, there in PORTS.items():
        text, count = re.subn(rf'"{here}:', f'"{there}:', text)
        assert count == 1, f"the stack publishes port {here} {count} times"
    (folder / "compose.yml").write_text(text)
    return {
        "onebox_stack": STACK,
        "compose_stack_name": STACK,
        "compose_stack_source": str(folder),
        "compose_stack_project_dir": f"{place}/root/{STACK}",
        "compose_stack_public_ports": list(PORTS.values()),
        "compose_stack_http_checks": [{"url": f"http://127.0.0.1:{port}/status"} for port in PORTS.values()],
    }


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
    env = machine.environment(**cli.environment(), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"))
    with tempfile.TemporaryDirectory(prefix="obx-noop-site-") as place:
        shared = {
            "onebox_engine": "docker",
            "onebox_root": f"{place}/root",
            "onebox_state_dir": f"{place}/state",
            "layer97_workspace": f"{place}/97layerOS",
            **own_stack(pathlib.Path(place)),
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
