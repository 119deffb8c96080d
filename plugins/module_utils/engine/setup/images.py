# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provide images: present, else pulled, else built from the distribution if no registry answers.

A substitute image is built by mmdebstrap from Debian's own packages under the public name, so that compose files do
not change. Its label ``onebox.standin`` distinguishes it from the original.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import lock, process
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
from ansible_collections.onebox.stack.plugins.module_utils.engine.setup.pull import pull

STAND_IN_LABEL = "onebox.standin"
_PREFIX = "standin-"
_BUILD_TIMEOUT = 900.0
_IMPORT_TIMEOUT = 300.0
# A base system unpacked, its archive, and apt's lists and packages at the same time.
_BUILD_ROOM = 600 << 20
# Omitted in a substitute image: services do not read them, and they are a third of the size.
_WITHOUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


class ImageError(OneboxError):
    """An image is not available. The text names it, the attempts, and the fix."""


class BuilderMissing(ImageError):
    """A substitute image could be built if mmdebstrap were installed."""


@dataclass(frozen=True)
class StandIn:
    """The recipe of a substitute image.

    Attributes:
        suite: the Debian release of its packages.
        packages: installed in addition to the base system.
        command: the default command of a container.
        env: environment variables of the image.
    """

    suite: str
    packages: tuple[str, ...]
    command: tuple[str, ...] = ()
    env: t.Mapping[str, str] | None = None

    @classmethod
    def parse(cls, reference: str, data: t.Mapping[str, t.Any]) -> StandIn:
        """Read one entry of the table. Raises :class:`ImageError` naming the entry."""
        unknown = set(data) - {"suite", "packages", "command", "env"}
        if unknown or not data.get("suite"):
            raise ImageError(
                f"the substitute image for {reference} must have a suite and may have packages, command and env; "
                f"it has {', '.join(sorted(map(str, data))) or 'nothing'}"
            )
        return cls(
            str(data["suite"]),
            tuple(str(one) for one in data.get("packages") or ()),
            tuple(str(one) for one in data.get("command") or ()),
            {str(key): str(value) for key, value in (data.get("env") or {}).items()},
        )


def present(engine: Engine, reference: str) -> dict[str, t.Any] | None:
    """The image of ``engine`` with this name, or None."""
    found = engine.image(reference)
    if found is None:
        return None
    labels = (found.get("Config") or {}).get("Labels") or found.get("Labels") or {}
    stand_in = labels.get(STAND_IN_LABEL, "")
    return {
        "reference": reference,
        "id": engine.image_id(reference),
        "how": "present",
        "standin": bool(stand_in),
        "note": f"substitute image: {stand_in}" if stand_in else "",
    }


