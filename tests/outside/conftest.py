# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user without a clone: the built collection in an empty environment, and a project directory of the user's own."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t
import venv

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "testbed"), str(ROOT / "tests" / "testbed" / "backup")]

import artefact  # noqa: E402
from onebox_testbed import images, podman, terminal  # noqa: E402

STACK = "obx-outside"
# A clone's collections stand for Galaxy.
DEPENDENCIES = [
    *("ansible/posix", "community/docker", "community/general"),
    "community/library_inventory_filtering_v1",
]


class Stranger:
    """A user with a home directory, a project directory and one virtual environment.

    Args:
        base: an empty directory for all three.
        environ: environment of the engine.
    """

    def __init__(self, base: pathlib.Path, environ: t.Mapping[str, str]) -> None:
        self.base = base
        self.project = base / "project"
        shutil.copytree(pathlib.Path(__file__).parent / "project", self.project)
        (base / "home").mkdir()
        ours = {name: value for name, value in environ.items() if not name.startswith(("ANSIBLE_", "PYTHON"))}
        path = ":".join(
            [str(base / "venv" / "bin"), str(podman.COMPOSE_VENV / "bin"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        )
        self.environ = {
            **ours,
            "PATH": path,
            "PWD": str(self.project),
            "HOME": str(base / "home"),
            "NOTES": str(base / "data"),
            "NOTES_IMAGE": images.TINY,
            "LC_ALL": "C.UTF-8",
            # What ansible-core 2.24 makes the default.
            "ANSIBLE_INJECT_FACT_VARS": "false",
        }
        folder = ROOT / ".collections" / "ansible_collections"
        self.dependencies = [str(folder / name) for name in DEPENDENCIES]

    def run(self, *argv: str, code: int = 0, cwd: pathlib.Path | None = None) -> str:
        """Run a command in the project directory or ``cwd``. Returns its output, and fails on any other exit code."""
        folder = cwd or self.project
        environ = {**self.environ, "PWD": str(folder)}
        done = subprocess.run(argv, cwd=folder, env=environ, capture_output=True, text=True, timeout=1200, check=False)
        assert done.returncode == code, f"{' '.join(argv)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def play(self, *names: str, words: t.Sequence[str] = (), code: int = 0) -> str:
        """Run playbooks of the installed collection in one command."""
        playbooks = [f"onebox.stack.{name}" for name in names]
        return self.run("ansible-playbook", "-i", "inventory.yml", *playbooks, *words, code=code)

    def typed(self, name: str, answer: str, code: int = 0) -> str:
        """Run a playbook in a terminal, and type the answer to its question."""
        argv = ["ansible-playbook", "-i", "inventory.yml", f"onebox.stack.{name}"]
        environ = {**self.environ, "ANSIBLE_NOCOLOR": "1"}
        ended, said = terminal.run(argv, self.project, environ, "type the name of the stack", answer)
        assert ended == code, f"{name}, {answer!r} typed: exit code {ended}\n{said}"
        return said


def empty_environment(user: Stranger) -> pathlib.Path:
    """A virtual environment with the pinned ansible-core and nothing else, kept for the next run."""
    requirements = (ROOT / "requirements.txt").read_bytes()
    folder = ROOT / ".cache" / "outside" / hashlib.sha256(requirements + sys.version.encode()).hexdigest()[:16]
    if not (folder / "complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        user.run(*pip, "-r", str(ROOT / "requirements.txt"))
        (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Stranger]:
    """Two of the three commands: the pinned ansible-core, then the built collection with its dependencies."""
    if not podman.ready():
        pytest.fail("Podman is not set up; run: make testbed", pytrace=False)
    base = tmp_path_factory.mktemp("outside")
    user = Stranger(base, {**os.environ, **podman.environment()})
    built = artefact.build(ROOT, base)
    (base / "venv").symlink_to(empty_environment(user))
    user.run("ansible-galaxy", "collection", "install", "--offline", str(built), *user.dependencies)
    yield user
    label = f"label=com.docker.compose.project={STACK}"
    names = user.run("podman", "ps", "--all", "--quiet", "--filter", label).split()
    if names:
        user.run("podman", "rm", "--force", "--time", "0", *names)
    user.run("podman", "network", "rm", "--force", f"{STACK}_default")
    for path in (pathlib.Path("/etc/onebox/backup"), pathlib.Path("/var/lib/onebox-backup")):
        for left in path.glob(f"{STACK}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
