# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot tier: mounts of containers in a machine that really boots, and of rootless containers on its Linux.

Not collected with the other tests: tests/testbed/mac/boot_tier runs it. One boot shows all of it. Between this host
and the guest is a real virtiofs share; the user is an ordinary one and Podman is rootless, unless said otherwise.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle

MOUNTS = pathlib.Path(__file__).resolve().parents[1] / "mounts"
sys.path.insert(0, str(MOUNTS))

from boot_machine import NAME, START_TIMEOUT, ask, guest  # noqa: E402
from boot_machine import lab as machine_lab  # noqa: E402
from machine_lab import AS_USER, ROOT, RUN_MODULE, Lab  # noqa: E402
from mounts_lab import APPLETS  # noqa: E402
from rootless_verdicts import hold  # noqa: E402

lab = machine_lab
BOX = "localhost/onebox-mounts:1"
ODD = "with space/ünï'cødé"
RESTART, EDIT = "restart", "edit_compose"


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Lab:
    """A started machine, with an image in its rootless and its rootful Podman."""
    result = ask(lab)
    assert not result.get("failed"), result["msg"]
    busybox = pathlib.Path("/bin/busybox")
    assert busybox.exists(), "the guest has no registry: install busybox-static, of which its image is made"
    root = lab.home / "mounts-image"
    for folder in ("bin", "data", "proc", "sys", "dev", "etc"):
        (root / folder).mkdir(parents=True)
    shutil.copy(busybox, root / "bin")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    subprocess.run(["tar", "-C", str(root), "-cf", str(lab.home / "mounts.tar"), "."], check=True)
    for connection in (NAME, f"{NAME}-root"):
        done = lab.podman("--connection", connection, "import", str(lab.home / "mounts.tar"), BOX)
        assert done.returncode == 0, done.stderr
    return lab


def socket(lab: Lab) -> str:
    return str(lab.home / f"run/podman/{NAME}-api.sock")


def start(lab: Lab, name: str, *options: str) -> None:
    """Start a container through the machine's Docker-compatible API, as docker compose would."""
    words = ["docker", "run", "-d", "--name", name, "--network", "none", *options, BOX, "/bin/sleep", "100000"]
    done = lab.call(*words, seconds=120, DOCKER_HOST=f"unix://{socket(lab)}")
    assert done.returncode == 0, done.stderr


def proof(lab: Lab, *names: str, **options: t.Any) -> t.Any:
    """The result of the module on this host, run as the host's user."""
    given = {"engine": "podman", "socket": socket(lab), "vm": "podman", "vm_name": NAME, "containers": names, **options}
    env = {**lab.env, "CONTAINERS_MACHINE_PROVIDER": "qemu", **options.pop("env", {})}
    given.pop("env", None)
    argv = [*AS_USER, str(ROOT / ".venv/bin/python"), str(RUN_MODULE), "bind_mount_verify"]
    done = subprocess.run(
        argv,
        input=json.dumps(given),
        env=env,
        text=True,
        capture_output=True,
        timeout=START_TIMEOUT,
        check=False,
        cwd=ROOT,
    )  # fmt: skip
    result = json.loads(done.stdout or "{}")
    assert "containers" in result, done.stdout + done.stderr
    print(*result["table"], f"{result['duration_ms']:.0f} ms", sep="\n")
    return result


def verdicts(result: t.Any) -> dict[str, tuple[str, str]]:
    return {row["destination"]: (row["verdict"], row["fix"]) for one in result["containers"] for row in one["mounts"]}


def messages(result: t.Any) -> dict[str, str]:
    return {row["destination"]: row["message"] for one in result["containers"] for row in one["mounts"]}


@pytest.fixture(scope="module")
def ghost() -> t.Iterator[pathlib.Path]:
    """A directory of this host that no share covers."""
    path = pathlib.Path(f"/var/tmp/onebox-ghost-{os.getpid()}")
    path.mkdir()
    (path / "precious").write_text("on the host only\n")
    yield path
    shutil.rmtree(path)


def test_shared_directories_are_proven_and_the_ghost_is_named(machine: Lab, ghost: pathlib.Path) -> None:
    """Case 19: for a path that is not shared, the engine mounts an empty directory of the guest."""
    work = machine.home / "work"
    for name in ("data", "replaced", ODD):
        (work / name).mkdir(parents=True)
    (work / "app.conf").write_text("one\n")
    places = {"/data": "data", "/replaced": "replaced", "/odd": ODD, "/app.conf": "app.conf"}
    binds = [word for place, name in places.items() for word in ("-v", f"{work}/{name}:{place}")]
    start(machine, "web", *binds, "-v", f"{work}/data:/ro:ro", "-v", f"{ghost}:/ghost", "-v", "onebox-vol:/vol")
    result = proof(machine, "web")
    assert verdicts(result) == {
        **dict.fromkeys([*places, "/ro", "/vol"], ("ok", "none")),
        "/ghost": ("vm_not_shared", "share_with_vm"),
    }
    assert not result["ok"]
    assert str(ghost) in messages(result)["/ghost"]
    assert f"It shares {machine.home}" in messages(result)["/ghost"]
    assert guest(machine, "exec", "web", "/bin/sh", "-c", "ls /ghost 2>/dev/null || busybox ls /ghost") == ""
    assert {name: os.listdir(work / name) for name in ("data", ODD)} == {"data": [], ODD: []}


