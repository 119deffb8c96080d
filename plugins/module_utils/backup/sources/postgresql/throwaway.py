# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throwaway PostgreSQL server of a given image: no network, no port, removed with its data afterwards."""

from __future__ import annotations

import contextlib
import json
import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server, literal
from ansible_collections.onebox.stack.plugins.module_utils.core import process

# An image may create databases, roles and extensions when it first starts. They are dropped: the set contains them.
_SCRIPTS = "/docker-entrypoint-initdb.d"
# Jobs of pg_cron would run in the copy, too.
_OFF = {"cron.launch_active_jobs": "off"}


@contextlib.contextmanager
def throwaway(
    cli: Cli, stack: str, *, name: str, image: str, user: str, initdb_args: str = "", carried: t.Mapping[str, str]
) -> t.Iterator[Server]:
    """Run an empty server during the block.

    Args:
        stack: its owner, so that the next start removes the leftovers of a killed run.
        user: its superuser.
        carried: settings of the original that decide whether its dumps load; see ``requirements.carried``.

    Raises:
        SourceError: it does not start.
    """
    env = {"POSTGRES_USER": user, "POSTGRES_DB": "postgres", "POSTGRES_PASSWORD": secrets.token_hex(16)}
    if initdb_args:
        env["POSTGRES_INITDB_ARGS"] = initdb_args
    command = ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off"]
    preload = carried.get("shared_preload_libraries")
    if preload:
        command += ["-c", f"shared_preload_libraries={preload}"]
    container = cli.throwaway(image, name, stack, command=command, env=env, tmpfs=[_SCRIPTS])
    try:
        server = Server(cli, container, user, 0, {"PGPASSWORD": env["POSTGRES_PASSWORD"]})
        _await(cli, server)
        # Twice, because settings of an extension are known once its library is loaded.
        for _round in range(2):
            if not _set(server, carried):
                break
            cli.call("restart", container)
            _await(cli, server)
        yield server
    finally:
        cli.remove(container)


def _set(server: Server, carried: t.Mapping[str, str]) -> bool:
    """Set the settings through psql's input: one of an extension may be a secret. Returns whether to restart."""
    there = dict(
        json.loads(line)
        for line in server.query(
            server.home(), "SELECT json_build_array(name, current_setting(name)) FROM pg_settings;"
        )
    )
    wanted = {**carried, **{name: value for name, value in _OFF.items() if name in there}}
    differ = {
        name: value
        for name, value in wanted.items()
        if name in there and there[name] != value and name != "shared_preload_libraries"
    }
    for name, value in differ.items():
        # ALTER SYSTEM needs a list as several values.
        values = ", ".join(literal(part.strip()) for part in value.split(",")) if name.endswith("libraries") else ""
        result = server.script(server.home(), f"ALTER SYSTEM SET {name} = {values or literal(value)};")
        if result.rc != 0:
            raise SourceError(f"the throwaway PostgreSQL refuses {name}: {process.last_words(result.stderr)}")
    return bool(differ)


def _await(cli: Cli, server: Server) -> None:
    # The official image initializes itself with a server on the local socket. Only the final one answers over TCP.
    deadline = cli.world.monotonic() + 120
    while cli.run(server.container, ["pg_isready", "-q", "-h", "127.0.0.1"], check=False).rc != 0:
        if cli.world.monotonic() > deadline:
            raise SourceError("the throwaway PostgreSQL did not start within 120 s: " + _log(cli, server.container))
        if cli.call("inspect", "--format", "{{.State.Running}}", server.container).stdout.strip() != "true":
            raise SourceError("the throwaway PostgreSQL ended: " + _log(cli, server.container))
        cli.world.sleep(0.1)


def _log(cli: Cli, container: str) -> str:
    result = cli.call("logs", "--tail", "3", container, check=False)
    return " | ".join((result.stdout + result.stderr).split("\n"))[:500]
