# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every layout that loses data is named before the data is lost; plain ``down`` and ``up`` count the rows."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import typing as t
import uuid

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.discover import find
from ansible_collections.onebox.stack.plugins.module_utils.mounts import bundle
from mounts_lab import PREFIX, ROOTLESS, proof
from rootless_account import UID, account, as_user
from state_layouts import LAYOUTS, StateStack, judge, servers

IMAGES = pathlib.Path(__file__).parents[2] / "testbed" / "backup" / "images.py"
_ANONYMOUS = 64
ROOTLESS_SERVERS = ("pg17", "sqlite", "app")


def _images() -> t.Any:
    spec = importlib.util.spec_from_file_location("state_images", IMAGES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Bench:
    """All layouts in one engine, and the volumes that it had before."""

    def __init__(self, engine: t.Any, tool: t.Any, python: str) -> None:
        self.engine = engine
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-state-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        made = _images()
        known = servers(lambda part: str(made.ensure(part, engine.name)), python)
        argv = [*tool.argv, *(["--in-pod=false"] if engine.name == "podman" else [])]
        project = f"{PREFIX}-state-{uuid.uuid4().hex[:6]}"
        self.stack = StateStack(project, self.folder, argv, known, [engine.name], {**engine.environ, **tool.env})
        self._before = self._volumes()

    def _volumes(self) -> set[str]:
        return set(self.engine.run("volume", "ls", "-q").stdout.split())

    def close(self) -> None:
        self.stack.close()
        # Those that ``down`` left behind.
        for name in sorted(self._volumes() - self._before):
            if len(name) == _ANONYMOUS:
                self.engine.run("volume", "rm", name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


# make test-state runs both.
FULL = pytest.mark.skipif(os.environ.get("OBX_FAULTS") != "full", reason="the same on Podman takes minutes more")


@pytest.fixture(params=["docker", pytest.param("podman", marks=FULL)])
def bench(request: pytest.FixtureRequest, python_image: str) -> t.Iterator[Bench]:
    """All layouts on Docker with Compose, and on rootful Podman with podman-compose."""
    tool = request.getfixturevalue("compose_v2" if request.param == "docker" else "podman_compose")
    made = Bench(request.getfixturevalue(f"{request.param}_engine"), tool, python_image)
    try:
        yield made
    finally:
        made.close()


def test_layouts_that_lose_rows_are_named_before_and_others_are_not(bench: Bench) -> None:
    stack = bench.stack
    engine = find(bench.engine.name, bench.engine.socket, world=World.real())
    stack.run("up", "-d")
    stack.write()
    report = proof(engine, project=stack.project)
    before = stack.rows()
    stack.run("down")
    stack.run("up", "-d")
    after = stack.rows()

    assert len(LAYOUTS) >= 30
    wrong = judge(stack, report, before, after, bench.engine.name)
    assert not wrong, "\n".join(wrong)
    assert not report["ok"]
    assert "on no declared mount would be lost" in report["message"]


@FULL
def test_layouts_on_rootless_podman_are_named_as_on_the_rootful_one(
    podman_engine: t.Any, podman_compose: t.Any, python_image: str
) -> None:
    with contextlib.ExitStack() as closing:
        user = closing.enter_context(account(subordinate=True))
        holder = closing.enter_context(subprocess.Popen([*user.words, "sleep", "infinity"]))
        closing.callback(holder.kill)
        while pathlib.Path(f"/proc/{holder.pid}/comm").read_text().strip() != "sleep":
            assert holder.poll() is None
            time.sleep(0.05)
        prefix = ["nsenter", "-t", str(holder.pid), "-m", f"--wdns={user.folder}", *as_user([])]

        def run(*words: str, codes: t.Container[int] = (0,)) -> str:
            done = subprocess.run([*prefix, *words], env=user.env, capture_output=True, text=True, check=False)
            assert done.returncode in codes, done.stderr
            return done.stdout

        made = _images()
        known = servers(lambda part: str(made.ensure(part, "podman")), python_image)
        layouts = [layout for layout in LAYOUTS if layout.server in ROOTLESS_SERVERS and layout.what != "tmpfs"]
        for image in {known[server].image for server in ROOTLESS_SERVERS}:
            archive = user.folder / "image.tar"
            podman_engine.run("save", "-q", "-o", str(archive), image, timeout=600)
            archive.chmod(0o644)
            run("podman", "load", "-q", "-i", str(archive))
            archive.unlink()
        stage = user.folder / "stage"
        stage.mkdir()
        project = f"{PREFIX}-rootless"
        # The checkout may be in a directory that only root can enter.
        (packages,) = (pathlib.Path(podman_compose.argv[0]).parents[1] / "lib").glob("*/site-packages")
        shutil.copytree(packages, user.folder / "tool", ignore=shutil.ignore_patterns("pip*", "setuptools*"))
        tool = ["env", f"PYTHONPATH={user.folder}/tool", "/usr/bin/python3", "-m", "podman_compose"]
        argv = [*prefix, *tool, "--in-pod=false"]
        stack = StateStack(project, stage, argv, known, [*prefix, "podman"], user.env, layouts)
        for place in (stage, *stage.iterdir()):
            os.chown(place, UID, UID)
        bundle.install(str(user.folder / "onebox-verify"), "/usr/bin/python3", check=False)
        closing.callback(stack.close)
        stack.run("up", "-d")
        stack.write()
        words = ["--project", project, "--engine", "podman", "--json"]
        report = json.loads(run(str(user.folder / "onebox-verify"), *words, codes=(1,)))
        before = stack.rows()
        stack.run("down")
        stack.run("up", "-d")
        after = stack.rows()

    wrong = judge(stack, report, before, after, ROOTLESS)
    assert not wrong, "\n".join(wrong)
    assert len(layouts) >= 12
