# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a directory is shared with a running machine: write a random token on the host, and read it in the guest.

When a container binds a directory that the machine does not share, the engine in the machine creates it, empty. So the
existence of a directory in the guest is not a proof.
"""

from __future__ import annotations

import os
import shlex
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.client import Podman
from ansible_collections.onebox.stack.plugins.module_utils.vm.podman.model import Machine


def guest_path(path: str, machine: Machine) -> str:
    """The guest's path of a directory of the host, "" if no shared directory covers it."""
    best = ""
    found = ""
    for volume in machine.config.volumes:
        source = volume.source.rstrip("/") or "/"
        if (path == source or path.startswith(source.rstrip("/") + "/")) and len(source) > len(best):
            best = source
            found = volume.target.rstrip("/") + path[len(source.rstrip("/")) :]
    return found


def check(podman: Podman, machine: Machine, paths: t.Sequence[str], token: str) -> list[dict[str, t.Any]]:
    """For each directory, whether it is shared with the guest. One ssh call for all.

    Args:
        podman: the client.
        machine: a machine that answers.
        paths: absolute directories of the host.
        token: random text; also part of the name of the temporary file.

    Returns:
        Items with ``path``, ``guest_path``, ``ok`` and ``message``.

    Raises:
        MachineError: the guest cannot be queried.
    """
    rows: list[dict[str, t.Any]] = [
        {"path": path, "guest_path": guest_path(path, machine), "ok": False, "message": ""} for path in paths
    ]
    name = f".onebox-visible-{token}"
    written: list[str] = []
    queried: list[dict[str, t.Any]] = []
    try:
        for row in rows:
            problem = (
                _write(os.path.join(row["path"], name), token) if os.path.isdir(row["path"]) else "no such directory"
            )
            if problem:
                row["message"] = f"{row['path']}: {problem}; a bind-mounted directory must exist and be writable"
            elif not row["guest_path"]:
                row["message"] = (
                    f"{row['path']} is not below any directory that {machine.name} shares, and would be empty in a "
                    "container: share it (volumes, with recreate and allow_destroy), or move it below a shared one"
                )
                written.append(os.path.join(row["path"], name))
            else:
                written.append(os.path.join(row["path"], name))
                queried.append(row)
        for row, answer in zip(queried, _read(podman, machine, [one["guest_path"] for one in queried], name)):
            row["ok"] = answer == token
            if not row["ok"]:
                row["message"] = (
                    f"{machine.name} does not see the content of {row['path']} (at {row['guest_path']} in the guest): "
                    "its shared directories are lost, as after a reboot inside the machine. Stop and start the machine"
                )
    finally:
        for path in written:
            if os.path.exists(path):
                os.unlink(path)
    return rows


def _write(path: str, token: str) -> str:
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(token)
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return ""


def _read(podman: Podman, machine: Machine, folders: t.Sequence[str], name: str) -> list[str]:
    if not folders:
        return []
    files = [shlex.quote(os.path.join(folder, name)) for folder in folders]
    # One line for each file, empty for a missing one.
    script = "; ".join(f"cat {file} 2>/dev/null; echo" for file in files)
    argv = [podman.executable, "machine", "ssh", machine.name, script]
    env = {**podman.env, "CONTAINERS_MACHINE_PROVIDER": machine.provider}
    try:
        lines = podman.world.run(argv, timeout=podman.timeout, env=env).stdout.splitlines()
    except process.CommandError as error:
        raise MachineError(f"the guest of {machine.name} cannot be queried for shared directories: {error}") from error
    return [*lines, *[""] * len(folders)][: len(folders)]
