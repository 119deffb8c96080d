# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases of a stack: the last healthy states, kept so that they can be restored.

A release has both the files and the images: one without the other never ran. Images get a tag of their own, so that a
prune does not remove them.
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
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


@dataclass(frozen=True)
class Release:
    """One release.

    Attributes:
        number: one more than that of the release before.
        at: when it was found to be healthy.
        revision: of the source it was deployed from, as the user set it.
        images: service -> ``{"id": sha256:…, "reference": as the compose file has it, "kept_as": our tag for it}``.
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
        """Whether both have the same files and images."""
        mine = {name: row["id"] for name, row in self.images.items()}
        theirs = {name: row["id"] for name, row in other.images.items()}
        return mine == theirs and self.files == other.files

    def runs(self, judged: t.Mapping[str, str], containers: t.Sequence[Container]) -> bool:
        """Whether a stack has the files of the release, and the containers of its services have the images.

        Args:
            judged: :func:`digests` of the files of the stack.
        """
        images = {name: row["id"] for name, row in self.images.items()}
        return self.files == judged and all(images.get(row.service, row.image_id) == row.image_id for row in containers)

    @property
    def brief(self) -> dict[str, t.Any]:
        """The part that modules return."""
        return {"number": self.number, "at": self.at, "revision": self.revision}


class Releases:
    """The releases of one stack.

    Args:
        folder: the stack's state directory.
        project: its name.
    """

    def __init__(self, folder: str, project: str) -> None:
        self._state = folder
        self._folder = os.path.join(folder, "good")
        self._project = project

    def sets(self) -> list[Release]:
        """All complete releases, oldest first."""
        found = []
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            if not name.isdigit():
                continue  # complete, but the power failed before it was renamed
            try:
                with open(os.path.join(self._folder, name, "set.json"), encoding="utf-8") as stream:
                    found.append(Release(**json.load(stream)))
            except (OSError, ValueError, TypeError):
                continue  # incomplete, because the power failed: it was never a release
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
        """The running stack as a release.

        Args:
            judged: :func:`digests` of the files it was deployed from.
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

    def commit(self, release: Release, project_dir: str, tagger: Tagger, keep: int) -> Release:
        """Keep a release unless it equals the newest one, and remove all but the last ``keep``.

        Raises:
            FilesDiffer: a file in the deploy directory changed since it was checked. The release is not kept.
            ComposeError: it cannot be written, or an image cannot be tagged.
        """
        known = self.sets()
        if known and known[-1].same_as(release):
            self.forget(known[: -max(keep, 1)], tagger)  # a killed run may have left them
            return known[-1]
        for row in release.images.values():
            tagger.tag(row["id"], row["kept_as"])
        place = os.path.join(self._folder, str(release.number))
        half = place + ".new"
        try:
            shutil.rmtree(half, ignore_errors=True)
            os.makedirs(os.path.join(half, "files"), mode=0o700)
            differing = _copy_files(release, project_dir, os.path.join(half, "files"))
            if differing:
                shutil.rmtree(half, ignore_errors=True)
                self._untag(release, tagger)
                raise FilesDiffer(
                    f"stack {self._project}: the release was not kept, because {', '.join(differing)} in "
                    f"{project_dir} changed while the deploy ran. Deploy again."
                )
            text = json.dumps(asdict(release), indent=1) + "\n"
            files.replace(os.path.join(half, "set.json"), text.encode(), 0o600, durable=True)
            os.rename(half, place)
        except OSError as error:
            raise ComposeError(f"cannot save the release to {place}: {error.strerror}") from error
        self.forget([*known, release][: -max(keep, 1)], tagger)
        return release

    def forget(self, sets: t.Iterable[Release], tagger: Tagger) -> None:
        """Remove releases and the tags of their images."""
        for each in sets:
            # Tags first: after a kill in between, the next run knows them from the release.
            self._untag(each, tagger)
            shutil.rmtree(os.path.join(self._folder, str(each.number)), ignore_errors=True)

    def _untag(self, each: Release, tagger: Tagger) -> None:
        for row in each.images.values():
            tagger.untag(row["kept_as"])

    def restore(
        self,
        release: Release,
        project_dir: str,
        tagger: Tagger,
        searched: t.Sequence[str] = (),
        *,
        declared: t.Collection[str] = (),
        at: str = "now",
    ) -> list[str]:
        """Restore the tags of the images and the files of a release.

        A file that was edited is copied to the state folder before it is overwritten.

        Args:
            searched: names that a compose tool reads where they exist. A file that is not in the release
                gets the ending ``.not-well``.
            declared: files that define the stack now. A file of a deploy that the release does not have is
                removed.
            at: the time, for the name of the copies.

        Returns:
            A warning for each file that was copied.

        Raises:
            ComposeError: an image is gone, and no file was changed; or a file cannot be written.
        """
        for row in release.images.values():
            tagger.tag(row["id"], row["reference"])
        warnings = self._restore_files(release, project_dir, set(declared) - set(release.files) - set(searched), at)
        for name in searched:
            later = os.path.join(project_dir, name)
            if name not in release.files and os.path.isfile(later):
                try:
                    with open_directory(project_dir) as directory:
                        directory.rename(name, directory, f"{name}.not-well")
                except OSError as error:
                    raise ComposeError(f"cannot rename {later}: {error.strerror}") from error
        return warnings

    def _restore_files(self, release: Release, project_dir: str, superfluous: t.Collection[str], at: str) -> list[str]:
        place = os.path.join(self._folder, str(release.number), "files")
        items, problems = file_changes.read_tree(place)
        # The directories of a release are private. Those of the stack keep their modes.
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
            raise ComposeError(f"the files of the release of {release.at} cannot be restored: {why}")
        if not found.changes:
            return []
        deployed = move_in.planned(found, deployed)
        deployed_files.save(self._state, deployed)
        saved = deployed_files.SavedCopies(self._state, at)
        copies = move_in.save_copies(found, saved)
        deployed_files.save(self._state, move_in.carry_out(found, deployed))
        return [
            f"{path} was edited after the last deploy, and was overwritten. Its previous content is in {copy}."
            for path, copy in copies.items()
        ]


