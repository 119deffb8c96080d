# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads of modules, kept on the controller between runs of ansible-playbook.

ansible-core parses a module and all module_utils that it imports, and packs them into one payload. It caches the
payload in a directory that it deletes at the end of the run. For ``compose_stack``, which imports 150 files, packing
costs more time than a deploy without changes, and for ``setup`` as much as running it. A kept payload is used again
only while none of its files has changed, and for the same release of ansible-core.

A kept file goes back under the name that ansible-core chose for it. A release of ansible-core that caches elsewhere
finds no file and packs the module as usual. Payloads for this host also have bytecode, because its Python is often the
one of the controller. Over a network, bytecode would only double what is sent to a Python that may be another.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import stat
import sys
import typing as t

import ansible
from ansible import constants
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.plugins.connection import ConnectionBase
from ansible.plugins.loader import module_utils_loader
from ansible.release import __version__ as ansible_version
from ansible_collections.onebox.stack.plugins.plugin_utils import bytecode

COLLECTION = pathlib.Path(__file__).resolve().parents[2]
# States of the code whose payloads are kept: that of the last run, and those of other checkouts and environments.
KEPT_STATES = 4
_MODULES = "ansible_collections.onebox.stack.plugins.modules."
# The module of ansible-core that each run of site.yml begins with: packing it takes as long as running it.
SETUP = "ansible.modules.setup"


class Payloads:
    """The payloads of some modules.

    Args:
        modules: their Python names.
        used: the directory in which ansible-core caches payloads for the present run.
        kept: the directory for payloads of all states of the code.
        sources: directories with the code of all payloads.
        local: whether the module runs on this host.
    """

    def __init__(
        self,
        modules: t.Sequence[str],
        used: pathlib.Path,
        kept: pathlib.Path,
        sources: t.Iterable[pathlib.Path],
        *,
        local: bool,
    ) -> None:
        self._modules = modules
        self._used = used
        self._all = kept
        self._local = local
        self._kept = kept / (_state(sources) + ("-local" if local else ""))

    def restore(self) -> None:
        """Copy kept payloads to the cache of this run, unless another user could have written them."""
        if not (_is_private(self._all) and _is_private(self._kept)):
            return
        for path in self._payloads(self._kept):
            if _is_private(path) and not (self._used / path.name).exists():
                _copy(path, self._used)

    def keep(self) -> None:
        """Keep payloads that ansible-core packed in this run, and remove those of the oldest states of the code."""
        missing = [path for path in self._payloads(self._used) if not (self._kept / path.name).exists()]
        if not missing:
            return
        for folder in (self._all, self._kept):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_private(folder):
                return
        for path in missing:
            _copy(path, self._kept, bytecode.add if self._local else None)
        states = sorted((path for path in self._all.iterdir() if path.is_dir()), key=os.path.getmtime)
        for path in states[:-KEPT_STATES]:
            shutil.rmtree(path, ignore_errors=True)

    def _payloads(self, folder: pathlib.Path) -> list[pathlib.Path]:
        found = [path for module in self._modules for path in folder.glob(f"{module}-*")]
        return [path for path in found if path.suffix != ".lock"]


class KeptPayloadAction(NormalAction):
    """Runs a module as ansible-core does, with its payload kept between runs."""

    def run(self, tmp: t.Any = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        payloads = None
        # Packing is always possible: without space or rights for the copy, the run only takes longer.
        with contextlib.suppress(OSError):
            payloads = here(self._connection, _MODULES + self._task.action.rpartition(".")[2], SETUP)
            payloads.restore()
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        if payloads:
            with contextlib.suppress(OSError):
                payloads.keep()
        return result


def here(connection: ConnectionBase, *modules: str) -> Payloads:
    """The payloads of modules for this run of ansible-playbook and the host of a connection."""
    core = pathlib.Path(ansible.__file__).resolve().parent
    # Directories in which users replace module_utils of ansible-core.
    others = [pathlib.Path(path) for path in module_utils_loader._get_paths(subdirs=False)]
    sources = [COLLECTION / "plugins/modules", COLLECTION / "plugins/module_utils", core / "modules"]
    sources += [core / "module_utils", *others]
    return Payloads(
        modules,
        used=pathlib.Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache",
        kept=pathlib.Path(constants.config.get_config_value("ANSIBLE_HOME")) / "onebox.stack" / "payloads",
        sources=sources,
        local=connection.transport == "local",
    )


def _state(sources: t.Iterable[pathlib.Path]) -> str:
    """A name for the present state of the code: any change of a file, or of its path, changes it."""
    digest = hashlib.sha256(f"{ansible_version} {sys.version}".encode())
    for source in sources:
        digest.update(f"\n{source}".encode("utf-8", "surrogateescape"))
        for path in _python_files(str(source)):
            status = os.stat(path)
            row = f"\n{path} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
            digest.update(row.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _python_files(folder: str) -> t.Iterator[str]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names) if name.endswith(".py"))


def _is_private(path: pathlib.Path) -> bool:
    """Whether only this user can have written it: ansible-core executes what a payload contains."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return not stat.S_ISLNK(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _copy(path: pathlib.Path, folder: pathlib.Path, change: t.Callable[[pathlib.Path], None] | None = None) -> None:
    """Copy a file into a folder, changed, in one step: another process may read it there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    part = folder / f".{path.name}.{os.getpid()}"
    try:
        shutil.copyfile(path, part)
        if change:
            # The payload works unchanged, too.
            with contextlib.suppress(ValueError):
                change(part)
        part.chmod(0o600)
        part.replace(folder / path.name)
    finally:
        part.unlink(missing_ok=True)
