# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse a deploy whose database would not read its present data, before the old server is stopped."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.data import declared
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.core import beneath, files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown
from ansible_collections.onebox.stack.plugins.module_utils.mounts.state import servers

_POSTGRES_PATH = re.compile(r"/postgresql/(\d+)/bin")
_TAG = re.compile(r":v?(\d+(?:\.\d+)*)")
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_MARIADB_FILES = ("mariadb_upgrade_info", "mysql_upgrade_info")
_MOST_CONFIG = 1 << 20
_THROUGH = (
    "Take a backup with the present version (playbooks/backup.yml), deploy this version on an empty directory, and "
    "restore into it (playbooks/restore.yml)"
)


def problems(
    service: Service,
    image: t.Mapping[str, t.Any] | None,
    mounts: t.Sequence[declared.Mounted],
    read_at: t.Callable[[str], str],
) -> list[Problem]:
    """At most one problem.

    Args:
        image: ``inspect`` of the image; None if it does not exist yet.
        mounts: the declared mounts of the service.
        read_at: where a declared file is read; it may still be staged.
    """
    server = declared.server_of(service, image)
    home = server.home()
    if image is None or home is None:
        return []
    mount = declared.covering(mounts, home.path)
    place = declared.on_host(mount, home.path)
    if mount is None or not place or not os.path.isdir(place):
        return []
    message = ""
    if home.database == "postgresql":
        message = _postgresql(server, place)
    elif home.database == "redis":
        message = _redis(server, place, mounts, read_at)
    elif home.database == "mysql":
        message = _mysql(server, place)
    return [Problem("data_format", f"service {service.name}, {shown(home.path)}", message)] if message else []


def _postgresql(server: servers.Server, place: str) -> str:
    new, old = _postgresql_major(server), _text(place, "PG_VERSION")
    if not new or not old or new == old:
        return ""
    return (
        f"holds data of PostgreSQL {old} ({shown(os.path.join(place, 'PG_VERSION'))}), and {server.image} is "
        f"PostgreSQL {new}, which does not start on it. {_THROUGH}. Or stay on {old}"
    )


def _postgresql_major(server: servers.Server) -> str:
    given = server.env.get("PG_MAJOR") or server.env.get("PG_VERSION") or ""
    found = _NUMBER.match(given) or _POSTGRES_PATH.search(server.env.get("PATH", ""))
    if found:
        return (found[1] if found.re is _POSTGRES_PATH else found[0]).partition(".")[0]
    tag = _TAG.search(server.image.rpartition("/")[2]) if "postgres" in server.image else None
    return tag[1].partition(".")[0] if tag else ""


def _redis(
    server: servers.Server,
    place: str,
    mounts: t.Sequence[declared.Mounted],
    read_at: t.Callable[[str], str],
) -> str:
    settings = _redis_file(server, mounts, read_at)
    append = server.setting("appendonly") or settings.get("appendonly") or "no"
    snapshot = server.setting("dbfilename") or settings.get("dbfilename") or "dump.rdb"
    folder = server.setting("appenddirname") or settings.get("appenddirname") or "appendonlydir"
    if append != "yes" or not _has(place, snapshot):
        return ""
    if _has(place, folder) or _has(place, "appendonly.aof"):
        return ""
    return (
        f"holds {snapshot}, and `appendonly yes` makes Redis ignore it: it would start empty and overwrite the file. "
        "Deploy without appendonly first, run `redis-cli config set appendonly yes` in the container, wait until "
        "`redis-cli info persistence` reports aof_rewrite_in_progress:0, then deploy this setting. Or restore a backup "
        "set with it: playbooks/restore.yml"
    )


def _redis_file(
    server: servers.Server, mounts: t.Sequence[declared.Mounted], read_at: t.Callable[[str], str]
) -> dict[str, str]:
    """The settings of a configuration file that is mounted and named on the command line."""
    path = next((word for word in server.argv if word.startswith("/") and word.endswith(".conf")), "")
    place = declared.on_host(declared.covering(mounts, path), path) if path else ""
    if not place:
        return {}
    try:
        with files.open_regular(read_at(place)) as stream:
            text = stream.read(_MOST_CONFIG).decode("utf-8", "replace")
    except (OSError, OneboxError):
        return {}
    rows = (line.split() for line in text.splitlines())
    return {row[0].lower(): row[1].strip('"') for row in rows if len(row) > 1 and not row[0].startswith("#")}


def _mysql(server: servers.Server, place: str) -> str:
    written = next((text for text in (_text(place, name) for name in _MARIADB_FILES) if text), "")
    of_mariadb = "mariadb" in written.lower()
    old = _NUMBER.match(written)
    is_mariadb = "mariadb" in server.image or "MARIADB_VERSION" in server.env or "mariadbd" in server.argv
    given = server.env.get("MARIADB_VERSION") or server.env.get("MYSQL_VERSION") or ""
    new = _NUMBER.search(given) or _TAG.search(server.image.rpartition("/")[2])
    if is_mariadb and not of_mariadb and _has(place, "mysql.ibd"):
        return f"holds data of MySQL 8, which MariaDB does not read. {_THROUGH}. Or stay on MySQL"
    if of_mariadb and not is_mariadb:
        return f"holds data of MariaDB {old[0] if old else ''}, which MySQL does not read. {_THROUGH}"
    if not old or not new or of_mariadb != is_mariadb:
        return ""
    version = new[1] if new.re is _TAG else new[0]
    if _two(version) >= _two(old[0]) or "." not in version:
        return ""
    return (
        f"holds data of version {old[0]}, and {server.image} is {version}: a server does not start on the data of a "
        f"newer one. {_THROUGH}. Or stay on {old[0]}"
    )


def _two(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _text(place: str, name: str) -> str:
    """The first line of a small file in a directory that a container can write to, "" without one."""
    try:
        with beneath.open_directory(place) as directory:
            return directory.read(name, 200).decode("ascii", "replace").strip().partition("\n")[0]
    except (OSError, OneboxError):
        return ""


def _has(place: str, name: str) -> bool:
    try:
        with beneath.open_directory(place) as directory:
            return "/" not in name and directory.exists(name)
    except (OSError, OneboxError):
        return False
