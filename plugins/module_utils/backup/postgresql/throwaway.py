# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL of a given image to try something in: no network, no port, gone with its data afterwards."""

from __future__ import annotations

import contextlib
import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.postgresql.server import Server


@contextlib.contextmanager
def throwaway(
    cli: Cli, stack: str, *, name: str, image: str, user: str, initdb_args: str = "", preload: str = ""
) -> t.Iterator[Server]:
    """Start an empty server and give it while the block runs.

    Args:
        stack: whose throwaway it is: the next start removes what a killed one left.
        user: its superuser.
        preload: shared_preload_libraries, as extensions of the original need them.

    Raises:
        SourceError: it does not start.
    """
    env = {"POSTGRES_USER": user, "POSTGRES_DB": "postgres", "POSTGRES_PASSWORD": secrets.token_hex(16)}
    if initdb_args:
        env["POSTGRES_INITDB_ARGS"] = initdb_args
    command = ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off"]
    if preload:
        command += ["-c", f"shared_preload_libraries={preload}"]
    container = cli.throwaway(image, name, stack, command=command, env=env)
    try:
        server = Server(cli, container, user, 0, {"PGPASSWORD": env["POSTGRES_PASSWORD"]})
        _await(cli, server)
        yield server
    finally:
        cli.remove(container)


def _await(cli: Cli, server: Server) -> None:
    # The official image sets itself up with a server on the local socket only; over TCP only the real one answers.
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
