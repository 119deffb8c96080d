# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real registry, Debian's docker-registry, on a loopback port: Docker speaks plain HTTP to those."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import typing as t

from compose_lab import wait_for
from onebox_testbed import packages
from onebox_testbed.base import CACHE

_CONFIG = """version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: "{storage}"}}
http:
  addr: "{address}"
"""
# In a process, because it must be in the network of the registry.
_PING = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(sys.argv[1], timeout=2).close()
"""


class Registry:
    """One registry; it can be stopped and started again.

    Args:
        folder: for its files.
        port: on the loopback address.
        within: the start of a command that runs in another network.
    """

    def __init__(self, folder: pathlib.Path, port: str, within: t.Sequence[str] = ()) -> None:
        self._within = list(within)
        self.address = f"127.0.0.1:{port}"
        self._config = folder / "registry.yml"
        self._config.write_text(_CONFIG.format(storage=folder / "storage", address=self.address))
        self._log = folder / "registry.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._process is not None:
            return
        unpacked = CACHE / "registry"
        if not unpacked.is_dir():
            packages.unpack("bookworm", ["docker-registry"], unpacked)
        with open(self._log, "ab") as log:
            words = [*self._within, str(unpacked / "usr/bin/docker-registry"), "serve", str(self._config)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        done = subprocess.run(
            [*self._within, sys.executable, "-c", _PING, f"http://{self.address}/v2/"], check=False, capture_output=True
        )
        if done.returncode != 0:
            assert self._process is None or self._process.poll() is None, self._log.read_text()
        return done.returncode == 0
