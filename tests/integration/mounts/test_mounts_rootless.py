"""Rootless Podman, for real: an ordinary user's containers, with every break, seen by that user, root and a stranger.

The user exists in a mount namespace of this test's own, where /etc/passwd and the files of subordinate ids are others:
nothing of the machine is changed. Containers have no network, which is what a user could not give them here.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle
from mounts_lab import ADVICE, IMAGE, PREFIX, ROOTLESS, SEEN, command
from rootless_verdicts import BROKEN, hold

USER, UID = "obxmounts", 47110


@pytest.fixture(params=["own users", "one user"])
def account(
    request: pytest.FixtureRequest, image_of: t.Callable[[str], Engine]
) -> t.Iterator[tuple[pathlib.Path, list[str], dict[str, str]]]:
    """A folder of the user's, the words before a command where the user exists, and its environment."""
    if shutil.which("newuidmap") is None:
        pytest.fail(f"no newuidmap (Debian package uidmap), which rootless Podman needs; {ADVICE}")
    image_of("podman")
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-", dir="/var/tmp"))
    folder.chmod(0o755)
    files = {
        "passwd": f"{USER}:x:{UID}:{UID}::{folder}/home:/bin/sh\n",
        "subuid": f"{USER}:700000:65536\n",
        "subgid": f"{USER}:700000:65536\n",
    }
    if request.param == "one user":
        # A user without subordinate ids: the namespace maps root to the user and forbids to set groups.
        del files["subuid"], files["subgid"]
    for name, line in files.items():
        there = pathlib.Path("/etc", name)
        (folder / name).write_text((there.read_text() if there.exists() else "") + line)
    for name in ("home", "run"):
        (folder / name).mkdir(mode=0o700)
        os.chown(folder / name, UID, UID)
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    (folder / "containers.conf").write_text(
        f'[containers]\ndefault_ulimits=["nofile={limit}:{limit}","nproc=1024:1024"]\n'
        '[engine]\nruntime="runc"\ncgroup_manager="cgroupfs"\nevents_logger="file"\n'
    )
    mounts = "; ".join(
        f"mount --bind '{folder}/{name}' /etc/{name}" for name in files if pathlib.Path("/etc", name).exists()
    )
    # Shared as on any machine: Podman's own namespace gets later mounts.
    words = ["unshare", "-m", "sh", "-ec", f'mount --make-rshared /; {mounts}; exec "$@"', "sh"]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": f"{folder}/home",
        "XDG_RUNTIME_DIR": f"{folder}/run",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "LC_ALL": "C.UTF-8",
    }
    try:
        yield folder, words, env
    finally:
        # Podman leaves a process behind that holds its user namespace.
        subprocess.run(["pkill", "-KILL", "-U", str(UID)], check=False)
        for mounted in pathlib.Path("/proc/mounts").read_text().splitlines():
            if mounted.split()[1].startswith(f"{folder}/"):
                command("umount", "-l", mounted.split()[1], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_each_verdict_on_rootless_podman(account: tuple[pathlib.Path, list[str], dict[str, str]]) -> None:
    folder, words, env = account
    bundle.install(str(folder / "onebox-verify"), "/usr/bin/python3", check=False)
    script = shutil.copy(pathlib.Path(__file__).with_name("rootless_mounts.py"), folder)
    image = folder / "image.tar"
    command("podman", "save", "-q", "-o", image, IMAGE)
    image.chmod(0o644)
    stage = folder / "stage"
    stage.mkdir()
    load = f"setpriv --reuid={UID} --regid={UID} --clear-groups podman load -q -i {image}"
    program = ["/usr/bin/python3", script, str(folder / "onebox-verify"), IMAGE, USER, str(stage)]
    # In one namespace: the first command of a user's Podman makes the one that all later ones join.
    argv = [*words, "sh", "-ec", f'{load}; exec "$@"', "sh", *program]
    done = subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    hold(told)
    for verdict, fix in BROKEN.values():
        SEEN[ROOTLESS, verdict].add(fix)
    for verdict, fix in (
        *told["through a machine"].values(),
        told["made up by the API"],
        told["created only"],
        told["seen by a stranger"],
    ):
        SEEN[ROOTLESS, verdict].add(fix)
