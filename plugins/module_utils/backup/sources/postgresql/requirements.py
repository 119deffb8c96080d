# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements of a restore outside of dumps: settings of the server, and databases and objects without a dump.

A throwaway server gets the settings that decide whether a dump loads. Settings in the data directory alone are a
warning of the backup: a new host does not have them.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import facts as pgfacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.model import PRELOAD, ServerFacts

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Session
    from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql.server import Server

# Settings of the server without which a dump may not load. Those of extensions have a dot in their name.
_DECISIVE = (
    "shared_preload_libraries", "session_preload_libraries", "local_preload_libraries", "max_locks_per_transaction",
    "max_prepared_transactions", "max_worker_processes", "wal_level", "track_commit_timestamp",
    "default_table_access_method", "default_toast_compression", "lo_compat_privileges", "password_encryption",
    "allow_in_place_tablespaces",
)  # fmt: skip
_CARRIED = f"""SELECT json_build_array(name, current_setting(name)) FROM pg_settings
 WHERE source IN ('command line', 'configuration file', 'environment variable')
 AND (name LIKE '%.%' OR name = ANY('{{{",".join(_DECISIVE)}}}'::text[])) ORDER BY name;"""
# Settings that initdb and the entry points of images write into postgresql.conf by themselves.
_INITDB = {
    "max_connections", "shared_buffers", "dynamic_shared_memory_type", "max_wal_size", "min_wal_size",
    "log_timezone", "datestyle", "timezone", "lc_messages", "lc_monetary", "lc_numeric", "lc_time",
    "default_text_search_config", "listen_addresses", "wal_level", "password_encryption", "unix_socket_directories",
    "data_directory", "hba_file", "ident_file", "external_pid_file", "port", "ssl", "ssl_cert_file", "ssl_key_file",
    "cluster_name", "include_dir", "log_line_prefix", "stats_temp_directory",
}  # fmt: skip
_IN_DATA = """SELECT json_build_array(name, setting, sourcefile LIKE '%/postgresql.auto.conf') FROM pg_file_settings
 WHERE starts_with(sourcefile, current_setting('data_directory') || '/') AND name IS NOT NULL ORDER BY seqno;"""
# Settings whose values are not shown in messages: they may contain a password or key.
_SECRET = re.compile(r"conninfo|command|passphrase|key|secret|password|token|salt")

_CLOSED = """SELECT json_build_array(datname, datconnlimit = -2) FROM pg_database
 WHERE (NOT datallowconn OR datconnlimit = -2) AND datname NOT IN ('template0', 'template1') ORDER BY datname;"""
_SLOTS = "SELECT to_json(slot_name) FROM pg_replication_slots WHERE NOT temporary ORDER BY 1::text;"
_PREPARED = "SELECT to_json(gid) FROM pg_prepared_xacts ORDER BY 1::text;"
_TABLESPACES = (
    "SELECT to_json(spcname) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY spcname;"
)
# Objects that were created after initdb have ids from 16384 on. The extension stands for its own objects.
_OBJECTS = """SELECT to_json(name) FROM (SELECT extname AS name FROM pg_extension WHERE oid >= 16384 UNION
 SELECT nspname FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' UNION
 SELECT relname FROM pg_class c WHERE oid >= 16384 AND relkind IN ('r', 'v', 'm', 'S', 'f', 'p') AND NOT EXISTS
 (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('e', 'i')) UNION
 SELECT proname FROM pg_proc p WHERE oid >= 16384 AND NOT EXISTS
 (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')) made ORDER BY name;"""
SUBSCRIPTIONS = """SELECT to_json(subname) FROM pg_subscription WHERE subdbid =
 (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY subname;"""


def carried(session: Session) -> dict[str, str]:
    """The settings that another server needs to load the databases of this one."""
    return dict(json.loads(line) for line in session.ask(_CARRIED))


def in_data_directory(session: Session) -> dict[str, list[t.Any]]:
    """Settings that are only in the data directory: value, and whether ALTER SYSTEM set it. For a superuser."""
    rows = [json.loads(line) for line in session.ask(_IN_DATA)]
    return {name.lower(): [value, system] for name, value, system in rows if system or name.lower() not in _INITDB}


def left_out(session: Session, settings: t.Mapping[str, t.Sequence[t.Any]]) -> list[str]:
    """A warning with the fix for each part of the server that sets do not hold."""
    warnings = []
    for name, invalid in (json.loads(line) for line in session.ask(_CLOSED)):
        if invalid:
            warnings.append(f"database {name} is in no set: an interrupted DROP DATABASE left it invalid. Drop it")
        else:
            warnings.append(
                f"database {name} is in no set: it refuses connections. To back it up, run ALTER DATABASE "
                f"{name} ALLOW_CONNECTIONS true"
            )
    for sql, text in (
        (_SLOTS, "replication slots {} are in no set. Create them again after a restore"),
        (_PREPARED, "prepared transactions {} are in no set. Commit them or roll them back"),
        (_TABLESPACES, "tablespaces {} are in no set: a restore puts their tables into the default tablespace"),
    ):
        names = [json.loads(line) for line in session.ask(sql)]
        if names:
            warnings.append(text.format(_listed(names)))
    if settings:
        shown = [name if _SECRET.search(name) else f"{name} = {row[0]}" for name, row in settings.items()]
        how = "ALTER SYSTEM" if all(row[1] for row in settings.values()) else "ALTER SYSTEM or in postgresql.conf"
        warnings.append(
            f"settings from {how} exist only in the data directory and are in no set: {_listed(shown)}. Move them "
            "to the service's command in the compose file"
        )
    return warnings


def in_template1(server: Server) -> list[str]:
    """A warning when template1 contains objects, which sets do not hold."""
    # Short, because a connection to template1 blocks the creation of databases.
    result = server.script("template1", pgfacts.SETTINGS + _OBJECTS)
    names = [json.loads(line) for line in result.stdout.splitlines()] if result.rc == 0 else []
    if not names:
        return []
    return [
        f"template1 is in no set and holds {_listed(names)}: new databases of a rebuilt server lack them. Create them "
        "there again after a restore, or move them to another database"
    ]


def require_libraries(server: Server, facts: ServerFacts, where: str) -> None:
    """Refuse a server that lacks a preloaded library of the set, before any change.

    Raises:
        SourceError: the text names the setting to add.
    """
    name = PRELOAD
    wanted = facts.libraries
    there = _libraries(server.query(server.home(), f"SHOW {name};")[0])
    missing = [library for library in _libraries(wanted) if library not in there]
    if missing:
        raise SourceError(
            f"{where}: {name} lacks {', '.join(missing)}, which the databases of the set may need (the server they "
            f"were dumped from had {wanted!r}, perhaps by ALTER SYSTEM). Add it to the service's command in the "
            "compose file, deploy, and run again; nothing was changed"
        )


def _libraries(text: str) -> list[str]:
    return [word for word in (word.strip().strip('"') for word in text.split(",")) if word]


def _listed(names: t.Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
