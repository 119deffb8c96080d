# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and Valkey: an RDB of the whole memory, taken with the server's own client inside its container.

The alternatives fail: ``redis-cli`` exits 0 on most errors, so that a BGSAVE loop copies yesterday's dump. ``--rdb -``
appends 40 bytes that an append-only start refuses. A copy of a live appendonlydir does not load. ``--rdb FILE`` to a
new file exits 1 on every tested failure, on Redis 6.0 to 8.0 and Valkey 8 and 9, and does not change the live dump.rdb.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Image
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import command_password, contents
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import RedisFacts, Settings
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Artefact
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container

_FIND = 'c=$(command -v redis-cli || command -v valkey-cli) || { echo "no redis-cli in the image" >&2; exit 127; }; '
_CLI = _FIND + 'exec "$c" "$@"'
# The check runs on the file that is sent, with the program of the same image. Its output goes to stderr.
_CAPTURE = (
    "umask 077; "
    + _FIND
    + 'k=$(command -v redis-check-rdb || command -v valkey-check-rdb) || { echo "no redis-check-rdb" >&2; exit 127; }; '
    + 'f=$(mktemp) || exit 1; "$c" "$@" --rdb "$f" >&2 && "$k" "$f" >&2 && echo "obx-size $(wc -c < "$f")" >&2 '
    + '&& cat "$f"; rc=$?; rm -f "$f"; exit $rc'
)
_KEYSPACE = re.compile(r"db(\d+):keys=(\d+),expires=(\d+)")
_CHECKED = re.compile(r"\[info\] (\d+) (keys read|expires|already expired)")


class Server:
    """A running Redis or Valkey in a container.

    Args:
        user: an ACL user, "" for the default one; it needs +psync +sync +replconf +ping +info.
        env: REDISCLI_AUTH, when there is a password.
    """

    def __init__(self, cli: Cli, container: str, user: str, port: int, env: t.Mapping[str, str]) -> None:
        self.cli = cli
        self.container = container
        self.env = dict(env)
        self._where = (["-p", str(port)] if port else []) + (["--user", user] if user else [])

    def ask(self, *words: str, timeout: float = 60.0) -> str:
        """Send one command and return the reply's text.

        Raises:
            SourceError: an error reply, recognised by its text, because redis-cli exits 0.
        """
        argv = ["sh", "-c", _CLI, "obx", *self._where, *words]
        reply = self.cli.run(self.container, argv, env=self.env, timeout=timeout).stdout.strip()
        if re.match(r"(ERR|NOAUTH|WRONGPASS|NOPERM|LOADING|MISCONF|DENIED|Could not connect|AUTH failed)", reply):
            raise SourceError(f"{words[0]} in container {self.container} failed: {reply.splitlines()[0]}")
        return reply

    def info(self) -> dict[str, str]:
        """INFO, all sections, as name to value."""
        return dict(line.split(":", 1) for line in self.ask("INFO").splitlines() if ":" in line)

    def config(self, name: str) -> str:
        """A setting, "" when it is unknown or CONFIG is not permitted."""
        try:
            lines = self.ask("CONFIG", "GET", name).splitlines()
        except SourceError:
            return ""
        return lines[1] if len(lines) > 1 else ""

    def capture_argv(self) -> list[str]:
        """The command that writes an RDB to its output."""
        return ["sh", "-c", _CAPTURE, "obx", *self._where]


def of_container(cli: Cli, container: Container, spec: SourceSpec) -> Server:
    """The server of a source.

    Its password is the configured one, else the variable REDIS_PASSWORD of the container, else that of its command.
    """
    password = lookup.password(container, spec, "REDIS_PASSWORD")
    password = password or command_password.of_command((*container.entrypoint, *container.command), container.env)
    return Server(cli, container.id, spec.user, spec.port, {"REDISCLI_AUTH": password} if password else {})


