# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the guest of the boot tier: break the mounts of rootless containers in every way and print the verdicts.

    python3 rootless_mounts.py ONEBOX-VERIFY IMAGE

The first argument is the installed check, a zip of the collection's own code, which is what is tested here. The last
line printed is JSON: verdict and fix by destination. Machine time is dear here, so one container has all the breaks.
"""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

PROGRAM, IMAGE = sys.argv[1:]
sys.path.insert(0, PROGRAM)

from ansible_collections.onebox.stack.plugins.module_utils import process  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import PodmanCli  # noqa: E402
from ansible_collections.onebox.stack.plugins.module_utils.mounts.verify import verify  # noqa: E402

STAGE = pathlib.Path.home() / "mounts"
API = f"/run/user/{os.getuid()}/podman/podman.sock"
DIRECTORIES = [
    "ok",
    "deleted",
    "renamed",
    "covered-on-host",
    "sub/below",
    "shadowed",
    "unmounted",
    "mode",
    "declared-mode",
    "type",
    "other",
    "elsewhere",
    "lost",
    "empty",
    "foreign",
    "closed",
    "full",
    "disk",
    "v1",
    "v2",
]
# Destinations of the container, and what is mounted there when it is not the directory of the same name.
PLACES = {
    **{
        f"/{name}": name
        for name in ["ok", "deleted", "renamed", "covered-on-host", "sub", "shadowed", "unmounted", "mode"]
    },
    **{f"/{name}": name for name in ["declared-mode", "type", "other", "empty", "foreign", "closed", "full"]},
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


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"{words} failed: {done.stderr}{done.stdout}")
    return done.stdout.strip()


def root(*words: str) -> str:
    return run("sudo", "-n", *words)


def inside(*words: str) -> None:
    """With root's rights in the mounts of the container."""
    pid = run("podman", "inspect", "-f", "{{.State.Pid}}", "stage")
    root("nsenter", "-t", pid, "-m", "--", *words)


def build() -> None:
    for name in DIRECTORIES:
        (STAGE / name).mkdir(parents=True)
    (STAGE / "file").write_text("one")
    (STAGE / "link").symlink_to("v1")
    root("mount", "-t", "tmpfs", "-o", "mode=777", "none", str(STAGE / "disk"))
    (STAGE / "disk/data").mkdir()
    root("mount", "-t", "tmpfs", "-o", "mode=777,size=64k", "none", str(STAGE / "full"))
    binds = [word for place, name in PLACES.items() for word in ("-v", f"{STAGE}/{name}:{place}")]
    run("podman", "run", "-d", "--name", "stage", "--network", "none", *binds, IMAGE, "/bin/sleep", "100000")


def shake() -> None:
    for name in ("deleted", "renamed", "v1"):
        if name != "v1":
            (STAGE / name).rename(STAGE / f"{name}.old")
            (STAGE / name).mkdir()
    (STAGE / "deleted.old").rmdir()
    (STAGE / "new").write_text("two")
    (STAGE / "new").rename(STAGE / "file")
    (STAGE / "link").unlink()
    (STAGE / "link").symlink_to("v2")
    root("mount", "-t", "tmpfs", "none", str(STAGE / "covered-on-host"))
    root("chmod", "777", str(STAGE / "covered-on-host"))
    root("umount", "-l", str(STAGE / "disk"))
    (STAGE / "disk/data").mkdir()
    root("mount", "-t", "tmpfs", "none", str(STAGE / "sub/below"))
    inside("mount", "-t", "tmpfs", "none", "/shadowed")
    inside("umount", "/unmounted")
    inside("mount", "-o", "remount,bind,ro", "/mode")
    root("chown", "0:0", str(STAGE / "foreign"), str(STAGE / "closed"))
    root("chmod", "700", str(STAGE / "closed"))
    (STAGE / "full/big").write_bytes(b"\0" * 65536)


def look(engine: PodmanCli, name: str, expected: bool = False, **options: object) -> dict[str, tuple[str, str]]:
    wanted = [
        {**one, "container": name, "destination": place, "source": f"{STAGE}/{one['source']}"}
        for place, one in EXPECTED.items()
    ]
    result = verify(engine, names=[name], expected=wanted if expected else None, seconds=60.0, **options)
    print(*result["table"], f"{result['duration_ms']:.0f} ms", sep="\n")
    return {row["destination"]: (row["verdict"], row["fix"]) for row in result["containers"][0]["mounts"]}


def made_up() -> tuple[str, str]:
    """A container whose source the API makes up."""
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(API)
    config = {
        "Image": IMAGE,
        "Cmd": ["/bin/sleep", "100000"],
        "HostConfig": {"Binds": [f"{STAGE}/typo:/data"], "NetworkMode": "none"},
    }
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/v1.41/containers/create?name=typo", json.dumps(config), headers)
    answer = connection.getresponse()
    said = answer.read().decode()
    if answer.status != 201:
        raise SystemExit(said)
    run("podman", "start", "typo")
    return look(PodmanCli(process.run), "typo")["/data"]


def seen_by_others() -> dict[str, tuple[str, str]]:
    def as_root(argv: list[str], **options: object) -> process.Result:
        return process.run(["sudo", "-n", *argv], **options)

    (STAGE / "rootful").mkdir()
    bind = f"{STAGE}/rootful:/data"
    root("podman", "run", "-d", "--name", "rootful", "--network", "none", "-v", bind, IMAGE, "/bin/sleep", "100000")
    refused = look(PodmanCli(as_root), "rootful")["/data"]
    told = json.loads(root("python3", PROGRAM, "--json", "--engine", "podman", "--socket", API, "--project", "seen"))
    ((row,),) = [one["mounts"] for one in told["containers"]]
    return {
        "rootful, seen by an ordinary user": refused,
        "rootless, seen by root": (row["verdict"], row["fix"]),
    }


def chown_as_told(engine: PodmanCli) -> tuple[str, str]:
    (report,) = verify(engine, names=["stage"], seconds=60.0)["containers"]
    message = next(row["message"] for row in report["mounts"] if row["destination"] == "/foreign")
    owner, path = re.search(r"`chown (\d+:\d+) (\S+)`", message).groups()
    root("chown", owner, path)
    return look(engine, "stage")["/foreign"]


def main() -> None:
    engine = PodmanCli(process.run)
    told: dict[str, object] = {}
    build()
    told["before"] = look(engine, "stage")
    shake()
    told["broken"] = look(engine, "stage", expected=True)
    told["the chown that the message says, done"] = chown_as_told(engine)
    (STAGE / "disk/data").rmdir()
    root("mount", "-t", "tmpfs", "-o", "mode=777", "none", str(STAGE / "disk"))
    (STAGE / "disk/data").mkdir()
    run("podman", "restart", "-t", "0", "stage")
    told["mended"] = look(engine, "stage")
    told["made up by the API"] = made_up()
    project = ("--label", "com.docker.compose.project=seen")
    bind = f"{STAGE}/ok:/data"
    run("podman", "create", "--name", "created", "-v", bind, IMAGE, "/bin/sleep", "9")
    told["created only"] = look(engine, "created")["/data"]
    run("podman", "run", "-d", *project, "--network", "none", "-v", bind, IMAGE, "/bin/sleep", "100000")
    told.update(seen_by_others())
    told["left behind"] = [name for place in ("ok", "rootful", "elsewhere") for name in os.listdir(STAGE / place)]
    shutil.rmtree(STAGE / "v1")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
