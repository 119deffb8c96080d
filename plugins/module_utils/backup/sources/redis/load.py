# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load an RDB into Redis or Valkey.

With ``appendonly yes``, all versions from 6.0 to 9.1 ignore the RDB, start empty and then overwrite the file. So the
server starts once with ``appendonly no``. Then this module counts the keys, switches appendonly on at run time, waits
for the rewrite, stops the server without saving and starts it as usual.
"""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import MismatchError, SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import contents
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import Loaded, RedisFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_SERVER = 'exec "$(command -v redis-server || command -v valkey-server)" "$@"'
_CHECK = 'exec "$(command -v redis-check-rdb || command -v valkey-check-rdb)" "$@"'
_DEBUG = ["--enable-debug-command", "yes"]
# Keys that expire within this many seconds may have expired at the second comparison.
_SOON = 7200


class ThrowawayServer:
    """A throwaway container in which a server is started, inspected and stopped.

    Args:
        container: has the image's programs, and runs no server yet.
        directory: the data directory inside.
    """

    def __init__(self, cli: Cli, container: str, directory: str) -> None:
        self.cli = cli
        self.container = container
        self.directory = directory
        self.server = redis.Server(cli, container, "", 0, {})

    def check(self, name: str) -> dict[str, int]:
        """Run the image's redis-check-rdb on a file in the data directory."""
        result = self.cli.run(self.container, ["sh", "-c", _CHECK, "obx", f"{self.directory}/{name}"], check=False)
        if result.rc != 0:
            raise MismatchError(f"redis-check-rdb reports that {name} is broken")
        return redis.checked(result.stdout + result.stderr)

    def start(self, facts: RedisFacts, appendonly: bool) -> dict[str, str]:
        """Start the server on the data directory and wait until it has loaded the data. Returns INFO."""
        config = facts.config
        words = ["--dir", self.directory, "--dbfilename", "dump.rdb", "--save", ""]
        words += ["--port", "6379", "--bind", "127.0.0.1"]
        words += ["--appendonly", "yes" if appendonly else "no", "--daemonize", "no"]
        if config.get("appendfilename"):
            words += ["--appendfilename", config["appendfilename"]]
        if config.get("appenddirname") and facts.major >= 7:
            words += ["--appenddirname", config["appenddirname"]]
        if str(config.get("databases", "")).isdigit():
            words += ["--databases", config["databases"]]
        for module in facts.modules:
            words += ["--loadmodule", *module]
        if facts.major >= 7:
            words += _DEBUG
        self.cli.call(
            "exec", "--detach", self.container, "sh", "-c", f"({_SERVER}) >>/tmp/obx-server.log 2>&1", "obx", *words
        )
        deadline = self.cli.world.monotonic() + self.cli.timeout
        while True:
            try:
                info = self.server.info()
                if info.get("loading") == "0":
                    return info
            except SourceError as error:
                if "LOADING" not in str(error) and not self._alive():
                    log = self.cli.run(self.container, ["tail", "-n", "3", "/tmp/obx-server.log"], check=False).stdout
                    raise MismatchError(f"the server does not start on the restored data: {log.strip()}") from error
            if self.cli.world.monotonic() > deadline:
                raise MismatchError(f"the server did not load the data within {self.cli.timeout:g} s")
            self.cli.world.sleep(0.1)

    def _alive(self) -> bool:
        words = ["sh", "-c", "for c in /proc/[0-9]*/comm; do cat $c; done 2>/dev/null"]
        return "-server" in self.cli.run(self.container, words, check=False).stdout

    def switch_appendonly_on(self) -> None:
        """Write the append-only file from memory, at run time."""
        self.server.ask("CONFIG", "SET", "appendonly", "yes")
        deadline = self.cli.world.monotonic() + self.cli.timeout
        while True:
            info = self.server.info()
            if info["aof_rewrite_in_progress"] == info["aof_rewrite_scheduled"] == "0" and info["aof_enabled"] == "1":
                break
            if self.cli.world.monotonic() > deadline:
                raise MismatchError("the append-only file was not written in time")
            self.cli.world.sleep(0.1)
        if info["aof_last_bgrewrite_status"] != "ok":
            raise MismatchError(f"writing the append-only file ended with {info['aof_last_bgrewrite_status']}")

    def stop(self) -> None:
        """Stop without saving, and wait until the process is gone."""
        self.cli.run(
            self.container,
            ["sh", "-c", '"$(command -v redis-cli || command -v valkey-cli)" SHUTDOWN NOSAVE'],
            check=False,
        )
        if not self.cli.world.wait_until(lambda: not self._alive(), 60, 0.05):
            raise SourceError(f"the server in {self.container} does not stop")

    def digest(self) -> str:
        """A digest of all keys and values in any order (DEBUG DIGEST)."""
        return self.server.ask("DEBUG", "DIGEST")