class Images:
    """The images of one engine.

    Args:
        engine: of the images.
        world: clock and processes; its environment is that of mmdebstrap and of the engine's command.
        registry_timeout: seconds until a registry must have answered.
        pull_timeout: seconds the download of one image may take.
        scratch: directory for the build; it needs space for the unpacked image.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        world: World,
        registry_timeout: float,
        pull_timeout: float,
        scratch: str,
    ) -> None:
        self._engine = engine
        self._world = world
        self._registry_timeout = registry_timeout
        self._pull_timeout = pull_timeout
        self._scratch = scratch

    def present(self, reference: str) -> dict[str, t.Any] | None:
        """The image with this name, or None."""
        return present(self._engine, reference)

    def ensure(self, reference: str, stand_in: StandIn | None) -> dict[str, t.Any]:
        """Return the image of this name, else :meth:`obtain` it. One run at a time: a second one finds the image.

        Raises:
            BuilderMissing, ImageError: as :meth:`obtain`.
            LockHeld: another run did not end in the time one image may take.
        """
        try:
            os.makedirs(self._scratch, mode=0o700, exist_ok=True)
        except OSError as error:
            raise ImageError(_unusable(self._scratch, error)) from error
        most = self._registry_timeout + self._pull_timeout + _BUILD_TIMEOUT + _IMPORT_TIMEOUT
        path = os.path.join(self._scratch, "lock")
        with lock.held(path, purpose=f"obtain {reference}", timeout=most, world=self._world):
            return self.present(reference) or self.obtain(reference, stand_in)

    def obtain(self, reference: str, stand_in: StandIn | None) -> dict[str, t.Any]:
        """Pull ``reference``, or build its substitute image.

        Raises:
            BuilderMissing: mmdebstrap is needed and missing.
            ImageError: the image is not available.
        """
        why = pull(
            self._engine.name,
            reference,
            world=self._world,
            registry_timeout=self._registry_timeout,
            pull_timeout=self._pull_timeout,
        )
        how = "pulled"
        if why:
            if stand_in is None:
                raise ImageError(
                    f"{reference} cannot be pulled ({why}) and has no substitute image. Check name and network, "
                    f"load it manually (`{self._engine.name} load`), or declare one in container_engine_standins."
                )
            self._build(reference, stand_in)
            how = "standin"
        found = self.present(reference)
        if found is None:
            raise ImageError(f"{reference} was {how} but {self._engine.name} does not know it: check its log")
        return dict(found, how=how)

    def _build(self, reference: str, stand_in: StandIn) -> None:
        if shutil.which("mmdebstrap", path=self._world.environ.get("PATH")) is None:
            raise BuilderMissing(
                f"no registry answers for {reference}; its substitute image needs mmdebstrap, which is not installed"
            )
        path = os.path.join(self._scratch, "builder.lock")
        try:
            free = shutil.disk_usage(self._scratch).free
            if free < _BUILD_ROOM:
                # mmdebstrap itself only says that apt-get update failed.
                raise ImageError(
                    f"the substitute image for {reference} needs {_BUILD_ROOM >> 20} MiB in {self._scratch} "
                    f"during the build, and {free >> 20} MiB are free: the disk is full"
                )
            with lock.held(path, purpose=f"build {reference}", timeout=_BUILD_TIMEOUT, world=self._world) as held:
                self._build_locked(reference, stand_in, held.descriptor)
        except process.CommandError as error:
            raise ImageError(_build_failed(reference, stand_in, self._scratch, error)) from error
        except OSError as error:
            raise ImageError(_unusable(self._scratch, error)) from error

    def _build_locked(self, reference: str, stand_in: StandIn, descriptor: int) -> None:
        # Nothing builds now, not even a builder that outlived its killed run: that one would hold the lock.
        sweep(self._scratch)
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=self._scratch)
        environ = self._world.environ
        try:
            archive = os.path.join(folder, "image.tar")
            # The archive is complete before the engine imports it: a half-built image never has the name.
            self._world.run(
                build_command(stand_in, archive),
                timeout=_BUILD_TIMEOUT,
                env={**environ, "TMPDIR": folder},
                holding=descriptor,
            )
            command = import_command(self._engine.name, stand_in, archive, reference)
            self._world.run(command, timeout=_IMPORT_TIMEOUT, env=environ)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(scratch: str) -> None:
    """Remove the remains of killed builds in ``scratch``. Directories with mounts stay.

    Raises:
        ImageError: something is.
    """
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as stream:
        mounted = [line.split(" ")[4] for line in stream]
    for entry in os.scandir(scratch):
        if not entry.name.startswith(_PREFIX):
            continue
        below = [place for place in mounted if place.startswith(entry.path + "/")]
        if below:
            raise ImageError(f"an interrupted build left {below[0]} mounted; run: umount {below[0]}")
        shutil.rmtree(entry.path, ignore_errors=True)


def _unusable(scratch: str, error: OSError) -> str:
    return f"cannot use {scratch}: {error.strerror or error}; give another scratch directory"


def _build_failed(reference: str, stand_in: StandIn, scratch: str, error: process.CommandError) -> str:
    printed = error.result.stderr or error.result.stdout
    if "No space left on device" in printed:
        return (
            f"the substitute image for {reference} cannot be built: the disk of {scratch} or of the image store is full"
        )
    # mmdebstrap always ends with the same two lines. apt's errors have the reason.
    told = [line for line in printed.splitlines() if line.startswith("E: ") and "mmdebstrap" not in line]
    said = process.last_words("\n".join(told) or printed) or str(error)
    return (
        f"the substitute image for {reference} cannot be built from Debian {stand_in.suite}: {said}. "
        "Check that this host's package mirror answers (apt-get update) and has these packages."
    )


def build_command(stand_in: StandIn, archive: str) -> list[str]:
    """The mmdebstrap call. No mirror is named: its own default or the host's apt sources serve."""
    words = ["mmdebstrap", "--quiet", "--variant=minbase", "--skip=check/empty"]
    words.append("--dpkgopt=force-unsafe-io")  # an interrupted build is removed anyway
    words += [f"--dpkgopt=path-exclude={pattern}" for pattern in _WITHOUT]
    if stand_in.packages:
        words.append("--include=" + ",".join(stand_in.packages))
    return [*words, stand_in.suite, archive]


def import_command(engine: str, stand_in: StandIn, archive: str, reference: str) -> list[str]:
    """The call that imports the archive under the public name."""
    label = f"Debian {stand_in.suite} with {', '.join(stand_in.packages) or 'its base system'}"
    words = [engine, "import", "--change", f"LABEL {STAND_IN_LABEL}={json.dumps(label)}"]
    for key, value in (stand_in.env or {}).items():
        words += ["--change", f"ENV {key}={json.dumps(value)}"]
    if stand_in.command:
        words += ["--change", f"CMD {json.dumps(list(stand_in.command))}"]
    return [*words, archive, reference]


def registry_of(reference: str) -> str:
    """The host name of the registry ``reference`` is pulled from, without the port."""
    first, slash, _rest = reference.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost")
    host = first if named else "docker.io"
    # The common name differs from the queried one.
    return "registry-1.docker.io" if host == "docker.io" else host.partition(":")[0]


def unknown_registries(references: t.Iterable[str], world: World) -> list[str]:
    """The registries of ``references`` without an address on this host.

    It only decides whether the builder of substitute images is installed along with the engine, to save a second
    installation. Each image is still pulled first.
    """
    hosts = sorted({registry_of(reference) for reference in references})
    unknown = []
    for host in hosts:
        try:
            world.run(["getent", "ahosts", host], timeout=5)
        except process.CommandError:
            unknown.append(host)
    return unknown