class FilesDiffer(ComposeError):
    """The files in the deploy directory changed since they were checked."""


def digests(source: Source, model: Model, ours: t.Collection[str] | None) -> dict[str, str]:
    """The files that define the stack: path relative to the deploy directory -> SHA-256.

    Args:
        ours: see :func:`declared_files`.

    Raises:
        ComposeError: one cannot be read.
    """
    return {name: _digest(path) for name, path in declared_files(source, model, ours).items()}


def declared_files(source: Source, model: Model, ours: t.Collection[str] | None) -> dict[str, str]:
    """Files in the deploy directory that decide what the stack is, without build inputs.

    Args:
        ours: the files of deploys. Other files in a mounted directory are data. None where no files are deployed.

    Returns:
        Path relative to the deploy directory -> the path where it is read.
    """
    places = [*source.files, source.env_file]
    for service in model.services.values():
        places += [path for path, unused in service.env_files]
        places += [ref.value for ref in service.files if ref.kind == "file"]
        # Of a writable source, the files that come with the stack, and no data.
        places += [bind.source for bind in service.binds if bind.read_only or (bind.relative and ours is not None)]
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
            # Without listing the directory: a media library has too many files of others.
            prefix = "" if relative == "." else f"{relative}/"
            names = (name for name in ours if name.startswith(prefix))
            paths = {name: os.path.join(read_at, name[len(prefix) :]) for name in names}
            found.update({name: path for name, path in paths.items() if os.path.isfile(path)})
    return dict(sorted(found.items()))


def _below(source: Source, place: str) -> str | None:
    """``place`` relative to the deploy directory, None where it is not below it. Links on the way are resolved."""
    place = realpath(source.named(place)) if place in source.instead.values() else realpath(source.place(place))
    for base in filter(None, (source.staged, source.project_dir)):
        relative = os.path.relpath(place, realpath(base))
        if relative != ".." and not relative.startswith("../"):
            return relative
    return None


def _files_below(source: Source, directory: str) -> t.Iterator[tuple[str, str]]:
    for folder, _folders, names in os.walk(directory):
        base = _below(source, folder)
        for name in names:
            path = os.path.join(folder, name)
            # Only a link can lead out, and resolving a path costs one call for each of its parts.
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
    # The spelling of the engine: Podman would complete a short reference with localhost instead of the registry.
    known = container.image_ref
    return declared if not known or known.startswith("sha256:") else known


def _copy_files(release: Release, project_dir: str, folder: str) -> list[str]:
    """Copy the files of a release. Returns those that changed since they were checked. Raises :class:`OSError`."""
    differing = []
    for path, judged in release.files.items():
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        try:
            shutil.copy(os.path.join(project_dir, path), target)  # with its mode, because some are secret
        except FileNotFoundError:
            differing.append(path)
            continue
        if _digest(target) != judged:
            differing.append(path)
    return differing
