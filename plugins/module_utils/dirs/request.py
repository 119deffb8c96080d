# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parse the option ``directories`` into numbers, or into problems that name the option."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

# The group can read a data or log directory (a backup, a log shipper). Only its owner can read a secret.
MODES = {"data": 0o750, "log": 0o750, "config": 0o750, "secret": 0o700}

Parts = tuple[str, ...]
Lookup = t.Callable[[str], int]


# Directories of the system. Other owners and modes there break the host, and cannot be undone.
_SYSTEM = frozenset(
    (
        *("/Applications", "/Library", "/System", "/Users", "/Volumes", "/etc", "/home", "/private", "/root", "/run"),
        *("/tmp", "/var", "/var/lib", "/var/log", "/var/run", "/var/spool", "/var/tmp"),
    )
)
_SYSTEM_TREES = ("/bin", "/boot", "/dev", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr")
# Parents of several stacks' directories. Recursive changes are refused there.
_SHARED = frozenset(("/media", "/mnt", "/opt", "/opt/onebox", "/srv"))

# The code of every problem found here: an option is wrong.
_CODE = "option"


class Wanted(t.NamedTuple):
    """One requested directory. None for ``uid`` or ``gid`` keeps it, or uses the caller's for a new directory."""

    path: str
    parts: Parts
    kind: str
    uid: int | None
    gid: int | None
    mode: int
    mountpoint: bool
    recursive: bool


def split(path: str) -> Parts:
    """The names in ``path``, without empty ones and '.'."""
    return tuple(part for part in path.split("/") if part not in ("", "."))


def join(parts: Parts) -> str:
    return "/" + "/".join(parts)


def read(
    directories: t.Sequence[t.Mapping[str, t.Any]], base: str | None, deploy_dir: str | None
) -> tuple[list[Wanted], list[Problem]]:
    """Parse the option ``directories``. Returns :class:`Wanted`, parents before children, and all problems."""
    problems = [
        Problem(_CODE, value, f"{option} must be an absolute path without '..', not {value!r}")
        for option, value in (("base", base), ("deploy_dir", deploy_dir))
        if value is not None and (not value.startswith("/") or ".." in split(value))
    ]
    if problems:
        return [], problems
    found: dict[Parts, Wanted] = {}
    around = None if base is None else split(base)
    deployed = None if deploy_dir is None else split(deploy_dir)
    # Each query reads the user database from its beginning.
    user = functools.lru_cache(None)(lambda name: pwd.getpwnam(name).pw_uid)
    group = functools.lru_cache(None)(lambda name: grp.getgrnam(name).gr_gid)
    for number, given in enumerate(directories):
        try:
            wanted = _one(given, around, user, group)
        except ValueError as error:
            problems.append(Problem(_CODE, str(given["path"]), f"directories[{number}]: {error}"))
            continue
        if wanted.parts in found:
            problems.append(Problem(_CODE, wanted.path, f"directories[{number}]: {wanted.path} is listed twice"))
        elif deployed and wanted.parts[: len(deployed)] == deployed:
            problems.append(Problem(_CODE, wanted.path, in_deploy_dir(wanted, deployed)))
        else:
            found[wanted.parts] = wanted
    return [found[parts] for parts in sorted(found)], problems


def _one(given: t.Mapping[str, t.Any], base: Parts | None, user: Lookup, group: Lookup) -> Wanted:
    path = given["path"]
    if not path or "\0" in path:
        raise ValueError("path must not be empty or contain a NUL character")
    if path.startswith("~"):
        raise ValueError(f"path {path!r} is not expanded. Write the whole path of the home directory, or set base.")
    parts = split(path)
    if ".." in parts:
        raise ValueError(f"path {path!r} must not contain '..'. Write the path without it.")
    if not path.startswith("/"):
        if base is None:
            raise ValueError(f"path {path!r} is relative, and base is not set")
        parts = base + parts
    if not parts:
        raise ValueError("path must not be the root of the file system")
    _not_of_the_system(join(parts), bool(given.get("recursive")))
    kind = given.get("class") or "data"
    mode = _mode(given.get("mode"), kind)
    return Wanted(
        path=join(parts),
        parts=parts,
        kind=kind,
        uid=number_of("owner", given.get("owner"), user),
        gid=number_of("group", given.get("group"), group),
        mode=mode,
        mountpoint=bool(given.get("mountpoint")),
        recursive=bool(given.get("recursive")),
    )


def _not_of_the_system(path: str, recursive: bool) -> None:
    ours = path.startswith("/usr/local/")
    if path in _SYSTEM or (not ours and any(path == tree or path.startswith(f"{tree}/") for tree in _SYSTEM_TREES)):
        raise ValueError(
            f"path {path} belongs to the system, and its owner and mode must not change. Name a directory below it"
        )
    if recursive and path in _SHARED:
        raise ValueError(
            f"path {path} is not for one stack alone, so recursive would change other files, which cannot be "
            "undone. Name a directory below it"
        )


def _mode(given: t.Any, kind: str) -> int:
    if given is None:
        return MODES[kind]
    # YAML changes a number: 0750 without quotes is 488, and 750 is 1356 in octal digits.
    if not isinstance(given, str) or not given or given.strip("01234567") or int(given, 8) > 0o7777:
        raise ValueError(f"mode must be octal digits in quotes, such as '0750', not {given!r}")
    mode = int(given, 8)
    if kind == "secret" and mode & 0o077:
        raise ValueError(f"mode {given} gives others access to a directory of class secret. Use '0700' or less.")
    return mode


def number_of(option: str, given: str | None, lookup: Lookup) -> int | None:
    """The uid or gid of ``given``: a number (containers have their own users), or a name of this host."""
    if given is None or given == "":
        return None
    if given.isascii() and given.isdigit():
        if int(given) >= 2**32 - 1:
            raise ValueError(f"{option} {given} is not a possible id")
        return int(given)
    try:
        return lookup(given)
    except KeyError:
        raise ValueError(
            f"{option} {given!r} does not exist on this host. For a user of the container's image, use its number."
        ) from None


def in_deploy_dir(wanted: Wanted, deployed: Parts) -> str:
    """The problem of a directory in the deploy directory, with the look-alike outside that was probably meant."""
    look_alike = join(deployed[:-1] + wanted.parts[len(deployed) :])
    hint = (
        f", such as the existing {look_alike}"
        if len(wanted.parts) > len(deployed) and os.path.isdir(look_alike)
        else ""
    )
    return (
        f"{wanted.path} is in the deploy directory {join(deployed)}, which a deploy replaces. "
        f"Choose a path outside{hint}."
    )


def look_alike_in_deploy_dir(wanted: Wanted, deployed: Parts) -> str:
    """The existing directory of the same name inside the deploy directory, or ""."""
    around = deployed[:-1]
    if wanted.parts[: len(around)] != around:
        return ""
    look_alike = join(deployed + wanted.parts[len(around) :])
    return look_alike if os.path.isdir(look_alike) else ""
