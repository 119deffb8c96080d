# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore Redis and Valkey in the stack: stop the service, move its data, load the RDB, start the service.

A one-shot container of the same image loads the data, with the volumes of the service and without network. No client
can write to the data before it is verified. The restore is recorded, so that the run after a killed one restores the
previous data and starts the service.
"""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.backup import on_swarm
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import HELPER_LABEL, Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import (
    MismatchError,
    RestoreRefused,
    SourceError,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources import lookup
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import contents
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import load as redis_load
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import server as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import (
    Loaded,
    RedisFacts,
    Settings,
)
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec

_NOTE = "redis-under-way"
# Moves the previous data: leftover append-only files would have priority over a new dump.rdb. The mark shows that all
# of it was moved. Without the mark, the files that remain are previous data, too.
_ASIDE = (
    'set -eu; cd "$1"; mkdir "$2"; shift; to=$1; shift; for f in "$@"; do [ ! -e "$f" ] || mv -- "$f" "$to/"; done; '
)
_ASIDE += ': > "$to/.all"'
_BACK = 'set -eu; cd "$1"; from=$2; shift 2; [ -d "$from" ] || exit 0; if [ -e "$from/.all" ]; then '
_BACK += 'mkdir -p "$from.failed"; for f in "$@"; do [ ! -e "$f" ] || mv -- "$f" "$from.failed/"; done; '
_BACK += 'rm "$from/.all"; fi; '
_BACK += 'for f in "$from"/*; do [ ! -e "$f" ] || mv -- "$f" .; done; rmdir "$from"'
# The owner that the service's own process would set.
_OWN = 'chown -R "$(stat -c %u:%g "$1")" "$1"'


@dataclass(frozen=True)
class Note:
    """The note of a restore under way.

    Attributes:
        place: directory of the data in the container.
        ``aside``: name below it for the previous data.
        names: the server's files there.
        loaded: whether the restored data was loaded and compared.
    """

    container: str
    image: str
    place: str
    aside: str
    names: t.Sequence[str]
    loaded: bool = False

    @staticmethod
    def path(context: Context) -> str:
        """The path of the note."""
        return f"{context.state.path}/{_NOTE}.json"

    @classmethod
    def read(cls, context: Context) -> Note | None:
        """The note of an earlier run, None for none. Raises :class:`RestoreRefused` for a damaged one."""
        note = context.state.read(_NOTE)
        try:
            return cls(**note) if note else None
        except TypeError as error:
            raise RestoreRefused(
                f"{cls.path(context)}: the note of an interrupted restore of Redis is damaged. Check the data of the "
                "service, then remove the file"
            ) from error

    def write(self, context: Context) -> None:
        """Write the note. Raises :class:`FileError`."""
        context.state.write(_NOTE, vars(self))


def restore_redis(
    context: Context, spec: SourceSpec, recorded: RedisFacts, rdb: str, stamp: str, warnings: list[str]
) -> str:
    """Restore one Redis source. Returns the path of the previous data.

    Args:
        recorded: the facts of the data.
        rdb: path of the RDB.
        warnings: extended by a line for the users that the service lacks after its start.

    Raises:
        RestoreRefused: the service does not store its data in a volume or directory, or runs on a Swarm.
        MismatchError: the loaded data differ from the set. The previous data are restored.
        SourceError: the previous data could not be restored. The service stays stopped until :func:`recover` does it.
    """
    cli = context.open_cli()
    container = lookup.find_container(cli.engine, context.config.stack, spec)
    on_swarm.require_other_tool(container, f"source {spec.name}: {spec.where}")
    server = redis.of_container(cli, container, spec)
    facts = as_served(recorded, redis.settings(server, server.info()))
    place = facts.config.get("dir") or "/data"
    if not any(place == mount.destination or place.startswith(mount.destination + "/") for mount in container.mounts):
        raise RestoreRefused(
            f"{container.name} does not store {place} in a volume or a directory of the host. Add one before a restore"
        )
    names = _names(recorded.config, facts.config)
    note = Note(container.id, container.image_id, place, f"pre-restore-{stamp}", names)
    users = [*contents.users(server), *recorded.acl_users]
    note.write(context)
    cli.call("stop", "--time", "60", container.id, timeout=120)
    known = True  # whether the data directory is known to hold either the previous or the restored data
    try:
        with _helper(cli, context.config.stack, note) as helper:
            known = False
            try:
                loaded = _load(cli, helper, facts, rdb, note)
            except BaseException as error:
                _give_back(cli, helper, note, error)
                known = True
                raise
            dataclasses.replace(note, loaded=True).write(context)
            known = True
    finally:
        if known:
            cli.call("start", container.id, timeout=120)
            context.state.write(_NOTE, {})
    aside = f"{place}/pre-restore-{stamp} in {container.name}"
    _require_served(cli, container.id, server, loaded, f"{container.name}; its previous data is in {aside}")
    gone = sorted(set(users) - set(contents.users(server)))
    if gone:
        warnings.append(
            f"{spec.name}: ACL users {', '.join(gone)} are not in {container.name}: sets do not hold them. A restart "
            "removes users that are not in a file. Create them again"
        )
    return aside


def as_served(taken: RedisFacts, live: Settings) -> RedisFacts:
    """Facts of a set, with the known version and settings of the target server."""
    config = {**taken.config, **{name: value for name, value in live.config.items() if value}}
    # Modules are code: they come from the service, never from a set.
    return dataclasses.replace(taken, version=live.version or taken.version, modules=live.modules, config=config)


def _names(*configs: t.Mapping[str, str]) -> list[str]:
    """Names of the files of a server with one of these settings."""
    names = ["dump.rdb"]
    for config in configs:
        names += [config.get("dbfilename") or "dump.rdb", config.get("appendfilename") or "appendonly.aof"]
        names += [config.get("appenddirname") or "appendonlydir"]
    return list(dict.fromkeys(names))


def _require_served(cli: Cli, container: str, server: redis.Server, loaded: Loaded, where: str) -> None:
    """Wait until the service has loaded the data, and check that all keys exist. Clients may have added some."""
    deadline = cli.world.monotonic() + cli.timeout
    while True:
        try:
            info = server.info()
            if info.get("loading") == "0":
                break
        except SourceError as error:
            running = cli.call("inspect", "--format", "{{.State.Running}}", container, check=False).stdout.strip()
            if running != "true":
                raise MismatchError(f"the data is restored, but the service does not run: {where}") from error
        if cli.world.monotonic() > deadline:
            raise MismatchError(f"the service did not load the restored data within {cli.timeout:g} s: {where}")
        cli.world.sleep(0.1)
    keys, expires = redis_load.keys(info)
    # Since version 7 the server counts the keys that it loaded, even if its clients removed some since.
    counted = int(info.get("rdb_last_load_keys_loaded") or 0) - loaded.expires
    wanted, served = loaded.keys - loaded.expires, max(keys - expires, counted)
    if served < wanted:
        raise MismatchError(
            f"{wanted} keys that do not expire were restored, and the service has {served} after its start "
            f"(it did not load them, or its clients removed them at once): {where}"
        )


def recover(context: Context) -> str:
    """Finish a killed restore: restore the previous data, unless all new data was loaded, and start the service.

    Returns a line for the report, "" for nothing.

    Raises:
        RestoreRefused: only the operator can decide which data is right. The text names the note to remove.
    """
    note = Note.read(context)
    if note is None:
        return ""
    cli = context.open_cli()
    cli.remove_leftovers(context.config.stack)
    if cli.call("inspect", note.container, check=False).rc != 0:
        # Deployed again since. Only the operator can decide which of the data is right.
        raise RestoreRefused(
            f"a restore of Redis was interrupted, and its container was replaced. Check {note.place} of the service: "
            f"its previous data is in {note.aside} there. Then remove {Note.path(context)}"
        )
    if not note.loaded:
        cli.call("stop", "--time", "60", note.container, timeout=120)
        with _helper(cli, context.config.stack, note) as helper:
            _give_back(cli, helper, note)
    cli.call("start", note.container, timeout=120)
    context.state.write(_NOTE, {})
    done = "started" if note.loaded else "previous data restored, started"
    return f"a restore of Redis that was interrupted: {done}"


@contextlib.contextmanager
def _helper(cli: Cli, stack: str, note: Note) -> t.Iterator[str]:
    words = ["run", "--detach", "--network", "none", "--label", f"{HELPER_LABEL}={stack}"]
    words += ["--name", f"onebox-restore-{stack}-{secrets.token_hex(3)}".lower()]
    words += ["--volumes-from", note.container, "--user", "0", "--entrypoint", "sleep"]
    helper = cli.call(*words, note.image, "infinity", timeout=300).stdout.strip().splitlines()[-1]
    try:
        yield helper
    finally:
        # Without --volumes, because they belong to the service.
        cli.call("rm", "--force", helper, check=False)


def _load(cli: Cli, helper: str, facts: RedisFacts, rdb: str, note: Note) -> Loaded:
    place = note.place
    cli.run(helper, ["sh", "-c", _ASIDE, "obx", place, note.aside, *note.names])
    cli.copy_in(rdb, helper, f"{place}/dump.rdb")
    loaded = redis_load.load(redis_load.ThrowawayServer(cli, helper, place), facts)
    name = facts.config.get("dbfilename") or "dump.rdb"
    if name != "dump.rdb":
        cli.run(helper, ["mv", f"{place}/dump.rdb", f"{place}/{name}"])
    cli.run(helper, ["sh", "-c", _OWN, "obx", place], check=False)
    return loaded


def _give_back(cli: Cli, helper: str, note: Note, why: BaseException | None = None) -> None:
    """Restore the previous data. Raises :class:`SourceError` when that fails."""
    place = note.place
    try:
        cli.run(helper, ["sh", "-c", _BACK, "obx", place, note.aside, *note.names])
    except SourceError as error:
        raise SourceError(
            f"the previous data of Redis could not be restored from {place}/{note.aside} ({error}). The service stays "
            "stopped, and the next restore retries it first"
        ) from why
    cli.run(helper, ["sh", "-c", _OWN, "obx", place], check=False)
