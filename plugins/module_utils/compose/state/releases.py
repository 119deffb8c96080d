# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last sets of files and images with which a stack was well, kept so that it can be brought back.

A set is the declaration and the images together: bringing back one without the other has never run. Images get a name
of their own, so that a prune does not take them for rubbish.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


@dataclass(frozen=True)
class GoodSet:
    """One set.

    Attributes:
        number: grows by one.
        at: when it was found to be well.
        revision: of the source it was deployed from, as it was given.
        images: service -> ``{"id": sha256:…, "reference": as the compose file has it, "kept_as": our name for it}``.
        files: path relative to the deploy directory -> SHA-256.
        tool: the compose tool and its version.
    """

    number: int
    at: str
    revision: str
    images: dict[str, dict[str, str]]
    files: dict[str, str]
    tool: str

    def same_as(self, other: GoodSet) -> bool:
        """Whether bringing back one or the other makes no difference."""
        mine = {name: row["id"] for name, row in self.images.items()}
        theirs = {name: row["id"] for name, row in other.images.items()}
        return mine == theirs and self.files == other.files

    @property
    def brief(self) -> dict[str, t.Any]:
        """What modules return of it."""
        return {"number": self.number, "at": self.at, "revision": self.revision}


class LastGood:
    """The sets of one stack.

    Args:
        folder: the stack's state directory.
        project: its name.
    """

    def __init__(self, folder: str, project: str) -> None:
        self._folder = os.path.join(folder, "good")
        self._project = project

    def sets(self) -> list[GoodSet]:
        """All that are whole, oldest first."""
        found = []
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            if not name.isdigit():
                continue  # written whole, and the power went before it had its place
            try:
                with open(os.path.join(self._folder, name, "set.json"), encoding="utf-8") as stream:
                    found.append(GoodSet(**json.load(stream)))
            except (OSError, ValueError, TypeError):
                continue  # half written when the power went: it was never a set
        return sorted(found, key=lambda each: each.number)

    def describe(
        self, source: Source, model: Model, containers: t.Sequence[Container], at: str, revision: str, tool: str
    ) -> GoodSet:
        """What runs now, as the set it would be."""
        number = max([each.number for each in self.sets()], default=0) + 1
        images = {}
        for container in containers:
            service = model.services.get(container.service)
            if service is not None:
                images[container.service] = {
                    "id": container.image_id,
                    "reference": _reference(container, service.image),
                    "kept_as": f"localhost/onebox/{self._project}/{container.service.lower()}:good-{number}",
                }
        digests = {path: _digest(os.path.join(source.project_dir, path)) for path in declared_files(source, model)}
        return GoodSet(number, at, revision, images, digests, tool)

    def commit(self, good: GoodSet, project_dir: str, tagger: Tagger, keep: int) -> GoodSet:
        """Keep ``good`` unless it is no different from the newest, and forget all but ``keep``.

        Raises:
            ComposeError: it cannot be written, or an image not be named.
        """
        known = self.sets()
        if known and known[-1].same_as(good):
            self.forget(known[: -max(keep, 1)], tagger)  # a run may have been killed before it did
            return known[-1]
        for row in good.images.values():
            tagger.tag(row["id"], row["kept_as"])
        place = os.path.join(self._folder, str(good.number))
        half = place + ".new"
        try:
            shutil.rmtree(half, ignore_errors=True)
            os.makedirs(os.path.join(half, "files"), mode=0o700)
            for path in good.files:
                target = os.path.join(half, "files", path)
                os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
                shutil.copy(os.path.join(project_dir, path), target)  # with its mode: some are secret
            text = json.dumps(asdict(good), indent=1) + "\n"
            files.replace(os.path.join(half, "set.json"), text.encode(), 0o600, durable=True)
            os.rename(half, place)
        except OSError as error:
            raise ComposeError(f"cannot keep the set that is well in {place}: {error.strerror}") from error
        self.forget([*known, good][: -max(keep, 1)], tagger)
        return good

    def forget(self, sets: t.Iterable[GoodSet], tagger: Tagger) -> None:
        """Remove sets and the names of their images."""
        for each in sets:
            # Names first: a run that is killed in between knows them from the set.
            for row in each.images.values():
                tagger.untag(row["kept_as"])
            shutil.rmtree(os.path.join(self._folder, str(each.number)), ignore_errors=True)

    def restore(self, good: GoodSet, project_dir: str, tagger: Tagger, looked_for: t.Sequence[str] = ()) -> None:
        """Let the images' names mean what they meant, and put the files of a set back.

        Args:
            looked_for: files that count when they are there; one the set has not gets ``.not-well`` behind its name.

        Raises:
            ComposeError: an image is gone, and no file was touched; or a file cannot be written.
        """
        for row in good.images.values():
            tagger.tag(row["id"], row["reference"])
        place = os.path.join(self._folder, str(good.number), "files")
        for path in good.files:
            _put_back(os.path.join(place, path), os.path.join(project_dir, path))
        for name in looked_for:
            later = os.path.join(project_dir, name)
            if name not in good.files and os.path.isfile(later):
                try:
                    os.replace(later, later + ".not-well")
                except OSError as error:
                    raise ComposeError(f"cannot put {later} aside: {error.strerror}") from error


def declared_files(source: Source, model: Model) -> list[str]:
    """Files in the deploy directory that decide what the stack is, relative to it; what is only built from, not."""
    places = [*source.files, source.env_file]
    for service in model.services.values():
        places += [path for path, unused in service.env_files]
        places += [ref.value for ref in service.files if ref.kind == "file"]
        places += [bind.source for bind in service.binds if bind.read_only]
    base = os.path.realpath(source.project_dir)
    found = set()
    for place in filter(None, places):
        for path in _files_below(place):
            relative = os.path.relpath(os.path.realpath(path), base)
            if not relative.startswith(".."):
                found.add(relative)
    return sorted(found)


def _files_below(place: str) -> t.Iterator[str]:
    if os.path.isfile(place):
        yield place
    for folder, _unused, names in os.walk(place):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield path


def _digest(path: str) -> str:
    try:
        return files.digest(path)[0]
    except OSError as error:
        raise ComposeError(f"cannot read {path}: {error.strerror}") from error


def _reference(container: Container, declared: str) -> str:
    # The engine's own spelling: Podman would name a short reference after this host instead of the registry.
    known = container.image_ref
    return declared if not known or known.startswith("sha256:") else known


def _put_back(source: str, target: str) -> None:
    try:
        with open(source, "rb") as stream:
            wanted = stream.read()
        mode = stat.S_IMODE(os.stat(source).st_mode)
        if os.path.exists(target):
            with open(target, "rb") as stream:
                if stream.read() == wanted:
                    return
            # In place: a container may have this very file mounted.
            with open(target, "r+b") as stream:
                stream.write(wanted)
                stream.truncate()
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(wanted)
        os.chmod(target, mode)
    except OSError as error:
        raise ComposeError(f"cannot put {target} back: {error.strerror}") from error
