# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start restic's backup before all its input exists, to save time.

restic spends half a second on the key. Meanwhile the runner walks through the directories. restic waits because of its
exclude files, which it reads in order after it opened the repository. The first is a pipe, which the runner closes when
the input is complete. The second is only created then: if the runner was killed, restic ends without a snapshot.
A version with another order of reading would be slower, or fail with the missing file.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.background import Background
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.store import confined
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.restic_command import Restic
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process


class WaitingBackup:
    """A ``restic backup`` that waits for :meth:`go` or :meth:`abandon`; one of them must be called.

    Args:
        program: the calls of restic on the repository.
        words: options and targets.
        excludes_file: path of the exclude file.
        lock: descriptor of the lock that restic inherits, -1 for none.
        directories: the directories to store in addition to the staged files. Links below them are not followed.

    Attributes:
        directories: as in the arguments.
        unconfined: the reason why links could not be forbidden, "" when they were.
    """

    def __init__(
        self, program: Restic, words: t.Sequence[str], excludes_file: str, lock: int, directories: t.Sequence[str]
    ) -> None:
        self._program = program
        self._words = words
        self._file = excludes_file
        self._lock = lock
        self.directories = list(directories)
        self.unconfined = ""
        self._start()

    def _start(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file)
        self._began = self._program.world.monotonic()
        wait, self._gate = os.pipe()
        # Without --no-scan restic walks through everything twice, to estimate the size.
        argv = ["backup", "--json", "--quiet", "--no-scan", "--exclude-file", f"/dev/fd/{wait}"]
        argv += ["--exclude-file", self._file, *self._words]

        def run() -> process.Result:
            try:
                # Applies to this thread and the program it starts.
                self.unconfined = confined.forbid_links(self.directories)
                limit = self._program.timeout
                return self._program.run(argv, check=False, lock=self._lock, waits=limit, inherit=(wait,))
            finally:
                os.close(wait)

        self._run = Background(run)

    def go(self, excludes: t.Iterable[str]) -> process.Result:
        """Let restic continue with the complete input, and wait for its end. ``excludes``: paths to leave out."""
        if self._program.world.monotonic() - self._began >= self._program.timeout:
            # The walk took long: part of its time limit is used, or it was ended already.
            self.abandon()
            self._start()
        text = "".join(f"{line}\n" for line in excludes).encode("utf-8", "surrogateescape")
        try:
            files.replace(self._file, text, durable=False)
        except BaseException:
            self.abandon()
            raise
        os.close(self._gate)
        return self._run.join()

    def abandon(self) -> None:
        """End it without a snapshot."""
        os.close(self._gate)
        with contextlib.suppress(StoreError):
            self._run.join()


def escaped(path: str) -> str:
    """The pattern that matches exactly one path."""
    return re.sub(r"([\\*?\[\]])", r"\\\1", path)


def patterns(paths: t.Iterable[str]) -> tuple[list[str], list[str]]:
    """Exclusions of exactly these paths: lines of a file, and patterns with white space that lines cannot contain."""
    lines, others = [], []
    for path in paths:
        pattern = escaped(path)
        if "\n" in path or path != path.strip():
            others.append(pattern)
        else:
            lines.append(pattern.replace("$", "$$"))
    return lines, others


def summary(text: str) -> dict[str, t.Any]:
    """The summary of restic's output."""
    for line in reversed(text.splitlines()):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and row.get("message_type") == "summary":
            return row
    return {}


def unread(text: str) -> list[str]:
    """The paths that restic could not read, from its standard error."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict) and row.get("message_type") == "error" and isinstance(row.get("item"), str):
                found.append(row["item"])
    return found
