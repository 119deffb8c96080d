# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twelve compose files, started by podman-compose and by quadlets on one Podman 5.4, compared field by field.

Heavier: it runs with ``make test-quadlet``.
"""

from __future__ import annotations

import fnmatch
import json
import pathlib
import shutil
import subprocess

import pytest
from onebox_testbed import docker, hosts, podman
from quadlet_table import REASONS

ROOT = pathlib.Path(__file__).resolve().parents[3]
# coinpilot has configs, which podman-compose ignores, and media a device that a host of the testbed lacks.
FOLDERS = {
    **{name: f"stacks/{name}" for name in ("97layer", "nightguard", "observer", "omnivibe")},
    **{name: f"tests/corpus/stacks/{name}" for name in ("monitor", "proxy", "search", "shop", "vpn", "wiki")},
    **{f"m-{name}": f"molecule/{name}/stack" for name in ("compose_stack", "verify")},
}
CONF = """[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
[containers]
default_ulimits = ["nofile={limit}:{limit}"]
"""


def flat(value, path=""):
    """Each field of an inspected container: its path and its value. A list is one value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def fields(container: dict) -> dict:
    """The fields of a container without its id, with lists that have no order sorted."""
    identity = container["Id"]
    found = json.loads(json.dumps(container).replace(identity, "ID").replace(identity[:12], "ID"))
    found["Mounts"].sort(key=lambda row: row["Destination"])
    found["Config"]["Env"].sort()
    (found["HostConfig"]["Binds"] or []).sort()
    return dict(flat(found))


def differences(one: dict, other: dict) -> dict:
    """Path -> both values of each field that differs."""
    left, right = fields(one), fields(other)
    missing = "(missing)"
    return {
        path: (left.get(path, missing), right.get(path, missing))
        for path in sorted({*left, *right})
        if left.get(path, missing) != right.get(path, missing)
    }


def reason(path: str) -> str:
    """The reason for a difference; "" for none."""
    return next((text for pattern, text in REASONS.items() if fnmatch.fnmatchcase(path, pattern)), "")


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A Debian 13 host with Podman 5.4 and podman-compose 1.6."""
    socket = docker.find()
    name = hosts.start(
        socket, "equality", "debian13-podman", ["tiny"], mounts=("/var/lib/containers", f"{ROOT}:/collection:ro")
    )

    def run(*words, **options):
        return docker.docker(socket, "exec", name, *words, **options)

    place = tmp_path_factory.mktemp("equality")
    (place / "containers.conf").write_text(CONF.format(limit=run("sh", "-c", "ulimit -Hn").strip()))
    # Debian's 1.3 leaves variables in lists of environments open.
    (program,) = podman.COMPOSE_VENV.glob("lib/python3*/site-packages/podman_compose.py")
    (place / "podman-compose").write_text("#!/usr/bin/python3\n" + program.read_text())
    (place / "podman-compose").chmod(0o755)
    stacks = place / "stacks"
    for key, folder in FOLDERS.items():
        shutil.copytree(ROOT / folder, stacks / key)
        for example in (stacks / key).glob("*.example"):
            shutil.copy(example, example.with_suffix(""))
    for source, target in (
        ("containers.conf", "/etc/containers/containers.conf"),
        ("podman-compose", "/usr/local/bin/podman-compose"),
        ("stacks", "/opt/stacks"),
    ):
        docker.docker(socket, "cp", "-q", str(place / source), f"{name}:{target}")
    run("podman", "load", "-q", "-i", "/testbed/tiny.tar")
    try:
        yield name, socket
    finally:
        hosts.remove(socket, "equality")


@pytest.fixture(scope="module")
def made(host):
    """Stack -> tool -> service -> its inspected container."""
    name, socket = host
    environ = {"PYTHONPATH": "/collection/.collections", "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["docker", "exec", *(word for pair in environ.items() for word in ("-e", "=".join(pair)))]
    script = "/collection/tests/integration/compose/equality_on_host.py"
    done = subprocess.run(
        [*words, name, "python3", script, "/opt/stacks"],
        env=docker.environment(socket),
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["stack"]: row.get("error") for row in rows} == dict.fromkeys(FOLDERS), done.stderr[-2000:]
    return {row["stack"]: row["made"] for row in rows}


def test_quadlets_differ_from_podman_compose_in_explained_fields_only(made):
    compared, unexplained, used = 0, [], set()
    for stack, tools in made.items():
        assert set(tools["podman-compose"]) == set(tools["quadlet"])
        for service, one in tools["podman-compose"].items():
            compared += len(fields(one))
            for path, values in differences(one, tools["quadlet"][service]).items():
                used.add(path)
                if not reason(path):
                    unexplained.append((stack, service, path, *values))
    print(f"\n{len(made)} stacks, {compared} fields, {len(used)} paths differ, {len(unexplained)} not explained")
    assert len(made) == 12
    assert unexplained == []
    unneeded = [text for text in REASONS if not fnmatch.filter(used, text)]
    assert unneeded == []
