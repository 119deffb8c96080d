# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: break the mounts of rootless containers in every way and print the verdicts. Run by root, who makes and
breaks; containers and checks are those of an ordinary user.

    python3 rootless_mounts.py ONEBOX-VERIFY IMAGE USER STAGE

The first argument is the installed check, a zip of the collection's own code, which is what is tested here. The user's
Podman must hold the image; HOME, XDG_RUNTIME_DIR and CONTAINERS_CONF are the user's. The last line printed is JSON:
verdict and fix by destination. One container has all the breaks, for in an emulated machine each costs seconds.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import pathlib
import pwd
import re
import socket
import subprocess
import sys
import time
import typing as t

PROGRAM, IMAGE, USER, PLACE = sys.argv[1:]
sys.path.insert(0, PROGRAM)

from ansible_collections.onebox.stack.plugins.module_utils.core import process  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, PodmanCli  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import Check, verify  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mounts.vm.prover import Prover  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.vm.shares import Machine  # noqa: E402

STAGE = pathlib.Path(PLACE)
WORLD = World.real()
ACCOUNT = pwd.getpwnam(USER)
AS_USER = ["setpriv", f"--reuid={ACCOUNT.pw_uid}", f"--regid={ACCOUNT.pw_gid}", "--clear-groups"]
API = f"{os.environ['XDG_RUNTIME_DIR']}/obx-mounts.sock"
DIRECTORIES = (
    *("ok", "deleted", "renamed", "covered-on-host", "sub/below", "shadowed", "unmounted", "mode", "declared-mode"),
    *("type", "other", "elsewhere", "lost", "empty", "foreign", "closed", "full", "disk", "v1", "v2"),
)
# Destinations of the container, and their sources if these have another name.
PLACES = {
    **{f"/{name}": name for name in ("ok", "deleted", "renamed", "covered-on-host", "sub", "shadowed", "unmounted")},
    **{f"/{name}": name for name in ("mode", "declared-mode", "type", "other", "empty", "foreign", "closed", "full")},
    "/file": "file",
    "/link": "link",
    "/unmounted-on-host": "disk/data",
}
EXPECTED = {
    "/declared-mode": {"source": "declared-mode", "read_only": True},
    "/type": {"source": "type", "type": "file"},
    "/other": {"source": "elsewhere"},
    "/lost": {"source": "lost"},
    "/empty": {"source": "empty", "not_empty": True},
}


Verdict = tuple[str, str]


