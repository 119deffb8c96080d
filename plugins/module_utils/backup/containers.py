# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs inside containers, through the engine's own command line: streams, sessions, and throwaway containers.

A secret is passed as the *name* of a variable (``exec -e PGPASSWORD``): process lists show values. No terminal is ever
requested, because it would turn each newline of a dump into two characters.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.core import files, process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine

# The label of containers of a rehearsal or restore. The next start removes every container with it.
LABEL = "onebox.stack.throwaway"
# A helper that has the volumes of a service: it is removed without them.
HELPER_LABEL = "onebox.stack.restoring"


class Cli:
    """The command line of the engine that answered.

    Args:
        engine: the discovered engine.
        timeout: seconds for one program in a container.
    """

    def __init__(self, engine: Engine, timeout: float, world: World) -> None:
        self.engine = engine
        self.timeout = timeout
        self.world = world
        if engine.name == "docker":
            self._base = ["docker", "--host", f"unix://{engine.socket}"]
        else:
            self._base = ["podman"]

    def call(self, *words: str, check: bool = True, timeout: float = 120.0) -> process.Result:
        """Run a subcommand of the engine. Raises :class:`SourceError` when it fails and ``check`` is set."""
        try:
            return self.world.run([*self._base, *words], timeout=timeout, check=check)
        except process.CommandError as error:
            raise SourceError(str(error)) from error

    def exec_argv(self, container: str, words: t.Sequence[str], env: t.Mapping[str, str], stdin: bool) -> list[str]:
        """The command that runs ``words`` in ``container``; ``env`` is passed by name only."""
        names = [word for name in sorted(env) for word in ("--env", name)]
        return [*self._base, "exec", *(["-i"] if stdin else []), *names, container, *words]

    def run(
        self,
        container: str,
        words: t.Sequence[str],
        *,
        env: t.Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        check: bool = True,
        timeout: float | None = None,
    ) -> process.Result:
        """Run a short program in a container and return what it printed."""
        env = env or {}
        argv = self.exec_argv(container, words, env, stdin is not None)
        try:
            return self.world.run(
                argv, timeout=timeout or self.timeout, env={**self.world.environ, **env}, stdin=stdin, check=check
            )
        except process.CommandError as error:
            said = process.last_words(error.result.stderr or error.result.stdout) or str(error)
            raise SourceError(f"{words[0]} in container {container} failed: {said}") from error

    def stream(
        self,
        container: str,
        words: t.Sequence[str],
        target: files.HashedFile | None,
        *,
        env: t.Mapping[str, str] | None = None,
        source: t.BinaryIO | None = None,
    ) -> str:
        """Run a program in a container, its output into ``target``, its input from ``source``. Returns its stderr.

        Raises:
            SourceError: exit code other than 0 (137: the container was stopped), or no end within the time limit.
        """
        argv = self.exec_argv(container, words, env or {}, source is not None)
        with _Child(argv, {**self.world.environ, **(env or {})}, source, self.timeout) as child:
            try:
                while True:
                    chunk = child.process.stdout.read1(files.CHUNK)  # type: ignore[union-attr]
                    if not chunk:
                        break
                    if target is not None:
                        target.write(chunk)
            except BaseException:
                child.kill()
                raise
            code, said = child.end()
        if code != 0:
            why = "took too long" if child.expired else f"exit code {code}"
            if code in (137, 255):
                why += ", the container was stopped or killed"
            raise SourceError(f"{words[0]} in container {container} failed ({why}): {process.last_words(said)}")
        return said

    def session(self, container: str, words: t.Sequence[str], env: t.Mapping[str, str]) -> Session:
        """Start a program that answers line by line."""
        argv = self.exec_argv(container, words, env, True)
        where = f"{words[0]} in container {container}"
        return Session(argv, {**self.world.environ, **env}, self.timeout, where, self.world)

    def throwaway(
        self,
        image: str,
        name: str,
        owner: str,
        *,
        command: t.Sequence[str] = (),
        entrypoint: str = "",
        env: t.Mapping[str, str] | None = None,
        tmpfs: t.Sequence[str] = (),
    ) -> str:
        """Start a container without network or published ports, to be removed with its volumes. Returns its id.

        Args:
            tmpfs: directories inside that are empty, without the image's files.
        """
        env = env or {}
        words = ["run", "--detach", "--network", "none", "--label", f"{LABEL}={owner}", "--name", name]
        words += ["--shm-size", "256m"]
        if self.engine.name == "docker" or self.world.is_root:
            # A rehearsal must not use the memory of the running stack. Rootless Podman often cannot limit it.
            words += ["--memory", str(_half_of_free_memory())]
        if entrypoint:
            words += ["--entrypoint", entrypoint]
        for directory in tmpfs:
            # Podman copies the image's files into a tmpfs, unless an option forbids it. Docker has no such option.
            words += ["--tmpfs", directory if self.engine.name == "docker" else f"{directory}:notmpcopyup"]
        for key in sorted(env):
            words += ["--env", key]
        argv = [*self._base, *words, image, *command]
        try:
            started = self.world.run(argv, timeout=600, env={**self.world.environ, **env})
        except process.CommandError as error:
            raise SourceError(f"cannot start a throwaway container of {image}: {error}") from error
        return started.stdout.strip().splitlines()[-1]

    def remove(self, container: str) -> None:
        """Remove a throwaway container and its volumes. A missing one is not an error."""
        self.call("rm", "--force", "--volumes", container, check=False)

    def remove_leftovers(self, owner: str) -> None:
        """Remove the containers of killed rehearsals and restores of ``owner``."""
        for label, words in ((LABEL, ["--volumes"]), (HELPER_LABEL, [])):
            listed = self.call("ps", "--all", "--quiet", "--filter", f"label={label}={owner}").stdout.split()
            for container in listed:
                self.call("rm", "--force", *words, container, check=False)

    def copy_in(self, path: str, container: str, target: str) -> None:
        """Copy a file of the host into a running container, readable only by the user that its programs run as.

        The engine's own ``cp`` makes root its owner, and cannot write to a tmpfs.
        """
        try:
            source = files.open_regular(path)
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror}") from error
        with source:
            self.stream(container, ["sh", "-c", 'umask 077; cat > "$1"', "obx", target], None, source=source)


