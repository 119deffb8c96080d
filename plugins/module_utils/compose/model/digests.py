# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of the files of a service: its build context, its secrets, its mounted code and configuration.

No compose tool compares these when it decides which containers to replace. That is the most frequent reason for
"I deployed and nothing changed".
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.model import bound_files, short_syntax
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.dockerignore import Ignore
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import FileRef, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import MARKER
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

# Only files that never change the result of a build or the behaviour of a service.
_RESTART_ACTIONS = ("restart", "sync+restart")
_BLOCK = 1 << 20
_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Piece:
    """A digest, and when the newest covered file changed (seconds since 1970, 0 where that is unknown).

    ``reason`` is the plan's reason to restart a service when it changes.
    """

    digest: str
    newest: float
    reason: str = "code_bind_changed"


@dataclass(frozen=True)
class Content:
    """The digests of one service.

    Attributes:
        files: ``secrets/name`` or ``configs/name`` -> piece.
        code: target of a ``develop.watch`` rule, or its path, -> piece.
        bound: source of a bind that holds configuration -> piece.
        context: of its build; None when it is not built here.
        unread: sources of binds with too many files to compare.
    """

    files: t.Mapping[str, Piece] = field(default_factory=dict)
    code: t.Mapping[str, Piece] = field(default_factory=dict)
    bound: t.Mapping[str, Piece] = field(default_factory=dict)
    context: Piece | None = None
    unread: tuple[str, ...] = ()


