# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check with the kernel, as the application, whether the application can write to a mount.

The check uses user and group ids, groups, capabilities and user namespace of the running main process, not of the
image's or the caller's user: if an entrypoint drops its privileges, every ``exec`` test is wrong. It then creates a
nameless file (``O_TMPFILE``) of one block: no name appears, no directory changes, and a full disk is detected, which
``touch`` misses. On a file system without nameless files (NFS, FUSE, exFAT) a file with a random name is
created and unlinked at once.

Not checked: rules of SELinux, AppArmor, seccomp or Landlock that bind the application only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import typing as t
from dataclasses import asdict, dataclass, replace

from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel import subprocess_pool, syscalls
from ansible_collections.onebox.stack.plugins.module_utils.mounts.kernel.process import Identity, Process

BLOCK_SIZE = 4096
_BLOCK = b"\0" * BLOCK_SIZE
_NO_NAMELESS = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOSYS, errno.EINVAL)
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: the rights of a parent directory do not matter for the file.
_MAY_PASS = 0b110
# Failures of the child itself, as opposed to answers of the file system.
_SELF = "self"


# Directories that belong to a file system, a NAS or a desktop and not to an application.
_NOT_FOR_APPLICATIONS = frozenset(
    ("lost+found", ".snapshot", ".snapshots", ".zfs", "@eaDir", "#recycle", "$RECYCLE.BIN", ".Trashes", ".fseventsd")
    + ("System Volume Information", ".Spotlight-V100", ".TemporaryItems", ".DocumentRevisions-V100")
)
# Directories at the top of a destination that are checked.
_MOST_DIRECTORIES = 256


