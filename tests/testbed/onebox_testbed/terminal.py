# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program in a terminal and type an answer to its prompt."""

from __future__ import annotations

import os
import pathlib
import pty
import select
import signal
import time
import typing as t

SECONDS = 300.0
# Seconds without output after which the program waits for an answer.
QUIET = 2.0


def run(
    argv: t.Sequence[str], cwd: pathlib.Path, environ: t.Mapping[str, str], prompt: str, answer: str
) -> tuple[int, str]:
    """Run a program until it ends. After the prompt, the answer is typed whenever the program is silent.

    Returns:
        Its exit code and all it printed.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(cwd)
        os.execvpe(argv[0], argv, dict(environ))
    said, until = b"", time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            asked = prompt.encode() in said
            if not select.select([terminal], [], [], QUIET if asked else until - time.monotonic())[0]:
                # Silent since the prompt: the program discards what was typed before it began to read.
                os.write(terminal, answer.encode() + b"\r")
                continue
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break  # the program ended and closed its terminal
            if not part:
                break
            said += part
        else:
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        os.close(terminal)
    return code, said.decode(errors="replace").replace("\r\n", "\n")
