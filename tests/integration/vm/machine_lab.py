# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One podman version with its own home, and the modules on it.

Podman refuses machines of root, and the tests may run as root. Then a user namespace shows root as an ordinary user and
changes nothing else.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import ps as processes
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

ROOT = pathlib.Path(__file__).resolve().parents[3]
RUN_MODULE = pathlib.Path(__file__).resolve().parent / "run_module.py"
AS_USER = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []


class Lab:
    """A home for one podman; ``tree`` is the directory that podman_cli.build returned."""

    def __init__(self, home: pathlib.Path, tree: pathlib.Path) -> None:
        self.version = tuple(int(part) for part in (tree / "ready").read_text().strip().split("."))
        self.home = home
        self.bin = tree / "bin"
        self.config = home / ".config/containers/podman/machine/qemu"
        self.env = {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "CONTAINERS_MACHINE_PROVIDER": "applehv",  # the modules must ignore this value
        }
        (home / ".config/containers").mkdir(parents=True)
        (home / "run").mkdir()
        (home / ".config/containers/containers.conf").write_text(f'[engine]\nhelper_binaries_dir=["{self.bin}"]\n')
        self.image = home / "empty.qcow2"
        self.call(str(self.bin / "qemu-img"), "create", "-q", "-f", "qcow2", str(self.image), "1G")

    def call(self, *argv: str, seconds: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program as the ordinary user of this home."""
        return subprocess.run(
            [*self.prefix(), *argv],
            env={**self.env, **env},
            text=True,
            capture_output=True,
            timeout=seconds,
            check=False,
        )

    def prefix(self) -> list[str]:
        """The arguments that run a command as the ordinary user of this home."""
        return AS_USER

    def podman(self, *words: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        return self.call("podman", *words, seconds=seconds, CONTAINERS_MACHINE_PROVIDER="qemu")

    def own_processes(self) -> list[processes.Process]:
        """The processes of this home's machine: VM, network, shared directories."""
        return [one for one in processes.listing(World.real()) if f"{self.home}/run/podman" in one.command]

    def module(
        self, module: str = "podman_machine", /, *, check: bool = False, root: bool = False, **args: t.Any
    ) -> t.Any:
        """The module's result, with ``failed`` and ``msg`` when it fails."""
        given = {"executable": str(self.bin / "podman"), "environment": self.env, **args, "_ansible_check_mode": check}
        argv = [*([] if root else self.prefix()), str(ROOT / ".venv/bin/python"), str(RUN_MODULE), module]
        done = subprocess.run(
            argv, input=json.dumps(given), text=True, capture_output=True, timeout=600, check=False, cwd=ROOT
        )
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise AssertionError(f"no result: {done.stdout} {done.stderr}") from error

    def tree(self) -> dict[str, bytes]:
        """Every file of podman for machines, with its content, which a check must not change."""
        files = {}
        for path in sorted((self.home / ".config").rglob("*")):
            if path.is_file():
                files[str(path)] = path.read_bytes()
        return files

    def file(self, name: str) -> dict[str, t.Any]:
        return json.loads((self.config / f"{name}.json").read_text())
