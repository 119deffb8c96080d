# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of restic: credentials, supported versions and exit codes."""

from __future__ import annotations

import os
import re
import shutil
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.configuration import RepositorySpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

OLDEST = (0, 18)
LOCK_SECONDS = 1800.0


class Restic:
    """The program, on one repository.

    Args:
        spec: the path and the credentials of the repository.
        state_dir: holds restic's cache.
        timeout: seconds for one call.
    """

    def __init__(self, spec: RepositorySpec, state_dir: str, timeout: float, world: World) -> None:
        self.world = world
        self._spec = spec
        self._state_dir = state_dir
        self.timeout = timeout
        self._version_checked = False

    def require_version(self, known: t.Any = None) -> None:
        """Refuse an unsupported version. ``known``: :meth:`signs` of a program whose version was checked before."""
        if self._version_checked:
            return
        if not known or known != self.signs():
            said = self.run(["version"]).stdout
            match = re.match(r"restic (\d+)\.(\d+)", said)
            if match is None or (int(match.group(1)), int(match.group(2))) < OLDEST:
                raise StoreError(
                    f"{self._spec.program} is {said.split(' compiled')[0].strip() or 'unknown'}; 0.18 is the oldest "
                    "supported version: install it from Debian 13 or newer, from Homebrew, or the release binary "
                    "of restic.net, and name its path as program"
                )
        self._version_checked = True

    def signs(self) -> list[t.Any]:
        """Identifies the program file."""
        program = shutil.which(self._spec.program, path=self.world.environ.get("PATH"))
        if program is None:
            return []
        status = os.stat(program)
        return [realpath(program), status.st_size, status.st_mtime_ns, status.st_ino]

    def run(
        self,
        words: t.Sequence[str],
        *,
        check: bool = True,
        lock: int = -1,
        timeout: float | None = None,
        waits: float = 0.0,
        inherit: t.Sequence[int] = (),
        retry_lock: float | None = None,
    ) -> process.Result:
        """One call.

        Args:
            check: raise when the exit code is not 0.
            lock: descriptor of the lock that it still holds if we are killed, -1 for none.
            timeout: fewer seconds than the repository's.
            waits: seconds it may wait for us, in addition to the time limit.
            inherit: other descriptors that it inherits.
            retry_lock: seconds it waits for locks of others, None for half an hour or half of its time.
        """
        try:
            result = self.world.run(
                [*self._argv(words[0], retry_lock), *words],
                timeout=min(timeout or self.timeout, self.timeout) + waits,
                env=self._environment(),
                check=False,
                pass_fds=(*inherit, *((lock,) if lock >= 0 else ())),
            )
        except process.CommandMissing as error:
            raise StoreError(
                f"{self._spec.program} cannot be run ({error}); install 0.18 or newer, or name its path"
            ) from error
        except process.CommandTimeout as error:
            hint = "" if timeout else "; raise timeout in the backup configuration, backups_timeout of the role"
            raise StoreError(f"restic {words[0]} on {self._spec.path}: {error}{hint}") from error
        except process.CommandError as error:
            raise StoreError(f"restic {words[0]} on {self._spec.path}: {error}") from error
        if check and result.rc != 0:
            raise self.failed(words[0], result)
        return result

    def failed(self, command: str, result: process.Result) -> StoreError:
        """The error of a failed call."""
        if result.rc == 12:
            return StoreError(
                f"the key in {self._spec.password_file} does not open {self._spec.path}; without the right one "
                "its sets are lost. Restore the key from your copy"
            )
        if result.rc == 11:
            return StoreError(
                f"restic {command} on {self._spec.path}: another program holds the repository's lock, perhaps the "
                f"backup of another stack: {process.last_words(result.stderr or result.stdout)}. Run again later"
            )
        return StoreError(
            f"restic {command} on {self._spec.path} failed (exit code {result.rc}): "
            f"{process.last_words(result.stderr or result.stdout)}"
        )

    def _argv(self, command: str, retry_lock: float | None) -> list[str]:
        words = [self._spec.program, "--repo", self._spec.path, "--password-file", self._spec.password_file]
        words += ["--cache-dir", os.path.join(self._state_dir, "restic-cache")]
        if command != "version":  # versions without the option must answer this call, too
            # Another stack may use the same repository. Half of the time remains for the work.
            seconds = min(self.timeout / 2, LOCK_SECONDS) if retry_lock is None else retry_lock
            words += ["--retry-lock", f"{int(seconds)}s"]
        for option in self._spec.options:
            words += ["--option", option]
        return words

    def _environment(self) -> dict[str, str]:
        env = {"HOME": self._state_dir, **self.world.environ, "LC_ALL": "C"}
        if self._spec.environment_file:
            try:
                with open(self._spec.environment_file, encoding="utf-8") as file:
                    lines = [line.strip() for line in file]
            except OSError as error:
                raise StoreError(f"{self._spec.environment_file} cannot be read: {error.strerror}") from error
            for line in lines:
                name, equals, value = line.partition("=")
                if equals and not line.startswith("#"):
                    env[name.strip()] = value.strip().strip("'\"")
        return env