class Recorded(Engine):
    """Containers started by another user."""

    name = "podman"

    def __init__(self, containers: list[Container]) -> None:
        self._containers = containers

    def containers(self, project: str | None = None, names: t.Sequence[str] = ()) -> list[Container]:
        return self._containers

    def image(self, reference: str) -> dict[str, t.Any] | None:
        return None


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False, cwd=STAGE)
    if done.returncode:
        raise SystemExit(f"{words} failed: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def podman(*words: str) -> str:
    return run(*AS_USER, "podman", *words)


def as_user(argv: t.Sequence[str], **options: t.Any) -> process.Result:
    return process.run([*AS_USER, *argv], cwd=str(STAGE), **options)


def owners_engine() -> Engine:
    return PodmanCli(dataclasses.replace(WORLD, run=as_user))


def start(name: str, *options: str) -> None:
    podman("run", "-d", "--name", name, "--network", "none", *options, IMAGE, "/bin/sleep", "100000")


def inside(*words: str) -> None:
    """With root's rights in the mounts of the container."""
    run("nsenter", "-t", podman("inspect", "-f", "{{.State.Pid}}", "stage"), "-m", "-p", "--", *words)


def give(*paths: pathlib.Path) -> None:
    for path in paths:
        os.chown(path, ACCOUNT.pw_uid, ACCOUNT.pw_gid, follow_symlinks=False)


def made(name: str) -> None:
    (STAGE / name).mkdir()
    give(STAGE / name)


def build() -> None:
    give(STAGE)
    for name in DIRECTORIES:
        (STAGE / name).mkdir(parents=True)
        give(STAGE / name)
    (STAGE / "file").write_text("one")
    (STAGE / "link").symlink_to("v1")
    give(STAGE / "file", STAGE / "sub")
    run("mount", "-t", "tmpfs", "-o", "mode=777", "none", str(STAGE / "disk"))
    made("disk/data")
    run("mount", "-t", "tmpfs", "-o", "mode=777,size=64k", "none", str(STAGE / "full"))
    start("stage", *[word for place, name in PLACES.items() for word in ("-v", f"{STAGE}/{name}:{place}")])


def shake() -> None:
    for name in ("deleted", "renamed"):
        (STAGE / name).rename(STAGE / f"{name}.old")
        made(name)
    (STAGE / "deleted.old").rmdir()
    (STAGE / "new").write_text("two")
    give(STAGE / "new")
    (STAGE / "new").rename(STAGE / "file")
    (STAGE / "link").unlink()
    (STAGE / "link").symlink_to("v2")
    run("mount", "-t", "tmpfs", "-o", "mode=777", "none", str(STAGE / "covered-on-host"))
    run("umount", "-l", str(STAGE / "disk"))
    made("disk/data")
    run("mount", "-t", "tmpfs", "none", str(STAGE / "sub/below"))
    inside("mount", "-t", "tmpfs", "none", "/shadowed")
    inside("umount", "/unmounted")
    inside("mount", "-o", "remount,bind,ro", "/mode")
    os.chown(STAGE / "foreign", 0, 0)
    os.chown(STAGE / "closed", 0, 0)
    (STAGE / "closed").chmod(0o700)
    (STAGE / "full/big").write_bytes(b"\0" * 65536)


def proof(engine: Engine, *, user: bool, through: Prover | None = None, **options: t.Any) -> dict[str, t.Any]:
    """What the check says when that user, or root, runs it."""
    check = Check(seconds=60.0, **options)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if user:
                os.setgroups([])
                os.setresgid(*[ACCOUNT.pw_gid] * 3)
                os.setresuid(*[ACCOUNT.pw_uid] * 3)
            os.chdir("/")
            os.write(writable, json.dumps(verify(engine, check, world=WORLD, through=through)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable) as stream:
        result = json.load(stream)
    os.waitpid(child, 0)
    print(*result["table"], f"{result['duration_ms']:.0f} ms", sep="\n")
    return result


def look(name: str, *, user: bool = True, **options: t.Any) -> dict[str, Verdict]:
    engine: Engine = PodmanCli(WORLD) if user else Recorded(owners_engine().containers(names=[name]))
    return by_place(proof(engine, user=user, names=[name], **options))


def by_place(result: dict[str, t.Any]) -> dict[str, Verdict]:
    return {row["destination"]: (row["verdict"], row["fix"]) for row in result["containers"][0]["mounts"]}


def expected() -> list[dict[str, t.Any]]:
    return [
        {**one, "container": "stage", "destination": place, "source": f"{STAGE}/{one['source']}"}
        for place, one in EXPECTED.items()
    ]


def through_a_machine() -> dict[str, Verdict]:
    """This host plays the guest of a rootless machine, whose share is a tmpfs; only the ssh in between is left out."""

    def without_ssh(argv: t.Sequence[str], **options: t.Any) -> process.Result:
        if list(argv[:3]) == ["podman", "machine", "ssh"]:
            return process.run(["sh", "-c", argv[4]], timeout=options["timeout"])
        if list(argv[:2]) == ["podman", "machine"]:
            raise process.CommandError("no machine here", process.Result(tuple(argv), 125, "", "", 0.0))
        return process.run(argv, **options)

    world = dataclasses.replace(WORLD, run=without_ssh)
    return look(
        "stage", user=False, through=Prover(Machine.of("podman", environ=WORLD.environ), world, share_types=("tmpfs",))
    )


def made_up() -> Verdict:
    """A container whose source the API makes up."""
    service = subprocess.Popen([*AS_USER, "podman", "system", "service", "--time", "0", f"unix://{API}"], cwd=STAGE)
    try:
        deadline = time.monotonic() + 120
        while not os.path.exists(API):
            if time.monotonic() > deadline:
                raise SystemExit("podman's API does not come up")
            time.sleep(0.05)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(API)
        binds = {"Binds": [f"{STAGE}/typo:/data"], "NetworkMode": "none"}
        config = {"Image": IMAGE, "Cmd": ["/bin/sleep", "100000"], "HostConfig": binds}
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1.41/containers/create?name=typo", json.dumps(config), headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        if answer.status != 201:
            raise SystemExit(said)
        podman("start", "typo")
        return look("typo")["/data"]
    finally:
        service.terminate()
        service.wait(60)


def seen_by_a_stranger() -> Verdict:
    """Another user, who may not inspect the user's container."""
    bind = ("-v", f"{STAGE}/ok:/data")
    start("mine", *bind)
    (mine,) = owners_engine().containers(names=["mine"])
    stranger = 65534 if ACCOUNT.pw_uid != 65534 else 65533
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(stranger, stranger, stranger)
        os.setresuid(stranger, stranger, stranger)
        os.chdir("/")
        os.write(writable, json.dumps(by_place(verify(Recorded([mine]), Check(), world=WORLD))).encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as stream:
        told = json.load(stream)
    os.waitpid(child, 0)
    return tuple(told["/data"])


def chown_as_told() -> Verdict:
    result = proof(PodmanCli(WORLD), user=True, names=["stage"])
    messages = {row["destination"]: row["message"] for row in result["containers"][0]["mounts"]}
    found = re.search(r"`chown (\d+):(\d+) (\S+)`", messages["/foreign"])
    if found is None or found[3] != f"{STAGE}/foreign":
        raise SystemExit(messages["/foreign"])
    os.chown(found[3], int(found[1]), int(found[2]))
    return look("stage")["/foreign"]


def main() -> None:
    told: dict[str, object] = {}
    try:
        build()
        told["before"] = look("stage")
        told["through a machine"] = through_a_machine()
        (STAGE / "full").chmod(0o700)  # root's, not the user's
        told["closed in a machine"] = through_a_machine()["/full"]
        (STAGE / "full").chmod(0o777)
        shake()
        told["broken"] = look("stage", expected=expected())
        told["by root"] = look("stage", user=False, expected=expected())
        told["the chown that the message says, done"] = chown_as_told()
        (STAGE / "disk/data").rmdir()
        run("mount", "-t", "tmpfs", "-o", "mode=777", "none", str(STAGE / "disk"))
        made("disk/data")
        podman("restart", "-t", "0", "stage")
        told["mended"] = look("stage")
        told["made up by the API"] = made_up()
        podman("create", "--name", "created", "-v", f"{STAGE}/ok:/data", IMAGE, "/bin/sleep", "9")
        told["created only"] = look("created")["/data"]
        told["seen by a stranger"] = seen_by_a_stranger()
        told["left behind"] = [name for place in ("ok", "elsewhere", "renamed") for name in os.listdir(STAGE / place)]
        print(json.dumps(told))
    finally:
        podman("rm", "-f", "-i", "-t", "0", "stage", "typo", "created", "mine")
        for name in ("disk", "full", "sub/below", "covered-on-host"):
            subprocess.run(["umount", "-l", str(STAGE / name)], check=False, capture_output=True)


if __name__ == "__main__":
    main()