def keyspace(info: t.Mapping[str, str]) -> dict[str, list[int]]:
    """Keys, and keys with a time to live, of each database: ``{"0": [50015, 10]}``."""
    found = {}
    for name, value in info.items():
        match = _KEYSPACE.match(f"{name}:{value}")
        if match:
            found[match.group(1)] = [int(match.group(2)), int(match.group(3))]
    return found


def checked(said: str) -> dict[str, int]:
    """Counts of redis-check-rdb: ``keys``, ``expires`` and ``expired``. Raises :class:`SourceError` for a bad RDB."""
    counts = {what: int(number) for number, what in _CHECKED.findall(said)}
    if "RDB looks OK" not in said or "keys read" not in counts:  # style: keep looks: redis-check-rdb prints it
        raise SourceError("redis-check-rdb did not report a good RDB; it is truncated, damaged or of another version")
    return {
        "keys": counts["keys read"],
        "expires": counts.get("expires", 0),
        "expired": counts.get("already expired", 0),
    }


def settings(server: Server, info: t.Mapping[str, str]) -> Settings:
    """The requirements of the data on this server."""
    config = {
        name: server.config(name)
        for name in ("appendonly", "appendfilename", "appenddirname", "dir", "dbfilename", "rdbchecksum", "databases")
    }
    if not config["appendonly"]:  # the user may not read settings; unknown is not "no"
        config["appendonly"] = {"1": "yes", "0": "no"}.get(info.get("aof_enabled", ""), "")
    version = info.get("valkey_version") or info.get("redis_version", "")
    return Settings(version, config, contents.modules(server))


def capture(server: Server, staging: str, path: str, image: Image) -> tuple[list[Artefact], RedisFacts, list[str]]:
    """Write an RDB to ``staging``. Returns the artefact, the facts and warnings."""
    info = server.info()
    if info.get("loading") == "1":
        raise SourceError(f"the server in {server.container} is still loading its data; run again later")
    if info.get("role") == "slave" and info.get("master_link_status") != "up":
        raise SourceError(f"the server in {server.container} is a replica without its master: its data is old")
    served = settings(server, info)
    functions = contents.functions(server)
    target = trees.private_parents(staging, path)
    with files.HashedFile(target) as file:
        said = server.cli.stream(server.container, server.capture_argv(), file, env=server.env)
    sent = re.search(r"obx-size\s+(\d+)", said)
    if sent is None or int(sent.group(1)) != file.size:
        raise SourceError(f"the RDB of {server.container} is incomplete: {file.size} bytes were received")
    counts = checked(said)
    if functions is not None and contents.functions(server) != functions:
        functions = None  # changed meanwhile: the RDB may hold the old or the new ones
    users = contents.users(server)
    warnings = []
    if users:
        shown = ", ".join(users[:8])
        warnings.append(
            f"ACL users are in no set ({shown}): they are in {server.config('aclfile') or 'memory only'}. "
            "Back that file up, or create them in the service's command, or again after a restore"
        )
    with files.open_regular(target) as rdb:
        magic = rdb.read(9).decode("ascii", errors="replace")
        rdb.seek(-8, 2)
        if rdb.read(8) == b"\0" * 8:
            warnings.append("rdbchecksum is off: the RDB contains no checksum, only the set's sha256 protects it")
    if not magic.startswith(("REDIS", "VALKEY")):
        raise SourceError(f"{server.container} did not send an RDB: it starts with {magic!r}")
    facts = RedisFacts(
        **vars(served),
        keys=counts["keys"],
        expires=counts["expires"],
        expired=counts["expired"],
        keyspace=keyspace(info),
        path=path,
        functions=functions,
        not_compared=list(contents.NOT_COMPARED),
        acl_users=users,
        magic=magic,
        image=image,
    )
    return [Artefact(path, file.size, file.sha256())], facts, warnings


def durable_keys(counts: t.Mapping[str, int]) -> int:
    """The number of keys that do not expire. They must exist after a restore at any time."""
    return counts["keys"] - counts["expires"]