@dataclass(frozen=True)
class Wanted:
    """One question: may the application read (and write) ``destination``?

    ``named`` are directories below it that the application names, relative to it. ``deep`` is whether the directories
    at its top are to be tried too, ``shared`` whether other containers have their own there. ``left_out`` are names at
    its top where other mounts lie. ``mounts`` are file systems mounted below it, relative to it.
    """

    destination: str
    write: bool
    named: tuple[str, ...] = ()
    deep: bool = False
    shared: bool = False
    left_out: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The answer. ``error`` is an errno or 0; ``step`` is where it came from: path, read, write, or self (the probe).

    ``place`` is the directory that could not be passed when the step is path, or the mount below the destination that
    is broken or full when it is below. ``closed`` are directories below the destination that cannot be written to
    though the destination can.
    """

    error: int = 0
    step: str = ""
    place: str = ""
    closed: tuple[str, ...] = ()


def probe(
    process: Process,
    root: int,
    identity: Identity,
    wanted: t.Sequence[Wanted],
    seconds: float,
    world: World,
    mark: t.Callable[[int], None],
) -> list[Outcome]:
    """Answer all questions about one container.

    Args:
        process: the application, held.
        root: descriptor of the root directory it sees.
        identity: its user, groups and capabilities.
        seconds: how long a child may take, where one is needed.
        world: waiting for the child.
        mark: gets the index of the current question.

    Raises:
        Gone, Refused: from reading the process.
    """
    if not identity.own_user_namespace:
        return _ask_all(_acting_as(identity), root, wanted, mark)
    # A user namespace cannot be left again, so a child enters it. Ids must be translated before: see inside_id.
    inside = replace(
        identity,
        uid=process.inside_id("uid_map", identity.uid),
        gid=process.inside_id("gid_map", identity.gid),
        groups=tuple(process.inside_id("gid_map", group) for group in identity.groups),
    )
    namespace = process.open("ns/user")

    def work(questions: t.Sequence[Wanted]) -> list[dict[str, t.Any]]:
        return [
            asdict(outcome) for outcome in _ask_all(_having_become(identity, inside, namespace), root, questions, mark)
        ]

    try:
        (answers,) = subprocess_pool.each(work, [list(wanted)], seconds, world)
    finally:
        os.close(namespace)
    if answers is None:
        return [Outcome(errno.ETIMEDOUT, _SELF)] * len(wanted)
    if isinstance(answers, subprocess_pool.Failure):
        return [Outcome(errno.EPERM, _SELF, place=answers.text)] * len(wanted)
    return [Outcome(**{**answer, "closed": tuple(answer["closed"])}) for answer in answers]


def _ask_all(
    disguise: t.ContextManager[None], root: int, questions: t.Sequence[Wanted], mark: t.Callable[[int], None]
) -> list[Outcome]:
    answers = []
    try:
        with disguise:
            for index, question in enumerate(questions):
                mark(index)
                answers.append(_ask(root, question))
            return answers
    except OSError as error:  # only from the change of identity: errors of the file system are part of the answers
        return [Outcome(error.errno or errno.EPERM, _SELF)] * len(questions)


@contextlib.contextmanager
def _acting_as(identity: Identity) -> t.Iterator[None]:
    """Temporarily adopt ``identity``, of our own user namespace, for file access only."""
    groups, (effective, permitted, inheritable) = os.getgroups(), syscalls.capabilities()
    try:
        if sorted(groups) != sorted(identity.groups):
            os.setgroups(identity.groups)
        syscalls.set_file_ids(identity.uid, identity.gid)
        syscalls.set_capabilities(identity.capabilities, permitted, inheritable)
        yield
    finally:
        syscalls.set_capabilities(effective, permitted, inheritable)
        syscalls.set_file_ids(os.geteuid(), os.getegid())
        if sorted(os.getgroups()) != sorted(groups):
            os.setgroups(groups)


@contextlib.contextmanager
def _having_become(identity: Identity, inside: Identity, namespace: int) -> t.Iterator[None]:
    """Become ``identity``, which is ``inside`` in ids of the namespace, only for a child that ends soon."""
    groups: tuple[int, ...] | None = None
    if sorted(os.getgroups()) != sorted(identity.groups):
        # Outside, where root may: a namespace that maps one user only forbids it. An owner who is not root may inside.
        try:
            os.setgroups(identity.groups)
        except PermissionError:
            groups = inside.groups
    syscalls.enter_user_namespace(namespace)
    syscalls.keep_capabilities()
    if groups is not None:
        os.setgroups(groups)
    os.setresgid(inside.gid, inside.gid, inside.gid)
    os.setresuid(inside.uid, inside.uid, inside.uid)
    syscalls.set_capabilities(identity.capabilities, identity.capabilities)
    yield


def _ask(root: int, question: Wanted) -> Outcome:
    try:
        # With the application's rights, to detect a directory in the path that it may not pass.
        descriptor = syscalls.open_in_root(root, question.destination, syscalls.O_PATH)
    except OSError as error:
        return Outcome(error.errno or errno.EIO, "path", _blocked_at(root, question.destination))
    step = "read"
    try:
        kind = syscalls.look_at(descriptor).kind
        syscalls.may(descriptor, os.R_OK | (os.X_OK if kind == "dir" else 0))
        if kind == "file":
            os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        if question.write:
            step = "write"
            if kind == "dir":
                _write_in(descriptor)
                return _below(descriptor, question) or Outcome(closed=_closed(descriptor, question))
            syscalls.may(descriptor, os.W_OK)
    except OSError as error:
        return Outcome(error.errno or errno.EIO, step)
    finally:
        os.close(descriptor)
    return Outcome()


def _below(directory: int, question: Wanted) -> Outcome | None:
    """The first file system mounted below an open directory that is broken or full. One that hangs hangs the caller."""
    for place in question.mounts[:_MOST_DIRECTORIES]:
        try:
            descriptor = syscalls.open_in_root(directory, place, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
            try:
                _write_in(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            # Its owner does not matter here, and neither does a single mounted file.
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOENT):
                return Outcome(error.errno or errno.EIO, "below", place)
    return None


def _closed(directory: int, question: Wanted) -> tuple[str, ...]:
    """Directories below an open one that may not be written to: those the application names, and those at the top."""
    found = [name for name in question.named if _is_closed(directory, name, False)]
    if question.deep:
        names: list[str] = []
        with contextlib.suppress(OSError):  # a directory that may be passed but not listed
            descriptor = os.open(f"/proc/self/fd/{directory}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with os.scandir(descriptor) as entries:
                    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            finally:
                os.close(descriptor)
        skipped = {*_NOT_FOR_APPLICATIONS, *question.left_out, *found}
        for name in sorted(names)[:_MOST_DIRECTORIES]:
            if name not in skipped and not name.startswith(".Trash") and _is_closed(directory, name, question.shared):
                found.append(name)
    return tuple(found)


def _is_closed(directory: int, name: str, only_of_root: bool) -> bool:
    """Whether a directory below an open one refuses writes by its rights.

    Args:
        only_of_root: other owners may be users of other containers, with their own directory.
    """
    try:
        descriptor = syscalls.open_in_root(directory, name, syscalls.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        return error.errno == errno.EACCES
    try:
        node = syscalls.look_at(descriptor)
        # The owner closed it on purpose, and can open it.
        if node.uid == syscalls.file_uid() or (only_of_root and node.uid != 0):
            return False
        syscalls.may(descriptor, os.W_OK | os.X_OK)
    except OSError as error:
        return error.errno in (errno.EACCES, errno.EPERM)
    finally:
        os.close(descriptor)
    return False


def room_beside(path: str, identity: Identity) -> int:
    """Try whether a file of the host can grow: write a block into a nameless file next to it, with the process's ids.

    Quotas and the blocks reserved for root count as they do for the application.

    Returns:
        An errno: ENOSPC, EDQUOT, EROFS or EIO; 0 if there is space, or if it cannot be tried.
    """
    try:
        parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        if os.fstat(parent).st_dev != os.stat(path, follow_symlinks=False).st_dev:
            return 0
        if os.geteuid() != 0:
            figures = os.fstatvfs(parent)
            return errno.ENOSPC if figures.f_blocks and not figures.f_bavail else 0
        able = replace(identity, capabilities=identity.capabilities | _MAY_PASS)
        with _acting_as(able):
            _write_in(parent)
    except OSError as error:
        return error.errno if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO) else 0
    finally:
        os.close(parent)
    return 0


def _write_in(directory: int) -> None:
    """Write one block into a nameless file of the directory. Raises OSError as the application would see it."""
    try:
        descriptor = os.open(".", syscalls.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=directory)
    except OSError as error:
        if error.errno not in _NO_NAMELESS:
            raise
        name = f".onebox-probe-{secrets.token_hex(8)}"
        descriptor = os.open(
            name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=directory
        )
        os.unlink(name, dir_fd=directory)
    try:
        os.write(descriptor, _BLOCK)
    finally:
        os.close(descriptor)


def _blocked_at(root: int, destination: str) -> str:
    """The first part of the path that cannot be passed."""
    place = ""
    for part in destination.split("/"):
        if not part:
            continue
        place += "/" + part
        try:
            os.close(syscalls.open_in_root(root, place, syscalls.O_PATH))
        except OSError:
            with contextlib.suppress(ValueError):
                return place[: place.rindex("/")] or "/"
    return destination
