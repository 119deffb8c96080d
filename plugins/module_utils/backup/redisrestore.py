# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Redis and Valkey in the stack: service stopped, former data aside, the RDB loaded by path A, service started.

The work is done in a one-shot container of the same image with the volumes of the service, and no network: while the
data is not proven, no client can write to it.
"""

from __future__ import annotations

import os
import secrets

from ansible_collections.onebox.stack.plugins.module_utils.backup import redislab, sources
from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import HELPER_LABEL, Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.context import Context
from ansible_collections.onebox.stack.plugins.module_utils.backup.declaration import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import BackupError, RestoreRefused
from ansible_collections.onebox.stack.plugins.module_utils.backup.manifest import Source

# Moves the former data aside; leftover append-only files would win over a new dump.rdb.
_ASIDE = 'set -eu; cd "$1"; mkdir "$2"; shift; to=$1; shift; for f in "$@"; do [ ! -e "$f" ] || mv -- "$f" "$to/"; done'
_BACK = 'set -eu; cd "$1"; mkdir "$2.failed"; to="$2.failed"; from=$2; shift 2; '
_BACK += 'for f in "$@"; do [ ! -e "$f" ] || mv -- "$f" "$to/"; done; mv -- "$from"/* .; rmdir "$from"'
# As the service's own process would own it.
_OWN = 'chown -R "$(stat -c %u:%g "$1")" "$1"'


def restore_redis(context: Context, spec: SourceSpec, source: Source, staged: str, stamp: str) -> str:
    """Restore one Redis source. Returns where the former data is.

    Raises:
        RestoreRefused: the service keeps no data in a volume or directory: there is nothing to restore into.
        MismatchError: the loaded data are not what was dumped; the former data are back in place.
    """
    cli = context.open_cli()
    container = sources.find_container(cli.engine, context.declaration.stack, spec)
    place = source.facts["config"].get("dir") or "/data"
    if not any(place == mount.destination or place.startswith(mount.destination + "/") for mount in container.mounts):
        raise RestoreRefused(
            f"{container.name} keeps {place} in no volume or directory of the host; give it one before a restore"
        )
    stack = context.declaration.stack
    cli.call("stop", "--time", "60", container.id, timeout=120)
    try:
        name = f"onebox-restore-{stack}-{source.name}-{secrets.token_hex(3)}".lower()
        words = ["run", "--detach", "--network", "none", "--label", f"{HELPER_LABEL}={stack}", "--name", name]
        words += ["--volumes-from", container.id, "--user", "0", "--entrypoint", "sleep"]
        helper = cli.call(*words, container.image_id, "infinity", timeout=300).stdout.strip().splitlines()[-1]
        try:
            _load(cli, helper, source, staged, place, f"pre-restore-{stamp}")
        finally:
            # Without --volumes: they belong to the service.
            cli.call("rm", "--force", helper, check=False)
    finally:
        cli.call("start", container.id, timeout=120)
    return f"{place}/pre-restore-{stamp} in {container.name}"


def _load(cli: Cli, helper: str, source: Source, staged: str, place: str, aside: str) -> None:
    config = source.facts["config"]
    names = ["dump.rdb", config.get("dbfilename") or "dump.rdb", config.get("appendfilename") or "appendonly.aof"]
    names += [config.get("appenddirname") or "appendonlydir"]
    cli.run(helper, ["sh", "-c", _ASIDE, "obx", place, aside, *dict.fromkeys(names)])
    try:
        cli.copy_in(os.path.join(staged, source.facts["path"]), helper, f"{place}/dump.rdb")
        redislab.load(redislab.Lab(cli, helper, place), source.facts)
        if config.get("dbfilename") not in ("", None, "dump.rdb"):
            cli.run(helper, ["mv", f"{place}/dump.rdb", f"{place}/{config['dbfilename']}"])
    except BackupError:
        cli.run(helper, ["sh", "-c", _BACK, "obx", place, aside, *dict.fromkeys(names)], check=False)
        raise
    finally:
        cli.run(helper, ["sh", "-c", _OWN, "obx", place], check=False)
