# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of PostgreSQL other than rows: roles, memberships, databases, large objects, materialized views.

Each group is one query. Each row is a JSON array: a key, and an object with attributes. The attributes are the columns
of the catalog, so that those of later versions are compared without a change here.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Session

# Group, then key (a readable text), then attributes.
Groups = t.Mapping[str, t.Mapping[str, t.Mapping[str, t.Any]]]


def _acl(column: str, kind: str, owner: str) -> str:
    """SQL: the privileges of an object as a sorted array of texts, the default ones spelled out."""
    return f"""(SELECT pg_catalog.json_agg(entry ORDER BY entry COLLATE "C") FROM (SELECT
 COALESCE(pg_catalog.pg_get_userbyid(NULLIF(a.grantee, 0)), 'PUBLIC') || ' ' || a.privilege_type
 || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END AS entry
 FROM pg_catalog.aclexplode(COALESCE({column}, pg_catalog.acldefault('{kind}', {owner}))) a) entries)"""


# The server's own roles (pg_…) come with its version.
_ROLES = """SELECT json_build_array('role ' || rolname, (to_jsonb(r) - 'oid' - 'rolname' - 'rolpassword')
 || jsonb_build_object('password', encode(sha256(convert_to(rolpassword, 'UTF8')), 'hex'),
 'comment', shobj_description(oid, 'pg_authid'))) FROM pg_authid r WHERE rolname !~ '^pg_' ORDER BY rolname;"""
_MEMBERS = """SELECT json_build_array('membership of ' || pg_get_userbyid(member) || ' in ' || pg_get_userbyid(roleid)
 || ' by ' || pg_get_userbyid(grantor), to_jsonb(m) - 'oid' - 'roleid' - 'member' - 'grantor')
 FROM pg_auth_members m WHERE pg_get_userbyid(member) !~ '^pg_' ORDER BY 1::text;"""
_ROLE_SETTINGS = """SELECT json_build_array('settings of role ' || pg_get_userbyid(setrole),
 json_build_object('settings', (SELECT json_agg(one ORDER BY one COLLATE "C") FROM unnest(setconfig) one)))
 FROM pg_db_role_setting WHERE setdatabase = 0 AND setrole <> 0 ORDER BY 1::text;"""
_PARAMETERS = f"""SELECT json_build_array('parameter ' || parname, json_build_object('privileges',
 {_acl("paracl", "p", "10")})) FROM pg_parameter_acl ORDER BY parname;"""

# Left out: values that differ on each server (ids, ages, tablespaces) and counters of PostgreSQL.
_DATABASE = f"""SELECT json_build_array('properties', (to_jsonb(d) - '{{oid,datname,datdba,datacl,dattablespace,
 datfrozenxid,datminmxid,datlastsysoid,datcollversion,dathasloginevt}}'::text[]) || jsonb_build_object(
 'owner', pg_get_userbyid(datdba), 'privileges', {_acl("datacl", "d", "datdba")},
 'comment', shobj_description(oid, 'pg_database')))
 FROM pg_database d WHERE datname = current_database();"""
_SETTINGS = """SELECT json_build_array(CASE setrole WHEN 0 THEN 'settings'
 ELSE 'settings of role ' || pg_get_userbyid(setrole) END, json_build_object('settings',
 (SELECT json_agg(one ORDER BY one COLLATE "C") FROM unnest(setconfig) one))) FROM pg_db_role_setting
 WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1::text;"""
# There may be millions, so a set records their number and one hash.
_LARGE_OBJECTS = f"""SELECT json_build_array('owners, privileges and comments', json_build_object('count', count(*),
 'hash', COALESCE(sum(hashtextextended(oid::text || ' ' || pg_get_userbyid(lomowner) || ' '
 || {_acl("lomacl", "L", "lomowner")}::text || COALESCE(obj_description(oid, 'pg_largeobject'), ''), 0)), 0)::text))
 FROM pg_largeobject_metadata HAVING count(*) > 0;"""
_VIEWS = """SELECT json_build_array(format('%I.%I', nspname, relname), json_build_object('populated', relispopulated))
 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'm' ORDER BY 1::text;"""
