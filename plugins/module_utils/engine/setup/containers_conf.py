# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of Podman's configuration that this collection owns, and the settings of this host."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import files, lock
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup import preflight

NAME = "50-onebox.conf"
# A run tries a dozen combinations of settings at most, each for seconds.
_WAIT = 900.0


class DropInError(OneboxError):
    """The file cannot be written."""


class DropIn:
    """``50-onebox.conf`` in Podman's ``containers.conf.d``; files of others are never touched.

    Args:
        folder: the ``containers.conf.d`` of the user whose engine it is.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, NAME)

    def settle(self, probe: t.Callable[[], str], choices: t.Sequence[preflight.Setting], world: World) -> bool:
        """Make ``probe`` work by the fewest of ``choices``. Returns whether the file changed.

        Raises:
            preflight.PreflightError: no setting helps; the file is unchanged.
            DropInError: the file cannot be written.
            LockHeld: another run did not end within 15 minutes.
        """
        if not probe():
            return False
        folder = os.path.dirname(self.path)
        with _advising():
            files.make_directories(folder, 0o755)
        # The folder itself is the lock, so no lock file stays: of two runs the second finds the work done.
        with lock.directory_held(folder, timeout=_WAIT, world=world):
            before = self.read()
            if before and not probe():
                return False

            def attempt(settings: t.Sequence[preflight.Setting]) -> str:
                self.write(preflight.render(settings))
                return probe()

            try:
                text = preflight.render(preflight.settle(attempt, choices))
            except BaseException:
                self.write(before)
                raise
            self.write(text)
            return text != before

    def read(self) -> str:
        """The text of the file, "" without one. Raises :class:`files.FileError`."""
        return files.read_text(self.path)

    def write(self, text: str) -> None:
        """Replace the file in one step; "" removes it. Raises :class:`DropInError`.

        Durable: containers that start at boot need it, and then no run of ours writes it again.
        """
        with _advising():
            if text:
                files.replace(self.path, text.encode(), 0o644, durable=True)
            else:
                files.remove(self.path)


@contextlib.contextmanager
def _advising() -> t.Iterator[None]:
    try:
        yield
    except files.FileError as error:
        raise DropInError(f"{error}; check the permissions and the disk") from error


def folder_of(uid: int, home: str) -> str:
    """The directory in which Podman reads drop-ins of this user."""
    return "/etc/containers/containers.conf.d" if uid == 0 else f"{home}/.config/containers/containers.conf.d"


def choices_here() -> list[preflight.Setting]:
    """The settings worth trying on this host; none where Podman's containers live in a virtual machine."""
    if not os.path.isdir("/proc/sys/kernel"):
        return []
    runtimes = [program for program in ("runc", "crun") if shutil.which(program)]
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    processes = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    # Podman lowers its own limit of processes to pid_max first, so a larger value cannot be passed on.
    return preflight.candidates(
        runtimes,
        _backends(),
        _lowest(files, "/proc/sys/fs/nr_open"),
        _lowest(processes, "/proc/sys/kernel/pid_max"),
    )


def _backends() -> list[str]:
    found = []
    if any(os.path.exists(f"{place}/netavark") for place in ("/usr/lib/podman", "/usr/libexec/podman")):
        found.append("netavark")
    if any(os.path.exists(f"{place}/bridge") for place in ("/usr/lib/cni", "/usr/libexec/cni", "/opt/cni/bin")):
        found.append("cni")
    return found


def _lowest(limit: int, kernel: str) -> int:
    with open(kernel, encoding="ascii") as stream:
        most = int(stream.read())
    return most if limit == resource.RLIM_INFINITY else min(limit, most)
