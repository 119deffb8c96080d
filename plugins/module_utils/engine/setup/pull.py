# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull an image, with one time limit for the registry's first answer and another for the whole download."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

# Output of Docker and Podman once the registry has answered. Seen with Docker 20.10 to 28 and
# Podman 4.3 to 5.8; for an engine with other output the shorter limit applies.
_ANSWERED = re.compile(r"Pulling from |Pulling fs layer|Already exists|Getting image source|Copying (blob|config)")


def pull(engine: str, reference: str, *, world: World, registry_timeout: float, pull_timeout: float) -> str:
    """Pull ``reference``; returns the reason of a failure, "" on success.

    Args:
        engine: the command, ``docker`` or ``podman``.
        world: the clock; its environment is that of the engine's command.
        registry_timeout: seconds until the registry must have answered.
        pull_timeout: seconds for the whole download.
    """
    words = [engine, "pull", reference]
    try:
        child = process.start(words, env=world.environ, stderr=subprocess.STDOUT)
    except OSError as error:
        return f"cannot run {engine}: {error.strerror}"
    printed = b""
    answered = False
    began = world.monotonic()
    output = t.cast(t.IO[bytes], child.stdout)
    with output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            left = began + (pull_timeout if answered else registry_timeout) - world.monotonic()
            if left <= 0 or not selector.select(left):
                process.kill_group(child)
                if answered:
                    return f"it was not downloaded within {pull_timeout:g} s"
                return f"the registry did not answer within {registry_timeout:g} s"
            piece = os.read(output.fileno(), 65536)
            if not piece:
                break
            printed += piece
            answered = answered or bool(_ANSWERED.search(printed.decode("utf-8", errors="replace")))
    if child.wait() == 0:
        return ""
    return process.last_words(printed.decode("utf-8", errors="replace"), 1) or f"exit code {child.returncode}"