_ACCESS = """SELECT json_build_array(format('%I.%I', nspname, relname), json_build_object('method', amname))
 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace JOIN pg_am a ON a.oid = relam
 WHERE relkind IN ('r', 'm') AND amname <> 'heap' AND nspname !~ '^pg_' ORDER BY 1::text;"""

_SERVER = {"roles": _ROLES, "memberships": _MEMBERS, "role settings": _ROLE_SETTINGS}
_INSIDE = {
    "database": _DATABASE,
    "settings": _SETTINGS,
    "large objects": _LARGE_OBJECTS,
    "materialized views": _VIEWS,
    "table access methods": _ACCESS,
}

# Never compared: pg_dump does not include them, or a restore creates them again.
NOT_COMPARED = (
    "who granted a privilege on an object",
    "planner statistics",
    "contents of materialized views (a restore refreshes them)",
    "tablespaces (a restore puts everything into the default one)",
    "pg_hba.conf and hand-edited settings in the data directory",
    "whether a subscription is enabled (a restore creates it disabled)",
    "the password and attributes of roles that the server already has, such as its first user",
)


def of_server(session: Session) -> Groups:
    """Roles, memberships, settings of roles, privileges on parameters."""
    (version,) = session.ask("SHOW server_version_num;")
    queries = {**_SERVER, **({"parameters": _PARAMETERS} if int(version) >= 150000 else {})}
    return {group: _rows(session, sql) for group, sql in queries.items()}


def of_database(session: Session, superuser: bool) -> Groups:
    """Properties, privileges and settings of the session's database, and its objects other than tables."""
    return {group: _rows(session, sql) for group, sql in _INSIDE.items() if superuser or group != "large objects"}


def _rows(session: Session, sql: str) -> dict[str, dict[str, t.Any]]:
    return dict(json.loads(line) for line in session.ask(sql))


def compare(expected: Groups, found: Groups, where: str) -> list[str]:
    """The differences between the groups of a set and those found. Only groups on both sides are compared."""
    problems = []
    for group in sorted(set(expected) & set(found)):
        for key in sorted(set(expected[group]) | set(found[group])):
            problems += _difference(expected[group].get(key), found[group].get(key), f"{where}{_name(group, key)}")
    return problems


def compare_server(
    expected: Groups, found: Groups, *, kept: t.Collection[str], alone: bool
) -> tuple[list[str], list[str]]:
    """Differences of roles and their attributes. Returns problems, and notes on the server's own roles.

    Args:
        kept: roles that existed before the restore. Their attributes and passwords are not changed.
        alone: whether the server holds only the set. Then additional roles are differences, and settings must be equal.
    """
    problems: list[str] = []
    own: list[str] = []
    for group in sorted(set(expected) & set(found)):
        for key in sorted(set(expected[group]) | set(found[group])):
            before, after = expected[group].get(key), found[group].get(key)
            if before is None and not alone:
                continue
            is_own = _is_own(group, key, kept, alone)
            if is_own and alone and before is not None:
                before = {name: value for name, value in before.items() if name != "password"}  # made up for it
            differs = _difference(before, after, key)
            (own if is_own and (group == "roles" or not alone) else problems).extend(differs)
    return problems, own


def _is_own(group: str, key: str, kept: t.Collection[str], alone: bool) -> bool:
    """Whether the object existed before the restore and is not changed."""
    if group in ("roles", "role settings"):
        return any(key in (f"role {role}", f"settings of role {role}") for role in kept)
    if alone:
        return False
    # A restore does not change the grantor of an existing membership.
    members = f" {key.rpartition(' by ')[0]} "
    return group == "parameters" or any(f" {role} " in members for role in kept)


def _name(group: str, key: str) -> str:
    return key if group in ("database", "settings") else f"{group}: {key}"


def _difference(before: t.Mapping[str, t.Any] | None, after: t.Mapping[str, t.Any] | None, name: str) -> list[str]:
    if before is None or after is None:
        return [f"{name} {'is missing' if after is None else 'is not in the backup'}"]
    differs = [key for key in sorted(set(before) & set(after)) if before[key] != after[key]]
    # A digest of a password does not help a reader.
    shown = [
        key if key in ("password", "hash") else f"{key} is {after[key]!r}, in the dump {before[key]!r}"
        for key in differs
    ]
    return [f"{name} differs: {'; '.join(shown)}"] if differs else []