def _half_of_free_memory() -> int:
    """Bytes; at least 512 MiB."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            rows = dict(line.split(":", 1) for line in file)
        return max(int(rows["MemAvailable"].split()[0]) * 512, 512 << 20)
    except (OSError, KeyError, ValueError):
        return 512 << 20


class _Child:
    """A process with its stderr read in a thread, and a time limit on the whole group."""

    def __init__(
        self, argv: t.Sequence[str], env: t.Mapping[str, str], source: t.BinaryIO | int | None, timeout: float
    ) -> None:
        self.expired = False
        self._said = b""
        try:
            self.process = process.start(argv, env=env, stdin=subprocess.DEVNULL if source is None else source)
        except OSError as error:
            raise SourceError(f"cannot run {argv[0]}: {error.strerror}") from error
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()
        self._timer = threading.Timer(timeout, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _read_stderr(self) -> None:
        stream = t.cast("t.IO[bytes]", self.process.stderr)
        for line in stream:
            self._said = (self._said + line)[-65536:]  # messages show only its end

    def _expire(self) -> None:
        self.expired = True
        self.kill()

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except OSError:
            self.process.kill()

    def end(self) -> tuple[int, str]:
        code = self.process.wait()
        self._drain.join(timeout=10)
        return code, self._said.decode("utf-8", errors="replace")

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *unused: object) -> None:
        self._timer.cancel()
        if self.process.poll() is None:
            self.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stdin):
            if stream is not None:
                stream.close()


class Session:
    """A program in a container that answers queries, such as psql inside one transaction."""

    _END = "obx-end-of-answer"

    def __init__(
        self, argv: t.Sequence[str], env: t.Mapping[str, str], timeout: float, where: str, world: World
    ) -> None:
        self._child = _Child(argv, env, subprocess.PIPE, timeout)
        self._timeout = timeout
        self._where = where
        self._world = world
        self._buffer = b""

    def ask(self, text: str) -> list[str]:
        """Send SQL to psql and return the lines it answers.

        Raises:
            SourceError: psql ended (an SQL error with ON_ERROR_STOP), or there was no answer in time.
        """
        pipe = t.cast("t.IO[bytes]", self._child.process.stdin)
        out = t.cast("t.IO[bytes]", self._child.process.stdout)
        try:
            pipe.write(f"{text}\n\\echo {self._END}\n".encode())
            pipe.flush()
        except OSError:
            self._failed()
        end = f"{self._END}\n".encode()
        deadline = self._world.monotonic() + self._timeout
        while not (self._buffer == end or self._buffer.endswith(b"\n" + end)):
            if not select.select([out], [], [], max(deadline - self._world.monotonic(), 0))[0]:
                self._child.kill()
                raise SourceError(f"{self._where} did not answer within {self._timeout:g} s")
            chunk = os.read(out.fileno(), files.CHUNK)
            if not chunk:
                self._failed()
            self._buffer += chunk
        answer, self._buffer = self._buffer[: -len(end)], b""
        return answer.decode("utf-8", errors="surrogateescape").splitlines()

    def _failed(self) -> t.NoReturn:
        code, said = self._child.end()
        raise SourceError(f"{self._where} failed (exit code {code}): {process.last_words(said)}")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *unused: object) -> None:
        self._child.__exit__()
