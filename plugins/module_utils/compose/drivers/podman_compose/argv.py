# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run podman-compose so that no value of a variable, label or build argument is on a command line.

podman-compose (1.3 to 1.6) calls ``podman create -e NAME=value --label name=value``, also for variables from an
``env_file``, and every user of a host can read command lines. This program runs podman-compose in its own interpreter
and passes the values to Podman differently: variables in the environment of ``podman``, which only its user can read,
and labels and the few names that Podman itself reads in files of mode 0600.

The source of this file is passed to podman-compose's interpreter, so it imports nothing of the collection.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import re
import runpy
import sys
import typing as t

# Names that change the behaviour of podman, its helpers or the libraries of both.
_READ_BY_PODMAN = re.compile(
    r"(?:PODMAN|CONTAINER|DOCKER|BUILDAH|XDG|LD|LC|DBUS|LISTEN|NOTIFY|SSL|SYSTEMD|NETAVARK|AARDVARK|CONMON|_).*"
    r"|.*_PROXY|.*_proxy|GO(?:DEBUG|GC|MAXPROCS|MEMLIMIT|TRACEBACK)|STORAGE_(?:DRIVER|OPTS)|REGISTRY_AUTH_FILE"
    r"|PATH|HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|TMPDIR|TMP|TEMP|LANG|LANGUAGE|TERM|HOSTNAME|TZ|TZDIR|IFS"
    r"|INVOCATION_ID|JOURNAL_STREAM|GLIBC_TUNABLES|MALLOC_.*|.*\*.*"
)
# Options that podman-compose passes without a value.
_FLAGS = frozenset(
    (
        *("-d", "--detach", "--read-only", "-P", "-i", "--tty", "--privileged", "--init", "--no-healthcheck"),
        *("--no-hosts", "--rm", "--replace", "--no-cache", "--pull", "--pull-always", "--force-rm", "--quiet", "-q"),
    )
)
_OWN_LABELS = ("io.podman.compose.", "com.docker.compose.", "PODMAN_SYSTEMD_UNIT=")
# The maximum length of a line in Podman's files.
_LONGEST_LINE = 60_000
_NUMBERS = itertools.count()


def read_by_podman(name: str) -> bool:
    """Whether a variable of this name must not be set for ``podman`` itself."""
    return _READ_BY_PODMAN.fullmatch(name) is not None


def fits_line(text: str) -> bool:
    """Whether ``name=value`` can be a line of one of Podman's files, which have no quoting."""
    name = text.partition("=")[0]
    plain = bool(name) and not re.search(r"\s", name) and not name.startswith("#")
    return plain and not re.search(r"[\r\n\0]", text) and len(text.encode("utf-8", "surrogateescape")) < _LONGEST_LINE


class Call(t.NamedTuple):
    """A call of podman without values: its command line, added environment variables, and the lines of its files."""

    argv: list[str]
    environ: dict[str, str]
    variables: list[str]
    labels: list[str]


def without_values(argv: t.Sequence[str]) -> Call:
    """The call that replaces ``argv``, without the values of ``create``, ``run`` and ``build`` on the command line."""
    call = Call([*argv[:2]], {}, [], [])
    if len(argv) < 2 or argv[1] not in ("create", "run", "build"):
        return call._replace(argv=list(argv))
    place = 2
    while place < len(argv) and argv[place].startswith("-"):
        word, rest = argv[place], argv[place + 1 : place + 2]
        step = 1 if word in _FLAGS or "=" in word else 2
        if not (rest and step == 2 and _moved(call, word, rest[0], build=argv[1] == "build")):
            call.argv.extend(argv[place : place + step])
        place += step
    call.argv.extend(argv[place:])
    return call


def _moved(call: Call, option: str, text: str, *, build: bool) -> bool:
    """Remove the value of an option from the command line. Returns False when it must stay."""
    name, equals, value = text.partition("=")
    if not equals:
        return False
    if option in ("-e", "--env", "--build-arg"):
        # A build uses the proxies of podman itself.
        proxy = build and name.lower().endswith("_proxy")
        if not read_by_podman(name) or proxy:
            call.environ[name] = value
            call.argv.extend([option, name])
            return True
        if option != "--build-arg" and fits_line(text):
            call.variables.append(text)
            return True
    if option == "--label" and not build and not text.startswith(_OWN_LABELS) and fits_line(text):
        call.labels.append(text)
        return True
    return False


def _file(folder: str, lines: t.Sequence[str]) -> str:
    """A file of mode 0600 in a private directory, for as long as this process runs."""
    path = os.path.join(folder, f"lines-{next(_NUMBERS)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    atexit.register(os.unlink, path)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    return path


def _run(folder: str, script: str) -> None:
    """Run podman-compose, the rest of ``sys.argv`` being its own."""
    start = asyncio.create_subprocess_exec

    async def started(*argv: t.Any, **options: t.Any) -> asyncio.subprocess.Process:
        call = without_values([str(word) for word in argv])
        if call.environ:
            options["env"] = {**(options.get("env") or os.environ), **call.environ}
        files = (("--env-file", call.variables), ("--label-file", call.labels))
        extra = [word for option, lines in files if lines for word in (option, _file(folder, lines))]
        return await start(*call.argv[:2], *extra, *call.argv[2:], **options)

    asyncio.create_subprocess_exec = started
    sys.argv = [script, *sys.argv[3:]]
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    _run(sys.argv[1], sys.argv[2])
