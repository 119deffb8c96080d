# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether an engine really runs a container here, and settle what it needs for that.

An engine that answers may still be unable to start anything: on a machine without systemd, with a restricted set of
capabilities or with mixed cgroups, Podman's defaults fail in ways that a few lines of containers.conf mend. So a probe
container with a published port is run; when it fails, the settings that its error speaks of are tried, then the others.
"""

from __future__ import annotations

import contextlib
import io
import os
import platform
import re
import resource
import shutil
import struct
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils import process

PROBE_IMAGE = "localhost/onebox-probe:latest"
DROP_IN = "50-onebox.conf"
_TIMEOUT = 60.0


class PreflightError(Exception):
    """No combination of settings makes the engine run a container. Names all that was tried, and what each said."""


@dataclass(frozen=True)
class Setting:
    """One mending of containers.conf: ``table`` and the lines that go there, and the errors that speak for it."""

    name: str
    table: str
    lines: tuple[str, ...]
    speaks: str


@dataclass(frozen=True)
class Attempt:
    """One run of the probe: with which settings, and what it said ("" when it worked)."""

    settings: tuple[str, ...]
    error: str


def candidates(
    runtimes: t.Sequence[str],
    backends: t.Sequence[str],
    nofile: int,
    nproc: int,
) -> list[Setting]:
    """The settings worth trying on this host, the likeliest first.

    Args:
        runtimes: OCI runtimes that are installed.
        backends: network backends that are installed.
        nofile: the hard limit of open files of this process.
        nproc: the hard limit of processes of this process.
    """
    # Podman asks for more than the hard limit, which only CAP_SYS_RESOURCE may raise; runtimes differ in words.
    limits = f'default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]'
    found = [
        Setting("ulimits", "containers", (limits,), r"rlimit|RLIMIT|setrlimit"),
        Setting("cgroupfs", "engine", ('cgroup_manager = "cgroupfs"',), r"systemd|dbus|sd-bus|cgroup manager"),
        Setting("events in a file", "engine", ('events_logger = "file"',), r"journal|event"),
    ]
    # crun refuses cgroup v1 mixed with v2; runc takes it.
    for name in ("runc", "crun"):
        if name in runtimes:
            found.append(Setting(name, "engine", (f'runtime = "{name}"',), r"cgroup|crun|OCI runtime|oci runtime"))
    for name in ("netavark", "cni"):
        if name in backends:
            speaks = r"netavark|CNI|cni|network|nft|iptables"
            found.append(Setting(name, "network", (f'network_backend = "{name}"',), speaks))
    return found


def render(settings: t.Sequence[Setting]) -> str:
    """The drop-in file for ``settings``, "" for none."""
    if not settings:
        return ""
    tables: dict[str, list[str]] = {}
    for setting in settings:
        tables.setdefault(setting.table, []).extend(setting.lines)
    text = "# Written by onebox.stack.container_engine: what this host needs for a container to start.\n"
    for table, lines in tables.items():
        text += f"\n[{table}]\n" + "".join(f"{line}\n" for line in lines)
    return text


def settle(probe: t.Callable[[t.Sequence[Setting]], str], choices: t.Sequence[Setting]) -> list[Setting]:
    """Return the fewest settings found to make ``probe`` work.

    Args:
        probe: runs a container with the given settings; returns what went wrong, "" for nothing.
        choices: settings to try, the likeliest first; at most one for each line of the file is used.

    Raises:
        PreflightError: nothing helps.
    """
    attempts: list[Attempt] = []

    def run(settings: t.Sequence[Setting]) -> str:
        error = probe(settings)
        attempts.append(Attempt(tuple(setting.name for setting in settings), error))
        return error

    used: list[Setting] = []
    guessed: list[Setting] = []
    left = list(choices)
    error = run(used)
    while error:
        fitting = [setting for setting in left if re.search(setting.speaks, error)]
        choice = (fitting or left)[:1]
        if not choice:
            raise PreflightError(failure(attempts))
        setting = choice[0]
        left.remove(setting)
        key = _key(setting)
        kept = [other for other in used if _key(other) != key]
        now = run([*kept, setting])
        # A setting stays when it cures, or at least changes the complaint; one that changes nothing is dropped.
        if not now or _gist(now) != _gist(error):
            used = [*kept, setting]
            if not fitting:
                guessed.append(setting)
            error = now
    for setting in guessed:
        without = [other for other in used if other is not setting]
        if setting in used and not run(without):
            used = without
    return used


def failure(attempts: t.Sequence[Attempt]) -> str:
    """All attempts in words."""
    tried = "; ".join(f"with {', '.join(one.settings) or 'its defaults'}: {one.error}" for one in attempts)
    return (
        f"the engine cannot run a container on this host. Tried {tried}. "
        "A virtual machine or a less restricted container host is needed, or another engine (container_engine)."
    )


def _key(setting: Setting) -> tuple[str, str]:
    return setting.table, setting.lines[0].split("=")[0].strip()


def _gist(error: str) -> str:
    # Container ids and paths differ from run to run; the complaint does not.
    return re.sub(r"[0-9a-f]{12,}|\d{3,}", "#", error)


def probe_image() -> bytes:
    """A tar with one file, ``/probe``: a static program of a few bytes that ends with exit code 0 at once.

    Raises:
        PreflightError: for a processor there is no such program for.
    """
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        number, code = 0x3E, bytes.fromhex("31ffb83c0000000f05")  # exit(0): edi = 0, eax = 60
    elif machine in ("aarch64", "arm64"):
        number, code = 0xB7, bytes.fromhex("000080d2a80b80d2010000d4")  # exit(0): x0 = 0, x8 = 93
    else:
        raise PreflightError(f"no probe program for a {machine} processor; x86_64 and aarch64 have one")
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


class Podman:
    """Runs the probe on Podman, and keeps the drop-in file that makes it work.

    Args:
        folder: the ``containers.conf.d`` of the user whose engine it is.
        run: starts a process.
    """

    def __init__(self, folder: str, run: process.Runner = process.run) -> None:
        self.path = os.path.join(folder, DROP_IN)
        self._run = run

    def settle(self) -> bool:
        """Make Podman run a container. Returns whether the drop-in changed.

        Raises:
            PreflightError: nothing helps; the file is as it was before.
        """
        before = self.read()
        have_probe("podman", self._run)
        if not self._probe():
            return False
        try:
            chosen = settle(self._with, known())
        except PreflightError:
            self._write(before)
            raise
        self._write(render(chosen))
        return render(chosen) != before

    def read(self) -> str:
        """The drop-in as it is, "" without one."""
        try:
            with open(self.path, encoding="utf-8") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""

    def remove(self) -> bool:
        """Take the drop-in away. Returns whether there was one."""
        there = bool(self.read())
        self._write("")
        return there

    def _with(self, settings: t.Sequence[Setting]) -> str:
        self._write(render(settings))
        return self._probe()

    def _probe(self) -> str:
        # The port is part of the proof: publishing one needs a network that a bare machine may not be able to set up.
        result = self._run(
            ["podman", "run", "--rm", "--pull=never", "--publish", "127.0.0.1::9", PROBE_IMAGE],
            timeout=_TIMEOUT,
            check=False,
        )
        if result.rc == 0:
            return ""
        return process.last_words(result.stderr, 2) or f"exit code {result.rc}"

    def _write(self, text: str) -> None:
        if not text:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            return
        folder = os.path.dirname(self.path)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".onebox-", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, self.path)


def have_probe(engine: str, run: process.Runner = process.run) -> None:
    """Have the probe image (a few hundred bytes) in the engine; it stays, since making it costs more than the probe.

    Raises:
        PreflightError: the engine takes no image.
    """
    if run([engine, "image", "inspect", PROBE_IMAGE], timeout=_TIMEOUT, check=False).rc == 0:
        return
    words = [engine, "import", "--change", 'CMD ["/probe"]', "-", PROBE_IMAGE]
    try:
        run(words, timeout=_TIMEOUT, stdin=probe_image())
    except process.CommandError as error:
        raise PreflightError(f"{engine} cannot take an image on this host: {error}") from error


def forget_probe(engine: str, run: process.Runner = process.run) -> None:
    """Remove the probe image."""
    run([engine, "image", "rm", "--force", PROBE_IMAGE], timeout=_TIMEOUT, check=False)


def probe_docker(run: process.Runner = process.run) -> None:
    """Run the probe on Docker through its command line.

    Raises:
        PreflightError: Docker cannot run a container here.
        process.CommandMissing: there is no ``docker`` command.
    """
    have_probe("docker", run)
    result = run(["docker", "run", "--rm", "--publish", "127.0.0.1::9", PROBE_IMAGE], timeout=_TIMEOUT, check=False)
    if result.rc != 0:
        raise PreflightError(
            f"Docker answers but cannot run a container on this host: {process.last_words(result.stderr, 2)}. "
            "Its own log (journalctl -u docker, or what dockerd printed) says more."
        )


def known() -> list[Setting]:
    """The settings worth trying on this host."""
    return candidates(_installed("runc", "crun"), _backends(), *_hard_limits())


def names_in(text: str, choices: t.Sequence[Setting]) -> list[str]:
    """Which of ``choices`` a drop-in holds."""
    return [setting.name for setting in choices if all(line in text for line in setting.lines)]


def configuration_folder(uid: int, home: str) -> str:
    """Where Podman reads drop-ins of this user."""
    return "/etc/containers/containers.conf.d" if uid == 0 else f"{home}/.config/containers/containers.conf.d"


def _installed(*programs: str) -> list[str]:
    return [program for program in programs if shutil.which(program)]


def _backends() -> list[str]:
    found = []
    if any(os.path.exists(f"{place}/netavark") for place in ("/usr/lib/podman", "/usr/libexec/podman")):
        found.append("netavark")
    if any(os.path.exists(f"{place}/bridge") for place in ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")):
        found.append("cni")
    return found


def _hard_limits() -> tuple[int, int]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    # Podman lowers its own limit of processes to pid_max first, so more than that cannot be handed on.
    return _lowest(files, "/proc/sys/fs/nr_open"), _lowest(processes, "/proc/sys/kernel/pid_max")


def _lowest(limit: int, kernel: str) -> int:
    with open(kernel, encoding="ascii") as stream:
        most = int(stream.read())
    return most if limit == resource.RLIM_INFINITY else min(limit, most)