def require_as_dumped(source: Source, path: str) -> None:
    """Check that the RDB at ``path`` is the one in the set.

    redis-check-rdb only counts keys, so the checksum identifies their values.

    Raises:
        MismatchError: it differs.
    """
    if files.digest(path)[0] not in {artefact.sha256 for artefact in source.artefacts}:
        raise MismatchError(f"the RDB of {source.name} is not the one of the set: its checksum differs")


def load(
    throwaway: ThrowawayServer,
    facts: RedisFacts,
    tamper: t.Callable[[redis.Server], None] | None = None,
) -> Loaded:
    """Load ``dump.rdb``, then restart with the live setting of appendonly. Returns the counts.

    Args:
        tamper: damages the loaded data before the second start, for a test.

    Raises:
        MismatchError: keys are missing or differ after the first or the second start.
    """
    counted = throwaway.check("dump.rdb")
    if counted["keys"] != facts.keys or counted["expires"] != facts.expires:
        raise MismatchError(f"the RDB holds {counted['keys']} keys, the set records {facts.keys}")
    info = throwaway.start(facts, appendonly=False)
    first = keys(info)
    _expect("the first start", first, counted)
    limit = throwaway.cli.world.epoch() + _SOON
    before = _contents(throwaway, info, limit, counted)
    _expect_functions(facts, before)
    if facts.digest and before["values"] and before["values"] != facts.digest:
        raise MismatchError("the loaded data differ from the RDB")
    live = facts.config.get("appendonly") == "yes"
    if live:
        throwaway.switch_appendonly_on()
    if tamper is not None:
        tamper(throwaway.server)
    throwaway.stop()
    info = throwaway.start(facts, appendonly=live)
    _expect("the second start", keys(info), counted)
    after = _contents(throwaway, info, limit, counted)
    differs = [what for what in before if before[what] != after[what]]
    if differs:
        raise MismatchError(f"the data differ after the second start: {', '.join(differs)}")
    throwaway.stop()
    return Loaded(first[0], first[1], live, before["values"])


def _contents(
    throwaway: ThrowawayServer, info: t.Mapping[str, str], limit: float, counted: t.Mapping[str, int]
) -> dict[str, t.Any]:
    """The values that must be equal after both starts."""
    spaces = redis.keyspace(info)
    # DEBUG DIGEST is fast, but includes keys that expire soon. With such keys, a script reads all values.
    digest = "" if counted["expires"] else throwaway.digest()
    sums = contents.fingerprint(throwaway.server, spaces, limit, everything=not digest)
    return {
        "values": digest,
        "values, expiry times or groups of streams": sums,
        "functions": contents.functions(throwaway.server),
    }


def _expect_functions(facts: RedisFacts, found: t.Mapping[str, t.Any]) -> None:
    if facts.functions is not None and facts.functions != found["functions"]:
        raise MismatchError(
            f"the functions are {sorted(found['functions'] or ())}, in the set {sorted(facts.functions)}, "
            "or the code of one differs"
        )


def keys(info: t.Mapping[str, str]) -> tuple[int, int]:
    """Keys, and keys with a time to live, of all databases together."""
    spaces = redis.keyspace(info).values()
    return sum(space[0] for space in spaces), sum(space[1] for space in spaces)


def _expect(when: str, found: tuple[int, int], counted: t.Mapping[str, int]) -> None:
    total, expires = found
    if total - expires != redis.durable_keys(counted):
        raise MismatchError(
            f"after {when} there are {total - expires} keys that do not expire, "
            f"the set records {redis.durable_keys(counted)}"
        )
    if expires > counted["expires"]:
        raise MismatchError(f"after {when} more keys expire than in the set")