def test_replaced_sources_are_detected_and_a_restart_fixes_them(machine: Lab) -> None:
    """Case 20 and similar ones, through a real share."""
    work = machine.home / "work"
    (work / "new").write_text("two\n")
    (work / "new").rename(work / "app.conf")  # as editors, templates and git do
    (work / "data").rename(work / "data.old")
    (work / "data").mkdir()
    shutil.rmtree(work / "replaced")
    (work / "replaced").mkdir()
    found = verdicts(proof(machine, "web"))
    assert found["/app.conf"] == ("stale_file", RESTART)
    assert found["/data"][0] in ("stale_renamed", "stale_deleted")
    assert found["/replaced"][0] in ("stale_renamed", "stale_deleted")
    assert {found[place][1] for place in ("/data", "/replaced", "/ro")} == {RESTART}
    assert found["/odd"] == ("ok", "none")
    assert guest(machine, "exec", "web", "/bin/cat", "/app.conf") == "one"  # the reason for the verdict
    guest(machine, "restart", "-t", "0", "web")
    found = verdicts(proof(machine, "web"))
    found.pop("/ghost")
    assert set(found.values()) == {("ok", "none")}
    assert guest(machine, "exec", "web", "/bin/cat", "/app.conf") == "two"


def test_foreign_user_of_a_rootless_container_may_not_write_to_the_share(machine: Lab) -> None:
    work = machine.home / "work" / "foreign"
    work.mkdir()
    work.chmod(0o755)
    bind = ("-v", f"{work}:/data")
    start(machine, "foreign", *bind, "--user", "1000:1000")
    result = proof(machine, "foreign")
    assert verdicts(result)["/data"] == ("not_writable", EDIT)
    assert "keep-id" in messages(result)["/data"]
    assert result["containers"][0]["user"]["own_user_namespace"]
    # Both fixes of the message: as root of the container, and with the user's own id kept.
    start(machine, "as-root", *bind, "--user", "0:0")
    assert proof(machine, "as-root")["ok"]
    guest(
        machine,
        "run",
        "-d",
        "--name",
        "kept",
        "--network",
        "none",
        "--userns",
        "keep-id",
        *bind,
        BOX,
        "/bin/sleep",
        "9999",
    )
    assert proof(machine, "kept")["ok"]
    assert verdicts(proof(machine, "foreign", access="read"))["/data"][0] in ("ok", "unverifiable")
    assert os.listdir(work) == []


def test_rootful_containers_of_the_same_machine(machine: Lab, ghost: pathlib.Path) -> None:
    """Use the command line over ssh, as on a Mac: without a socket."""
    work = machine.home / "work" / "rootful"
    work.mkdir()
    work.chmod(0o755)
    connection = ["--connection", f"{NAME}-root"]
    common = ["run", "-d", "--network", "none"]
    for name, words in {
        "rootful": ["-v", f"{work}:/data"],
        "rootful-foreign": ["-v", f"{work}:/foreign", "--user", "4242:4242"],
        "rootful-owner": ["-v", f"{work}:/owner", "--user", "1000:1000"],
    }.items():
        done = machine.podman(*connection, *common, "--name", name, *words, BOX, "/bin/sleep", "100000")
        assert done.returncode == 0, done.stderr
    result = proof(
        machine, "rootful", "rootful-foreign", "rootful-owner",
        socket=None, env={"CONTAINER_CONNECTION": f"{NAME}-root"},
    )  # fmt: skip
    assert verdicts(result) == {
        "/data": ("ok", "none"),
        "/foreign": ("not_writable", EDIT),
        "/owner": ("ok", "none"),
    }
    assert '"1000:1000"' in messages(result)["/foreign"]  # the owner of the share


def test_each_verdict_on_rootless_podman(machine: Lab) -> None:
    """Check on the guest itself, a Linux host with rootless Podman, with the program that a timer runs there."""
    work = machine.home / "work"
    bundle.install(str(work / "onebox-verify"), "/usr/bin/python3", check=False)
    shutil.copy(MOUNTS / "rootless_mounts.py", work)
    began = time.monotonic()
    environment = "HOME=/home/core XDG_RUNTIME_DIR=/run/user/$(id -u)"
    program = f"python3 '{work}/rootless_mounts.py' '{work}/onebox-verify' {BOX} core /home/core/mounts"
    done = machine.call(
        *("podman", "machine", "ssh", NAME, f"mkdir -p mounts && sudo -n env {environment} {program}"),
        seconds=START_TIMEOUT,
        CONTAINERS_MACHINE_PROVIDER="qemu",
    )
    print(done.stdout, done.stderr, f"{time.monotonic() - began:.0f} s", sep="\n")
    assert done.returncode == 0, done.stderr
    hold(json.loads(done.stdout.splitlines()[-1]))
