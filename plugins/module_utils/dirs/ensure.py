# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up directories: inspect all of them, stop if one has a problem, then make the changes."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError, Problem
from ansible_collections.onebox.stack.plugins.module_utils.dirs import own, records, request
from ansible_collections.onebox.stack.plugins.module_utils.dirs.filesystem import OWNERLESS, Mounts
from ansible_collections.onebox.stack.plugins.module_utils.dirs.inspection import CODE, Found, Inspector, owned
from ansible_collections.onebox.stack.plugins.module_utils.dirs.walk import Cursor, Place, opened

# As the engine creates a missing parent: root owns it, and all users can pass through.
_PARENT_MODE = 0o755


def ensure(
    directories: t.Sequence[t.Mapping[str, t.Any]],
    *,
    base: str | None,
    deploy_dir: str | None,
    state_dir: str,
    check: bool,
    mounts: Mounts,
) -> dict[str, t.Any]:
    """Create and change ``directories`` as requested.

    Args:
        directories: as the option of the module; every key but ``path`` may be missing or None.
        state_dir: the directory of the records that are kept between runs.
        check: change nothing, and return the planned changes.
        mounts: the mount table.

    Returns:
        ``changed``, ``directories``, ``problems`` (if the inspection found one, nothing was changed), ``warnings`` and
        ``diff``, as the module returns them.
    """
    wanted, problems = request.read(directories, base, deploy_dir)
    memory = records.Records(state_dir)
    inspected = Inspector(mounts, memory, deploy_dir, os.geteuid()).inspect(wanted)
    problems += inspected.problems
    before = {found.wanted.path: _state(found.stat) for found in inspected.found if found.changes}
    rows = [_row(found) for found in inspected.found]
    after = {row["path"]: _planned(row) for row in rows if row["changed"]}
    parents = [path for found in inspected.found for path in found.parents]
    before.update(dict.fromkeys(parents, _state(None)))
    after.update(dict.fromkeys(parents, _parent()))
    if problems:
        for row in rows:
            row["changed"] = False
        return _result(False, rows, problems, inspected.warnings, {}, {})
    if not check:
        with Cursor() as cursor:
            for found, row in zip(inspected.found, rows):
                if found.changes:
                    try:
                        _change(cursor, found, memory)
                    except OneboxError as error:
                        problems.append(Problem(CODE, found.wanted.path, str(error)))
                    except OSError as error:
                        problems.append(Problem(CODE, found.wanted.path, _explain(found, error)))
                    row.update(_row(found, changed=_state(found.stat) != before[found.wanted.path] or _lasting(found)))
                    after[found.wanted.path] = _planned(row) if found.stat else _state(None)
                    after.update({path: _state(None) for path in found.parents if not os.path.lexists(path)})
    return _result(any(row["changed"] for row in rows), rows, problems, inspected.warnings, before, after)


def _change(cursor: Cursor, found: Found, memory: records.Records) -> None:
    wanted = found.wanted

    def create(here: Place, name: str) -> None:
        try:
            # Closed until owner and mode are set. An unlisted parent is opened at once.
            os.mkdir(name, 0o700, dir_fd=here.fd)
        except FileExistsError:
            return  # another process created it meanwhile, so its state is read again
        if cursor.depth + 1 < len(wanted.parts):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here.fd)
            try:
                os.fchmod(fd, _PARENT_MODE)
            finally:
                os.close(fd)

    place, unused = cursor.go(wanted.parts, create)
    with opened(place) as fd:
        now = os.fstat(fd)
        try:
            if found.space.fstype not in OWNERLESS:
                if found.recurse is not None:
                    found.recurse = own.give(fd, wanted.uid, wanted.gid, wanted.kind == "secret", check=False)
                uid = -1 if wanted.uid in (None, now.st_uid) else t.cast(int, wanted.uid)
                gid = -1 if wanted.gid in (None, now.st_gid) else t.cast(int, wanted.gid)
                if (uid, gid) != (-1, -1):
                    os.fchown(fd, uid, gid)
                if stat.S_IMODE(os.fstat(fd).st_mode) != wanted.mode:
                    os.fchmod(fd, wanted.mode)
            if found.disk:
                memory.put("disks", wanted.path, records.sentinel(fd) or records.make_sentinel(fd))
        finally:
            found.stat = os.fstat(fd)
    if wanted.recursive:
        memory.put("owned", wanted.path, owned(found))
    if found.space.fstype not in OWNERLESS and stat.S_IMODE(found.stat.st_mode) != wanted.mode:
        raise OSError(errno.EOPNOTSUPP, f"its file system ({found.space.fstype}) does not store modes")


