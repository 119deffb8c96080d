"""Rootless Podman, for real: containers of an ordinary user, each break seen by the user, root and a stranger."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle
from mounts_lab import IMAGE, ROOTLESS, SEEN, command
from rootless_account import USER, Account, account, as_user
from rootless_verdicts import BROKEN, hold


@pytest.fixture(params=["own users", "one user"])
def rootless(request: pytest.FixtureRequest, image_of: t.Callable[[str], Engine]) -> t.Iterator[Account]:
    """The user, with and without subordinate ids."""
    image_of("podman")
    with account(subordinate=request.param == "own users") as made:
        yield made


def test_each_verdict_on_rootless_podman(rootless: Account) -> None:
    folder = rootless.folder
    bundle.install(str(folder / "onebox-verify"), "/usr/bin/python3", check=False)
    script = shutil.copy(pathlib.Path(__file__).with_name("rootless_mounts.py"), folder)
    image = folder / "image.tar"
    command("podman", "save", "-q", "-o", image, IMAGE)
    image.chmod(0o644)
    stage = folder / "stage"
    stage.mkdir()
    load = " ".join(as_user(["podman", "load", "-q", "-i", str(image)]))
    program = ["/usr/bin/python3", script, str(folder / "onebox-verify"), IMAGE, USER, str(stage)]
    # In one namespace: the first command of a user's Podman makes the one that all later ones join.
    argv = [*rootless.words, "sh", "-ec", f'{load}; exec "$@"', "sh", *program]
    done = subprocess.run(argv, env=rootless.env, cwd=folder, capture_output=True, text=True, timeout=400, check=False)
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