class Reader:
    """Reads files and caches their digests by size, times and inode, so that reading one again costs only a ``stat``.

    Args:
        cache: the :attr:`cache` of an earlier reader.
        external: name -> piece of a secret that the engine keeps and no file has.
        place: returns where a path is read, for a stack whose files are still staged.
        skip: paths that are ignored, such as links to files that only the deploy directory has.
        ours: files of the deploy directory that deploys wrote, relative to it. In a bound directory, other files are
            data. None where no files are deployed.
        staged: path of a staged file -> its SHA-256, which this run calculated already.
    """

    def __init__(
        self,
        cache: t.Mapping[str, t.Sequence[t.Any]] | None = None,
        external: t.Mapping[str, Piece] | None = None,
        place: t.Callable[[str], str] = str,
        skip: t.Container[str] = (),
        ours: t.Container[str] | None = None,
        staged: t.Mapping[str, str] | None = None,
    ) -> None:
        self._known = dict(cache or {})
        self._external = dict(external or {})
        self._place = place
        self._skip = skip
        self._ours = ours
        self._staged = dict(staged or {})
        # Several services often bind one directory.
        self._read: dict[str, Piece | None] = {}
        self.cache: dict[str, list[t.Any]] = {}

    def content(
        self, service: Service, values: t.Mapping[str, str], base: str, written: t.Collection[str] = ()
    ) -> Content:
        """The present digests of ``service``.

        Args:
            values: the variables for ``environment`` secrets and configs.
            base: the deploy directory.
            written: directories that containers of the stack can write to, without symbolic links.
        """
        files = {f"{ref.collection}/{ref.name}": self._ref(ref, values) for ref in service.files}
        code = {}
        for rule in service.watch:
            if rule.get("action") in _RESTART_ACTIONS and rule.get("path"):
                path = short_syntax.absolute(str(rule["path"]), base)
                code[path] = self.tree(path, Ignore(rule.get("ignore") or ()))
        bound, unread = {}, []
        for bind in bound_files.configuration(service, base, written):
            if not bind.read_only and self._is_data(bind.source):
                continue
            if bind.source not in self._read:
                self._read[bind.source] = self._bound(bind.source, base)
            piece = self._read[bind.source]
            if piece is not None and not bind.read_only and piece.digest == _NOTHING:
                continue
            if piece is not None:
                bound[bind.source] = piece
            elif bound_files.belongs(bind.source, base) and os.path.isdir(self._place(bind.source)):
                unread.append(bind.source)
        return Content(
            {key: piece for key, piece in files.items() if piece is not None},
            code,
            bound,
            self.context(service.build) if service.build is not None else None,
            tuple(unread),
        )

    def _is_data(self, source: str) -> bool:
        """Whether no deploy writes the content of a writable source. Unknown, thus False, without deployed files."""
        if self._ours is None:
            return True
        path = self._place(source)
        while path != os.path.dirname(path) and path not in self._skip:
            path = os.path.dirname(path)
        return path in self._skip

    def _bound(self, source: str, base: str) -> Piece | None:
        """The digest of a bound file, or of the stack's files in a bound directory; modes and times do not count."""
        top = self._place(source)
        inside = bound_files.belongs(source, base)
        if os.path.isdir(top) and not inside:
            return None  # a directory outside of the stack holds data
        prefix = os.path.relpath(realpath(source), realpath(base))

        def ours(name: str) -> bool:
            # All staged files belong to the stack: files that only the deploy directory has are skipped.
            return self._ours is None or top != source or os.path.normpath(f"{prefix}/{name}") in self._ours

        found = bound_files.read(top, self._skip, ours)
        if found is None:
            return None
        total, newest = hashlib.sha256(), 0.0
        for each in found:
            path = os.path.join(source, each.name) if each.name else source
            newest = max(newest, each.status.st_ctime if top == source else self._since(path, each.path, each.status))
            total.update(f"{each.name}\0{self._file(each.path, each.status)}\0".encode(*_BYTES))
        single = len(found) == 1 and not found[0].name
        return Piece(total.hexdigest(), newest, "config_changed" if single else "code_bind_changed")

    def context(self, build: t.Mapping[str, t.Any]) -> Piece | None:
        """The digest of a build: context, Dockerfile and arguments; None where the context is not on this host."""
        context = str(build.get("context") or "")
        if "://" in context or not os.path.isdir(self._place(context)):
            return None
        named = str(build.get("dockerfile") or "Dockerfile")
        dockerfile = os.path.normpath(os.path.join(context, named))
        lines: list[str] = []
        for place in (f"{dockerfile}.dockerignore", os.path.join(context, ".dockerignore")):
            try:
                with open(self._place(place), encoding="utf-8", errors="replace") as stream:
                    lines = stream.read().splitlines()
                break
            except OSError:
                continue
        tree = self.tree(context, Ignore(lines))
        pieces = [tree]
        if os.path.isfile(self._place(dockerfile)):
            # A build reads it even if .dockerignore excludes it.
            pieces.append(self.tree(dockerfile, Ignore(())))
        for other in sorted((build.get("additional_contexts") or {}).items()):
            if os.path.isdir(self._place(str(other[1]))):
                pieces.append(self.tree(str(other[1]), Ignore(())))
        how = {key: value for key, value in build.items() if key not in ("context", "tags", "cache_from", "cache_to")}
        text = json.dumps([how, [piece.digest for piece in pieces]], sort_keys=True, default=str)
        return Piece(hashlib.sha256(text.encode()).hexdigest(), max(piece.newest for piece in pieces))

    def tree(self, path: str, ignore: Ignore) -> Piece:
        """The digest of a file or of a directory: names, kinds, permissions, contents; times do not count."""
        total = hashlib.sha256()
        newest = 0.0
        top = self._place(path)
        for relative, place, info in _walk(top, ignore):
            if place in self._skip or os.path.basename(relative) == MARKER:
                continue
            newest = max(newest, info.st_ctime if top == path else self._since(path + place[len(top) :], place, info))
            total.update(f"{relative}\0{stat.S_IFMT(info.st_mode):o}\0{info.st_mode & 0o777:o}\0".encode(*_BYTES))
            if stat.S_ISLNK(info.st_mode):
                total.update(os.readlink(place).encode(*_BYTES))
            elif stat.S_ISREG(info.st_mode):
                total.update(self._file(place, info).encode())
        return Piece(total.hexdigest(), newest)

    def _since(self, path: str, place: str, info: os.stat_result) -> float:
        """When the content that is read at ``place`` reached ``path``, where it is deployed."""
        try:
            there = os.lstat(path)
        except OSError:
            return info.st_ctime
        same = there.st_mode == info.st_mode
        if same and stat.S_ISREG(info.st_mode):
            same = there.st_size == info.st_size and self._file(path, there) == self._file(place, info)
        return there.st_ctime if same else info.st_ctime

    def _file(self, path: str, info: os.stat_result) -> str:
        if path in self._staged:
            return self._staged[path]
        mark = [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
        known = self.cache.get(path) or self._known.get(path)
        digest = str(known[4]) if known is not None and list(known[:4]) == mark else _file_digest(path)
        self.cache[path] = [*mark, digest]
        return digest

    def _ref(self, ref: FileRef, values: t.Mapping[str, str]) -> Piece | None:
        if ref.kind == "external":
            return self._external.get(ref.value)
        if ref.kind == "file":
            return self.tree(ref.value, Ignore(())) if os.path.exists(self._place(ref.value)) else None
        text = ref.value if ref.kind == "content" else values.get(ref.value, "")
        return Piece(hashlib.sha256(text.encode(*_BYTES)).hexdigest(), 0.0)


_BYTES = ("utf-8", "surrogateescape")


def _walk(path: str, ignore: Ignore) -> t.Iterator[tuple[str, str, os.stat_result]]:
    try:
        info = os.stat(path)  # the path itself may be a link, such as current -> releases/7; links below it stay links
    except OSError:
        return
    if not stat.S_ISDIR(info.st_mode):
        yield "", path, info
        return
    waiting = [("", path)]
    while waiting:
        prefix, folder = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        for entry in entries:
            relative = prefix + entry.name
            out = ignore(relative)
            try:
                info = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # it was removed in the meantime
            is_folder = stat.S_ISDIR(info.st_mode)
            if is_folder and (not out or ignore.takes_back):
                waiting.append((relative + "/", entry.path))
            if not out:
                yield relative, entry.path, info


def _file_digest(path: str) -> str:
    made = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            while True:
                block = stream.read(_BLOCK)
                if not block:
                    return made.hexdigest()
                made.update(block)
    except OSError:
        return "unreadable"
