# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume of a rootless Podman, by the installed runner of its user: files of mapped ids are in the set, and restored.

The user exists in a mount namespace of this test's own, as in tests/integration/mounts/test_mounts_rootless.py.
"""

from __future__ import annotations

import json
import os
import pathlib
import resource
import shutil
import subprocess
import tempfile

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import install
from volume_stack import FILL, LIST

USER, UID = "obxvolumes", 47120
NAME = "obx-rootless"
# Each line is one step of the user; what is printed is the content before and after.
STEPS = f"""
set -e
podman load -q -i "$1/image.tar" >/dev/null
podman volume create --label com.docker.compose.project={NAME} --label io.podman.compose.project={NAME} {NAME}_data \
    >/dev/null
podman run -d --name app --network none -v {NAME}_data:/data "$2" sleep 100000 >/dev/null
podman exec app sh -c "$3"
podman exec app sh -c "$4"
"$1/onebox-backup" --config "$1/home/config.json" backup >&2
"$1/onebox-backup" --config "$1/home/config.json" rehearse >&2
podman exec app sh -c 'cd /data; rm -rf sub a; echo changed > "b c"'
"$1/onebox-backup" --config "$1/home/config.json" restore --yes {NAME} >&2
echo ==
podman exec app sh -c "$4"
podman rm -f -t 0 app >/dev/null
"""


@pytest.fixture
def home(podman_engine):
    if shutil.which("newuidmap") is None:
        pytest.fail("no newuidmap (Debian package uidmap), which rootless Podman needs; run: make testbed", False)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="obx-volumes-", dir="/var/tmp"))
    folder.chmod(0o755)
    lines = {
        "passwd": f"{USER}:x:{UID}:{UID}::{folder}/home:/bin/sh\n",
        "subuid": f"{USER}:800000:65536\n",
        "subgid": f"{USER}:800000:65536\n",
    }
    for name, line in lines.items():
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
    try:
        yield folder
    finally:
        # Podman leaves a process behind that holds its user namespace.
        subprocess.run(["pkill", "-KILL", "-U", str(UID)], check=False)
        for mounted in pathlib.Path("/proc/mounts").read_text().splitlines():
            if mounted.split()[1].startswith(f"{folder}/"):
                subprocess.run(["umount", "-l", mounted.split()[1]], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def as_user(folder, script, *words):
    # Shared as on any machine: Podman's own namespace gets later mounts.
    mounts = "; ".join(f"mount --bind '{folder}/{name}' /etc/{name}" for name in ("passwd", "subuid", "subgid"))
    ids = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    argv = ["unshare", "-m", "sh", "-ec", f'mount --make-rshared /; {mounts}; exec "$@"', "sh", "setpriv", *ids]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": f"{folder}/home",
        "XDG_RUNTIME_DIR": f"{folder}/run",
        "CONTAINERS_CONF": f"{folder}/containers.conf",
        "LC_ALL": "C.UTF-8",
    }
    argv += ["sh", "-c", script, "sh", str(folder), *words]
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def test_files_of_mapped_ids_are_backed_up_and_restored(home, podman_engine, tiny_image):
    install.install(str(home / "onebox-backup"), "/usr/bin/python3", False)
    (home / "onebox-backup").chmod(0o755)
    podman_engine.run("save", "-q", "-o", str(home / "image.tar"), tiny_image)
    (home / "image.tar").chmod(0o644)
    declared = {
        "stack": NAME,
        "state_dir": f"{home}/home/state",
        "repository": {"engine": "files", "path": f"{home}/home/repo"},
        "container_engine": "podman",
        "reserve_mib": 1,
        "timeout": 60,
        "sources": [{"name": "data", "kind": "volume", "volume": "data"}],
    }
    (home / "home" / "config.json").write_text(json.dumps(declared))
    for path in (home / "home", home / "home" / "config.json"):
        os.chown(path, UID, UID)
    done = as_user(home, STEPS, tiny_image, FILL, LIST)
    print(done.stderr)
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.split("==\n")
    assert after == before
    assert "a 999 998 600 2" in before
    (path,) = home.glob("home/repo/sets/*/manifest.json")
    facts = json.loads(path.read_text())["sources"][0]["facts"]
    assert facts["mapped"] is True
    rows = [json.loads(line) for line in (path.parent / facts["list"]).read_text().splitlines()]
    assert {row["path"]: (row["uid"], row["gid"]) for row in rows}["sub/x"] == (1000, 1000)
