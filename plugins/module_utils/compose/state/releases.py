# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last sets of files and images with which a stack was well, kept so that it can be brought back.

A set is the declaration and the images together: bringing back one without the other has never run. Images get a name
of their own, so that a prune does not take them for rubbish.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import changes as file_changes
from ansible_collections.onebox.stack.plugins.module_utils.compose.files import move_in
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import deployed_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.beneath import open_directory
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


@dataclass(frozen=True)
class Release:
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

    def same_as(self, other: Release) -> bool:
        """Whether bringing back one or the other makes no difference."""
        mine = {name: row["id"] for name, row in self.images.items()}
        theirs = {name: row["id"] for name, row in other.images.items()}
        return mine == theirs and self.files == other.files

    @property
    def brief(self) -> dict[str, t.Any]:
        """What modules return of it."""
        return {"number": self.number, "at": self.at, "revision": self.revision}


class Releases:
    """The sets of one stack.

    Args:
        folder: the stack's state directory.
        project: its name.
    """

    def __init__(self, folder: str, project: str) -> None:
        self._state = folder
        self._folder = os.path.join(folder, "good")
        self._project = project

    def sets(self) -> list[Release]:
        """All that are whole, oldest first."""
        found = []
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            if not name.isdigit():
                continue  # written whole, and the power went before it had its place
            try:
                with open(os.path.join(self._folder, name, "set.json"), encoding="utf-8") as stream:
                    found.append(Release(**json.load(stream)))
            except (OSError, ValueError, TypeError):
                continue  # half written when the power went: it was never a set
        return sorted(found, key=lambda each: each.number)

    def digests(self, source: Source, model: Model) -> dict[str, str]:
        """:func:`digests` of the deploy directory."""
        return digests(source, model, deployed_files.load(self._state).deployed_to(source.project_dir))

    def describe(
        self,
        model: Model,
        containers: t.Sequence[Container],
        judged: t.Mapping[str, str],
        *,
        at: str = "",
        revision: str = "",
        tool: str = "",
    ) -> Release:
        """What runs now, as the set it would be.

        Args:
            judged: :func:`digests` of the files it was made from.
        """
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
        return Release(number, at, revision, images, dict(judged), tool)

    def commit(self, good: Release, project_dir: str, tagger: Tagger, keep: int) -> Release:
        """Keep ``good`` unless it is no different from the newest, and forget all but ``keep``.

        Raises:
            FilesDiffer: a file in the deploy directory is not what was judged any more. Nothing is kept.
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
            differing = _copy_files(good, project_dir, os.path.join(half, "files"))
            if differing:
                shutil.rmtree(half, ignore_errors=True)
                self._untag(good, tagger)
                raise FilesDiffer(
                    f"no release of stack {self._project} was kept: somebody changed {', '.join(differing)} in "
                    f"{project_dir} while the deploy ran. Deploy again."
                )
            text = json.dumps(asdict(good), indent=1) + "\n"
            files.replace(os.path.join(half, "set.json"), text.encode(), 0o600, durable=True)
            os.rename(half, place)
        except OSError as error:
            raise ComposeError(f"cannot keep the set that is well in {place}: {error.strerror}") from error
        self.forget([*known, good][: -max(keep, 1)], tagger)
        return good

    def forget(self, sets: t.Iterable[Release], tagger: Tagger) -> None:
        """Remove sets and the names of their images."""
        for each in sets:
            # Names first: a run that is killed in between knows them from the set.
            self._untag(each, tagger)
            shutil.rmtree(os.path.join(self._folder, str(each.number)), ignore_errors=True)

    def _untag(self, each: Release, tagger: Tagger) -> None:
        for row in each.images.values():
            tagger.untag(row["kept_as"])

    def restore(
        self,
        good: Release,
        project_dir: str,
        tagger: Tagger,
        looked_for: t.Sequence[str] = (),
        *,
        declared: t.Collection[str] = (),
        at: str = "now",
    ) -> list[str]:
        """Let the images' names mean what they meant, and put the files of a set back.

        A file that somebody edited is copied to the state folder before it is overwritten.

        Args:
            looked_for: files that count when they are there; one the set has not gets ``.not-well`` behind its name.
            declared: files that decide what the stack is now. One that the set has not and a deploy wrote is removed.
            at: the time, for the name of the copies.

        Returns:
            A warning for each file that was copied.

        Raises:
            ComposeError: an image is gone, and no file was touched; or a file cannot be written.
        """
        for row in good.images.values():
            tagger.tag(row["id"], row["reference"])
        warnings = self._put_back(good, project_dir, set(declared) - set(good.files) - set(looked_for), at)
        for name in looked_for:
            later = os.path.join(project_dir, name)
            if name not in good.files and os.path.isfile(later):
                try:
                    with open_directory(project_dir) as directory:
                        directory.rename(name, directory, f"{name}.not-well")
                except OSError as error:
                    raise ComposeError(f"cannot put {later} aside: {error.strerror}") from error
        return warnings

    def _put_back(self, good: Release, project_dir: str, superfluous: t.Collection[str], at: str) -> list[str]:
        place = os.path.join(self._folder, str(good.number), "files")
        items, problems = file_changes.read_tree(place)
        # The directories of a set are private; those of the stack keep the modes they have.
        items = {
            name: dataclasses.replace(item, mode=0o755) if item.kind == file_changes.FOLDER else item
            for name, item in items.items()
            if item.kind != file_changes.FOLDER or not os.path.isdir(os.path.join(project_dir, name))
        }
        deployed = deployed_files.load(self._state)
        counted = {
            name: seen for name, seen in deployed.of(project_dir).items() if name in items or name in superfluous
        }
        target = file_changes.Target(project_dir, items, place, prune=True, atomic=(".env",))
        narrow = deployed_files.DeployedFiles({project_dir: counted}, dict(deployed.folders))
        found = file_changes.compare(target, narrow)
        problems += found.problems
        if problems:
            why = "; ".join(f"{each.where} {each.message}" for each in problems)
            raise ComposeError(f"the files of {good.at} cannot be put back: {why}")
        if not found.changes:
            return []
        deployed = move_in.planned(found, deployed)
        deployed_files.save(self._state, deployed)
        saved = deployed_files.SavedCopies(self._state, at)
        copies = move_in.save_copies(found, saved)
        deployed_files.save(self._state, move_in.carry_out(found, deployed))
        return [
            f"{path} was not what a deploy wrote last, and was overwritten. The copy {copy} has what it was."
            for path, copy in copies.items()
        ]


class FilesDiffer(ComposeError):
    """The files in the deploy directory are not those that were judged."""


def digests(source: Source, model: Model, ours: t.Collection[str] | None) -> dict[str, str]:
    """The files that decide what the stack is: path relative to the deploy directory -> SHA-256.

    Args:
        ours: see :func:`declared_files`.

    Raises:
        ComposeError: one cannot be read.
    """
    return {name: _digest(path) for name, path in declared_files(source, model, ours).items()}


def declared_files(source: Source, model: Model, ours: t.Collection[str] | None) -> dict[str, str]:
    """Files in the deploy directory that decide what the stack is; what is only built from, not.

    Args:
        ours: what deploys wrote. Other files in a mounted directory are data. None where nobody deploys files.

    Returns:
        Path relative to the deploy directory -> where it is read.
    """
    places = [*source.files, source.env_file]
    for service in model.services.values():
        places += [path for path, unused in service.env_files]
        places += [ref.value for ref in service.files if ref.kind == "file"]
        places += [bind.source for bind in service.binds if bind.read_only]
    found = {}
    for place in filter(None, places):
        # A directory that holds the deploy directory, such as a whole host, is not part of the stack.
        relative = _below(source, place)
        if relative is None:
            continue
        read_at = source.place(place)
        if os.path.isfile(read_at):
            found[relative] = read_at
        elif ours is None:
            found.update(_files_below(source, read_at))
        else:
            # Not by a look into the directory: a library of media has more files of others than anybody wants to list.
            prefix = "" if relative == "." else f"{relative}/"
            names = (name for name in ours if name.startswith(prefix))
            paths = {name: os.path.join(read_at, name[len(prefix) :]) for name in names}
            found.update({name: path for name, path in paths.items() if os.path.isfile(path)})
    return dict(sorted(found.items()))


def _below(source: Source, place: str) -> str | None:
    """``place`` relative to the deploy directory, None where it is not below it. Links on the way are resolved."""
    if place in source.instead.values():
        place = os.path.realpath(source.named(place))
    else:
        place = os.path.realpath(source.place(place))
    for base in filter(None, (source.staged, source.project_dir)):
        relative = os.path.relpath(place, os.path.realpath(base))
        if relative != ".." and not relative.startswith("../"):
            return relative
    return None


def _files_below(source: Source, directory: str) -> t.Iterator[tuple[str, str]]:
    for folder, _folders, names in os.walk(directory):
        base = _below(source, folder)
        for name in names:
            path = os.path.join(folder, name)
            # Only a link can lead out, and to find out where a path leads costs a call for each of its parts.
            plain = None if base is None else os.path.normpath(os.path.join(base, name))
            relative = _below(source, path) if os.path.islink(path) else plain
            if relative is not None and os.path.isfile(path):
                yield relative, path


def _digest(path: str) -> str:
    try:
        return files.digest(path)[0]
    except OSError as error:
        raise ComposeError(f"cannot read {path}: {error.strerror}") from error


def _reference(container: Container, declared: str) -> str:
    # The engine's own spelling: Podman would name a short reference after this host instead of the registry.
    known = container.image_ref
    return declared if not known or known.startswith("sha256:") else known


def _copy_files(good: Release, project_dir: str, folder: str) -> list[str]:
    """Copy the files of a set. Returns those that are not what was judged. Raises :class:`OSError`."""
    differing = []
    for path, judged in good.files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        try:
            shutil.copy(os.path.join(project_dir, path), target)  # with its mode: some are secret
        except FileNotFoundError:
            differing.append(path)
            continue
        if _digest(target) != judged:
            differing.append(path)
    return differing
