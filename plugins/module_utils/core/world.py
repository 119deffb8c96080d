# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The outside world of the code: processes, clocks, waiting, random numbers and the environment.

Code that needs any of it takes a :class:`World`. A test hands in its own, so that a month of retries or a death at
every step takes milliseconds.
"""

from __future__ import annotations

import os
import pwd
import random
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core import process


@dataclass(frozen=True)
class World:
    """The outside as one value.

    Attributes:
        run: starts a process, see :func:`process.run`.
        monotonic: seconds of a clock that never goes back.
        epoch: seconds since 1970, comparable with times of engines and files.
        sleep: waits that many seconds.
        random: a number from 0 up to, but not including, 1.
        environ: the environment of this process.
        uid: the user's id.
        user: the user's name; under sudo that of the caller.
        home: the user's home directory.
        account: the name of the user id, also under sudo.
    """

    run: process.Runner
    monotonic: t.Callable[[], float]
    epoch: t.Callable[[], float]
    sleep: t.Callable[[float], None]
    random: t.Callable[[], float]
    environ: t.Mapping[str, str]
    uid: int
    user: str
    home: str
    account: str = ""

    @classmethod
    def real(cls) -> World:
        """This host, as this process sees it."""
        uid = os.geteuid()
        try:
            entry = pwd.getpwuid(uid)
            name, home = entry.pw_name, entry.pw_dir
        except KeyError:
            name, home = str(uid), "/"
        environ = dict(os.environ)
        return cls(
            run=process.run,
            monotonic=time.monotonic,
            epoch=time.time,
            sleep=time.sleep,
            random=random.random,
            environ=environ,
            uid=uid,
            user=environ.get("SUDO_USER") or name,
            home=environ.get("HOME") or home,
            account=name,
        )

    @property
    def is_root(self) -> bool:
        return self.uid == 0

    @property
    def runtime_dir(self) -> str:
        """The directory for this collection's files that the next boot removes; "" if this user has none."""
        runtime = "/run" if self.is_root else self.environ.get("XDG_RUNTIME_DIR", "")
        return os.path.join(runtime, "onebox") if os.path.isdir(runtime) else ""

    def now(self) -> str:
        """The time as ISO 8601 in UTC, to the second: ``2026-11-29T03:15:00Z``."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.epoch()))

    def wait_until(self, done: t.Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
        """Check ``done`` every ``interval`` seconds, at most for ``timeout`` seconds. Returns whether it came true."""
        deadline = self.monotonic() + timeout
        while not done():
            left = deadline - self.monotonic()
            if left <= 0:
                return False
            self.sleep(min(interval, left))
        return True