def _lasting(found: Found) -> bool:
    """Whether more than the directory itself was changed."""
    return found.disk or bool(found.recurse and found.recurse.changed)


def _explain(found: Found, error: OSError) -> str:
    path = found.wanted.path
    if error.filename and isinstance(error.filename, str) and error.filename not in (".", path):
        path = f"{path} (at {error.filename})"
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"{path}: not allowed ({error.strerror}). Run as root (become: true), or check lsattr for immutability."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{path}: no space or inodes left (or the quota is reached). Delete files, or use another disk."
    return f"{path}: {error.strerror}"


def _state(found: os.stat_result | None) -> dict[str, t.Any]:
    if found is None:
        return {"state": "absent"}
    return {
        "state": "directory",
        "owner": _user(found.st_uid),
        "group": _group(found.st_gid),
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
    }


def _parent() -> dict[str, t.Any]:
    ids = {"owner": _user(os.geteuid()), "group": _group(os.getegid())}
    return {"state": "directory", **ids, "mode": f"{_PARENT_MODE:04o}"}


def _planned(row: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"state": "directory", **{key: row[key] for key in ("owner", "group", "mode")}}


def _row(found: Found, changed: bool | None = None) -> dict[str, t.Any]:
    """The item of the result: the planned state, or the actual state after the change."""
    wanted, now = found.wanted, found.stat
    planned = changed is None and found.space.fstype not in OWNERLESS
    uid = wanted.uid if planned and wanted.uid is not None else now.st_uid if now else os.geteuid()
    gid = wanted.gid if planned and wanted.gid is not None else now.st_gid if now else os.getegid()
    mode = wanted.mode if planned or now is None else stat.S_IMODE(now.st_mode)
    return {
        "path": wanted.path,
        "class": wanted.kind,
        "owner": _user(uid),
        "group": _group(gid),
        "mode": f"{mode:04o}",
        "changed": found.changes if changed is None else changed,
        "fstype": found.space.fstype,
        "free_bytes": found.space.free_bytes,
        "free_inodes": found.space.free_inodes,
        "mountpoint": wanted.mountpoint,
        "given": found.recurse.changed if found.recurse else 0,
        "left_alone": found.recurse.linked if found.recurse else [],
    }


_users: dict[int, str] = {}
_groups: dict[int, str] = {}


def _user(uid: int) -> str:
    """The name of ``uid``, or the number if this host has no name for it (a user of a container's image)."""
    if uid not in _users:
        try:
            _users[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            _users[uid] = str(uid)
    return _users[uid]


def _group(gid: int) -> str:
    if gid not in _groups:
        try:
            _groups[gid] = grp.getgrgid(gid).gr_name
        except KeyError:
            _groups[gid] = str(gid)
    return _groups[gid]


def _result(
    changed: bool,
    rows: list[dict[str, t.Any]],
    problems: list[Problem],
    warnings: list[str],
    before: dict[str, t.Any],
    after: dict[str, t.Any],
) -> dict[str, t.Any]:
    same = {path for path in before if before[path] == after.get(path)}
    return {
        "changed": changed,
        "directories": rows,
        "problems": [{"path": problem.where, "message": problem.message} for problem in problems],
        "warnings": warnings,
        "diff": {
            "before": {path: state for path, state in before.items() if path not in same},
            "after": {path: state for path, state in after.items() if path not in same},
        },
    }
