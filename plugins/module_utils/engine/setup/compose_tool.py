# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a compose tool next to the system, replaceable, if the distribution's own is too old or missing.

Each installation is completed in its own directory and then linked in one step. A killed one, or two
at once, leave either the previous tool or the new one.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

_TIMEOUT = 600.0
# Another run may install at the same time: three commands, each within the time above.
_WAIT = 3 * _TIMEOUT
# Debian's archive by the names of its suites; other archives on the host have other names.
_DEBIAN = re.compile(r"bookworm|trixie|forky|sid|stable|testing|unstable|oldstable")


class ToolError(OneboxError):
    """The compose tool cannot be installed. The text has the reason and the fix."""


class Installer:
    """Installs below ``base``, and links into ``links``.

    Args:
        base: directory of this collection's own programs, for example ``/opt/onebox``.
        links: directory commands or plugins are linked into.
        world: clock and processes.
        pip_wheel: pattern of the wheel pip is run from; without one it is installed into the environment.
    """

    def __init__(
        self,
        base: str,
        links: str,
        world: World,
        pip_wheel: str = "/usr/share/python-wheels/pip-*.whl",
    ) -> None:
        self._base = base
        self._links = links
        self._world = world
        self._pip_wheel = pip_wheel

    def podman_compose(self, requirement: str, python: str) -> str:
        """Install podman-compose by pip in a virtual environment of its own; returns its path.

        Args:
            requirement: for pip, for example ``podman-compose==1.6.0``.
            python: the interpreter; it must have ``venv``.

        Raises:
            ToolError: no virtual environment, no package index for pip, or a directory that cannot be written.
            LockHeld: another installation did not end within half an hour.
        """

        def build(folder: str) -> None:
            interpreter = f"{folder}/bin/python"
            # Debian's pip runs out of its wheel: installing it into the environment first would double the time.
            wheel = next(iter(glob.glob(self._pip_wheel)), "")
            alone = ["--without-pip"] if wheel else []
            self._call([python, "-m", "venv", *alone, folder], "install your distribution's python3-venv")
            pip = [f"{wheel}/pip"] if wheel else ["-m", "pip"]
            words = [interpreter, *pip, "install", "--quiet", "--disable-pip-version-check", requirement]
            self._call(words, "check that pip reaches a package index (pip config list)")

        return self._install("podman-compose", "bin/podman-compose", build)

    def docker_compose(self, suite: str, packages: t.Sequence[str]) -> str:
        """Unpack docker compose v2 and its plugins from a newer Debian ``suite``; returns compose's path.

        The packages come from the mirror this host's apt uses, verified by apt; apt's own lists and the package
        database are not touched, so it cannot install anything else of that suite.

        Raises:
            ToolError: apt uses no Debian archive, it cannot be reached, or a directory cannot be written.
            LockHeld: another installation did not end within half an hour.
        """

        def build(folder: str) -> None:
            apt = self._private_apt(suite, folder)
            self._call([*apt, "update"], "check that this host's package mirror answers (apt-get update)")
            self._call([*apt, "download", *packages], "see that this host's package mirror answers", folder)
            for name in sorted(os.listdir(folder)):
                if name.endswith(".deb"):
                    self._call(["dpkg-deb", "-x", name, "."], "free space on the disk", folder)
                    os.unlink(os.path.join(folder, name))
            shutil.rmtree(os.path.join(folder, "apt"))

        plugins = "usr/libexec/docker/cli-plugins"
        path = self._install("docker-compose", f"{plugins}/docker-compose", build)
        for name in sorted(os.listdir(os.path.dirname(path))):
            self._link(os.path.join(os.path.dirname(path), name))
        return path

    def _install(self, name: str, program: str, build: t.Callable[[str], None]) -> str:
        place = os.path.join(self._base, name)
        path = os.path.join(place, program)
        try:
            os.makedirs(self._base, mode=0o755, exist_ok=True)
            with lock.directory_held(self._base, timeout=_WAIT, world=self._world):
                self._sweep(name)
                folder = tempfile.mkdtemp(prefix=f"{name}.", dir=self._base)
                try:
                    os.chmod(folder, 0o755)
                    build(folder)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                if os.path.isdir(place) and not os.path.islink(place):
                    os.rename(place, f"{folder}.old")
                _point(place, os.path.basename(folder))
                self._sweep(name)
                self._link(path)
        except OSError as error:
            raise ToolError(_unwritable(self._base, error)) from error
        return path

    def _sweep(self, name: str) -> None:
        """Remove all installations of ``name`` but the one that is linked."""
        place = os.path.join(self._base, name)
        linked = os.path.basename(os.readlink(place)) if os.path.islink(place) else ""
        for entry in os.scandir(self._base):
            if entry.name.startswith(f"{name}.") and entry.name != linked:
                shutil.rmtree(entry.path, ignore_errors=True)

    def _link(self, path: str) -> None:
        """Link into the folder of commands, unless a foreign file has the name."""
        link = os.path.join(self._links, os.path.basename(path))
        ours = os.path.islink(link) and os.readlink(link).startswith(self._base + "/")
        if os.path.lexists(link) and not ours:
            return
        try:
            os.makedirs(self._links, mode=0o755, exist_ok=True)
            _point(link, path)
        except OSError as error:
            raise ToolError(_unwritable(self._links, error)) from error

    def _private_apt(self, suite: str, folder: str) -> list[str]:
        state = os.path.join(folder, "apt")
        for part in ("lists/partial", "archives/partial", "sources.list.d"):
            os.makedirs(os.path.join(state, part))
        with open(os.path.join(state, "sources.list"), "w", encoding="utf-8") as stream:
            stream.write(f"deb {self._mirror()} {suite} main\n")
        options = {
            "Dir::State::lists": f"{state}/lists",
            "Dir::Etc::sourcelist": f"{state}/sources.list",
            "Dir::Etc::sourceparts": f"{state}/sources.list.d",
            "Dir::Cache": state,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
        }
        return ["apt-get", "--quiet", *(f"--option={key}={value}" for key, value in options.items())]

    def _mirror(self) -> str:
        words = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"]
        listed = self._call(words, "install docker compose v2 manually")
        for line in listed.splitlines():
            site, _space, suite = line.partition(" ")
            if _DEBIAN.fullmatch(suite):
                return site
        raise ToolError("this host's apt does not use a Debian archive that has docker compose v2. Install it manually")

    def _call(self, words: t.Sequence[str], advice: str, cwd: str | None = None) -> str:
        try:
            return self._world.run(words, timeout=_TIMEOUT, cwd=cwd).stdout
        except process.CommandError as error:
            raise ToolError(f"{error}; {advice}") from error


def _unwritable(folder: str, error: OSError) -> str:
    return f"cannot write below {folder}: {error.strerror or error}; check the permissions and the disk"


def _point(link: str, target: str) -> None:
    """Make ``link`` a symbolic link to ``target`` in one step."""
    temporary = f"{link}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, link)
