# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the sources of binds: what comes with the stack, what is its data, and what is missing on the host."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import Bind
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import needs, owner, paths
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath

_ABSOLUTE = "write an absolute path, such as ${DATA_DIR:?}"

Images = t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]]


@dataclass(frozen=True)
class Missing:
    """A directory that a bind names and that does not exist. ``inside``: it is below the deploy directory."""

    path: str
    inside: bool
    who: owner.Owner
    service: str

    @property
    def mode(self) -> int:
        """Its mode. Without a known owner, any user of a container may be the one."""
        return int(self.who.mode or "0750", 8) if self.who.user else 0o755


def problems(
    service: Service, source: Source, derive: bool, images: Images, written: t.Collection[str] = ()
) -> t.Iterator[Problem]:
    """Problems with the bind sources of one service.

    A relative source below the deploy directory is allowed: it comes with the stack, or it is data that a deploy never
    removes.

    Args:
        derive: missing directories are created, so they are not a problem.
        images: reference -> the image, None when it is not on this host.
        written: directories that a deploy creates below the deploy directory, because another service writes to them.
    """
    for bind in service.binds:
        where = f"service {service.name}, volume {bind.source}:{bind.target}"
        inside = _inside(bind.source, source)
        if bind.relative and not inside:
            yield Problem("relative_source", where, _leads_out(bind, source.project_dir))
            continue
        if bind.relative and not bind.read_only and _is_deploy_dir(bind.source, source):
            yield Problem("relative_source", where, _whole(source.project_dir))
        elif inside and not bind.relative and not bind.read_only:
            yield Problem(
                "source_in_deploy_dir",
                where,
                f"is data in the deploy directory {source.project_dir}, which every deploy rewrites. Move it "
                "elsewhere, or mount it read-only if it is part of the stack",
            )
        if os.path.exists(source.place(bind.source)):
            continue
        if bind.relative and bind.source in written:
            continue
        missing = _directory(bind, service, inside, images)
        if missing is None or not (derive or (inside and bind.relative)):
            yield _absent(bind, where, inside, missing)


def missing_directories(model: Model, source: Source, derive: bool, images: Images) -> list[Missing]:
    """Directories that a deploy creates, once each: data below the deploy directory, and with ``derive`` all others."""
    found: dict[str, Missing] = {}
    for service in model.services.values():
        for bind in service.binds:
            if NOT_SET in bind.source or os.path.exists(source.place(bind.source)):
                continue
            inside = _inside(bind.source, source)
            missing = _directory(bind, service, inside, images)
            if missing is not None and (derive or (inside and bind.relative)):
                known = found.get(bind.source)
                if known is None or not known.who.user:
                    found[bind.source] = missing
    return [found[path] for path in sorted(found)]


def _inside(path: str, source: Source) -> bool:
    deploy_dir, real = realpath(source.project_dir), realpath(path)
    return real == deploy_dir or real.startswith(deploy_dir + os.sep)


def _is_deploy_dir(path: str, source: Source) -> bool:
    return realpath(path) == realpath(source.project_dir)


def _directory(bind: Bind, service: Service, inside: bool, images: Images) -> Missing | None:
    """The directory that ``bind`` wants; None where it wants a file, or something of the system or of the source."""
    if paths.looks_like_file(bind.written) or paths.looks_like_file(bind.source) or paths.of_the_host(bind.source):
        return None
    if inside and (bind.read_only or not bind.relative):
        return None
    return Missing(bind.source, inside, owner.of_service(service, images.get(service.image)), service.name)


def _absent(bind: Bind, where: str, inside: bool, missing: Missing | None) -> Problem:
    code, need = "no_source", {}
    if inside:
        code, advice = "not_shipped", "Add it to the files of the stack"
        if bind.read_only and not paths.looks_like_file(bind.written):
            advice += f". If it is data, {_ABSOLUTE}/{os.path.basename(bind.source)} with DATA_DIR in compose_stack_env"
    elif missing is not None:
        advice = "Declare it in data_dirs_directories, or create it"
        need = needs.directory(missing.path, missing.who, missing.service)
    elif paths.of_the_host(bind.source):
        advice = "It belongs to the system: install or start what creates it"
    else:
        advice = "By its name it is a file: put it there, for example with compose_stack_content"
    return Problem(
        code,
        where,
        f"{bind.source} does not exist, and engines would create an empty directory owned by root. {advice}",
        need,
    )


def _leads_out(bind: Bind, directory: str) -> str:
    # Docker Compose prints only the absolute path, which the user did not write.
    written = os.path.relpath(bind.source, directory)
    written = written if written.startswith(("./", "../")) or written in (".", "..") else f"./{written}"
    return (
        f"{written!r} leads out of the deploy directory {directory}, so it is a different path on each host. For data, "
        f"{_ABSOLUTE}/… with DATA_DIR in compose_stack_env"
    )


def _whole(directory: str) -> str:
    return (
        f"'.' is the whole deploy directory {directory}: the container could change the compose file and read the "
        "environment file. Add :ro, or mount the one folder below it that the service needs"
    )
