# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command: bounded in time, without a shell, without a terminal, in the C locale.

All processes of this collection start here, nearly all through :func:`run`, so that a hung tool is an error with a name
and never a hung playbook, and so that tests can pass their own runner. :func:`start` is for a program whose output is
read while it runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


@dataclass(frozen=True)
class Result:
    """The result of a finished command. ``seconds`` is wall time."""

    argv: tuple[str, ...]
    rc: int
    stdout: str
    stderr: str
    seconds: float


class CommandError(OneboxError):
    """A command could not be run, ran too long, or failed.

    Attributes:
        result: its output until then; ``rc`` is -1 if it never finished.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


class CommandMissing(CommandError):
    """The executable does not exist, or may not be run."""


class CommandTimeout(CommandError):
    """The command did not finish in time; it and all it started were killed."""


# The signature of ``run``, for code that receives one.
Runner = t.Callable[..., Result]
# A shell that has a descriptor as its input, and waits for the command, which has none. No shell reads the words.
_HOLDER = ("/bin/sh", "-c", '"$@" </dev/null; exit $?', "sh")


def last_words(text: str, lines: int = 3) -> str:
    """The last ``lines`` non-empty lines of the output of a command, joined by ' | '."""
    kept = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(kept[-lines:])


def start(
    argv: t.Sequence[str],
    *,
    env: t.Mapping[str, str] | None = None,
    stdin: t.BinaryIO | int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
    cwd: str | None = None,
    pass_fds: t.Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start ``argv`` and do not wait for it. Its output is a pipe. The caller limits its time and waits for its end.

    Args:
        env, cwd, pass_fds: as for :func:`run`.
        stdin: its input, none by default.
        stderr: its second output, a pipe of its own by default.

    Raises:
        OSError: the executable (or ``cwd``) does not exist or may not be run.
    """
    # This code also runs without AnsibleModule, in runners and on the controller, and run_command has no time limit.
    return subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=dict(os.environ if env is None else env, LC_ALL="C"),
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,  # so that a timeout reaches grandchildren too
    )


def run(
    argv: t.Sequence[str],
    *,
    timeout: float,
    check: bool = True,
    env: t.Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes | None = None,
    pass_fds: t.Sequence[int] = (),
    holding: int | None = None,
) -> Result:
    """Run ``argv`` and wait for it.

    Args:
        argv: the command and its arguments; no shell sees them.
        timeout: seconds until the whole process group is killed.
        check: raise when the exit code is not 0.
        env: the whole environment; default the caller's. ``LC_ALL=C`` is added, so that messages can be read.
        cwd: the working directory.
        stdin: bytes to feed; without them standard input is closed, so that nothing can wait for an answer.
        pass_fds: descriptors it inherits, such as that of a lock it must keep when its parent is killed.
        holding: a descriptor that stays open until the command ends, also when we are killed, and that the command does
            not get: a process that it leaves running, such as a container's monitor, would keep a lock forever.

    Raises:
        CommandMissing: the executable (or ``cwd``) does not exist or may not be run.
        CommandTimeout: it took longer than ``timeout``.
        CommandError: it ended with another code than 0 and ``check`` is set.
    """
    words = tuple(map(str, argv))
    if holding is not None and stdin is not None:
        raise ValueError("a command is given either input or a descriptor to hold")
    began = time.monotonic()
    try:
        process = start(
            words if holding is None else (*_HOLDER, *words),
            env=env,
            stdin=_input(stdin, holding),
            cwd=cwd,
            pass_fds=pass_fds,
        )
    except OSError as error:
        text = f"cannot run {words[0]}{f' in {cwd}' if cwd else ''}: {error.strerror or error}"
        raise CommandMissing(text, Result(words, -1, "", "", 0.0)) from error
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as expired:
        kill_group(process)
        result = Result(words, -1, _text(expired.stdout), _text(expired.stderr), time.monotonic() - began)
        raise CommandTimeout(f"{' '.join(words[:3])} did not finish within {timeout:g} s", result) from None
    except BaseException:
        kill_group(process)
        raise
    result = Result(words, process.returncode, _text(out), _text(err), time.monotonic() - began)
    if check and result.rc != 0:
        raise _failed(result)
    return result


def _failed(result: Result) -> CommandError:
    said = last_words(result.stderr or result.stdout) or "it printed nothing"
    return CommandError(f"{' '.join(result.argv[:3])} failed with exit code {result.rc}: {said}", result)


def _input(stdin: bytes | None, holding: int | None) -> int:
    if holding is not None:
        return holding
    return subprocess.DEVNULL if stdin is None else subprocess.PIPE


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a started program and all that it started, and wait for its end."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    # A grandchild that left the group may still hold the pipes: do not wait for it to close them.
    for stream in (process.stdout, process.stderr, process.stdin):
        if stream is not None:
            stream.close()
    # One that waits for a dead file system cannot be killed before that answers: it is left to the kernel.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=10)


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", errors="replace")
