# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe: a container made on the spot, with a published port, that is entered once. Nothing of it stays."""

from __future__ import annotations

import io
import os
import platform
import struct
import tarfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_TIMEOUT = 60.0


class ProbeError(OneboxError):
    """The probe cannot even be made here. Says why."""


class Probe:
    """Runs the probe on one engine.

    Args:
        engine: the engine's command, ``docker`` or ``podman``.
        world: processes; its environment is that of the engine's command.
        tag: keeps two probes at once apart.
    """

    def __init__(self, engine: str, world: World, tag: str | None = None) -> None:
        self._engine = engine
        self._world = world
        self._name = f"onebox-probe-{os.getpid() if tag is None else tag}"
        self._image = f"localhost/{self._name}:latest"
        self._loaded = False

    def __call__(self) -> str:
        """Run it. Returns the error, "" on success."""
        if not self._loaded:
            words = ["import", "--change", 'CMD ["/probe"]', "-", self._image]
            error = self._call(words, stdin=probe_tar(platform.machine()))
            if error:
                return f"it takes no image: {error}"
            self._loaded = True
        # The port is part of the proof: publishing one needs a network that a bare machine may be unable to set up. So
        # is entering the container, as healthchecks do: with mixed cgroups, runc under systemd may only start one.
        error = self._call(["run", "--detach", "--name", self._name, "--publish", "127.0.0.1::9", self._image])
        error = error or self._call(["exec", self._name, "/probe", "end"])
        # It runs as the first process of its container, which no polite signal reaches.
        self._call(["kill", self._name])
        # By name instead of --rm: a container that never started, or whose command was killed, must go as well.
        self._call(["rm", "--force", self._name])
        return error

    def clear(self) -> None:
        """Remove the probe's image, and a container that a failing runtime would not remove."""
        if self._loaded:
            self._call(["rm", "--force", self._name])
            self._call(["image", "rm", "--force", self._image])
            self._loaded = False

    def _call(self, words: t.Sequence[str], stdin: bytes | None = None) -> str:
        try:
            argv = [self._engine, *words]
            result = self._world.run(argv, timeout=_TIMEOUT, check=False, env=self._world.environ, stdin=stdin)
        except process.CommandError as error:
            return str(error)
        if result.rc == 0:
            return ""
        return process.last_words(_without_warnings(result.stderr), 2) or f"exit code {result.rc}"


def _without_warnings(text: str) -> str:
    """The output of a command without its warnings, unless it only has warnings."""
    lines = [line for line in text.splitlines() if "level=warning" not in line]
    return "\n".join(lines) if any(line.strip() for line in lines) else text


def probe_tar(machine: str) -> bytes:
    """A tar with one file, ``/probe``: a static program of a few bytes that waits, or, given an argument, ends with 0.

    Args:
        machine: the processor, as ``uname -m`` names it.

    Raises:
        ProbeError: for a processor there is no such program for.
    """
    if machine.lower() in ("x86_64", "amd64"):
        # cmp [rsp], 1; jne end; wait: eax = 34 (pause); syscall; jmp wait; end: edi = 0; eax = 60 (exit); syscall
        number, code = 0x3E, bytes.fromhex("48833c24017509b8220000000f05ebf731ffb83c0000000f05")
    elif machine.lower() in ("aarch64", "arm64"):
        # x0 = [sp]; cmp x0, 1; b.ne end; wait: x0 to x3 = 0; x8 = 73 (ppoll); svc; b wait; end: x0 = 0; x8 = 93 (exit)
        words = "f94003e0 f100041f 54000101 d2800000 d2800001 d2800002 d2800003 d2800928 d4000001 17fffffa"
        words += " d2800000 d2800ba8 d4000001"
        number, code = 0xB7, b"".join(struct.pack("<I", int(word, 16)) for word in words.split())
    else:
        raise ProbeError(f"no probe program for a {machine} processor; x86_64 and aarch64 have one")
    base, start = 0x400000, 64 + 56
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, number, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, start + len(code), start + len(code), 0x1000)
    program = header + segment + code
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("probe")
        entry.mode, entry.size = 0o755, len(program)
        archive.addfile(entry, io.BytesIO(program))
    return packed.getvalue()
