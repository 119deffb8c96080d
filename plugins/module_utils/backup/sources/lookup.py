# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The containers and images of a stack's sources."""

from __future__ import annotations

import secrets
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.facts import Image
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine
    from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container


def stack_containers(engine: Engine, stack: str) -> list[Container]:
    """The containers of the stack on this host, of a compose project or on a Swarm. Raises :class:`SourceError`."""
    from ansible_collections.onebox.stack.plugins.module_utils.engine.project_containers import current

    return current(_containers(engine, project=stack))


def _containers(engine: Engine, **which: t.Any) -> list[Container]:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        return engine.containers(**which)
    except EngineError as error:
        raise SourceError(str(error)) from error


def image(engine: Engine, identity: str) -> dict[str, t.Any] | None:
    """The engine's description of an image, None when it does not exist. Raises :class:`SourceError`."""
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        return engine.image(identity)
    except EngineError as error:
        raise SourceError(str(error)) from error


def find_container(engine: Engine, stack: str, spec: SourceSpec) -> Container:
    """The running container of a source. Raises :class:`SourceError` with the problem."""
    if spec.container:
        found = _containers(engine, names=[spec.container])
    else:
        found = [row for row in stack_containers(engine, stack) if row.service == spec.service]
    what = spec.where if spec.container else f"{spec.where} of stack {stack}"
    if not found:
        elsewhere = _elsewhere(engine, stack, spec)
        if elsewhere:
            raise SourceError(f"source {spec.name}: {what} {elsewhere}. Data is backed up on the node that has it")
        raise SourceError(f"source {spec.name}: {what} has no container; start the stack or correct the source")
    running = [row for row in found if row.status == "running"]
    if not running:
        raise SourceError(f"source {spec.name}: {what} is {found[0].status}, not running; start it and run again")
    return running[0]


def _elsewhere(engine: Engine, stack: str, spec: SourceSpec) -> str:
    """Where in a Swarm the service of a source runs, "" if that is not known."""
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
    from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import whereabouts

    try:
        return whereabouts(engine, stack, spec.service) if spec.service else ""
    except EngineError as error:
        raise SourceError(str(error)) from error


def image_facts(engine: Engine, container: Container) -> Image:
    """The image to run again: its id, name and registry digests."""
    found = image(engine, container.image_id) or {}
    return Image(container.image_ref, container.image_id, sorted(found.get("RepoDigests") or ()))


def as_image(recorded: Image | t.Mapping[str, t.Any]) -> Image:
    """The image in the facts of a source, from a capture or a manifest."""
    return recorded if isinstance(recorded, Image) else Image.from_dict(recorded)


def image_of(cli: Cli, recorded: Image | t.Mapping[str, t.Any]) -> str:
    """The image that a source was captured from: by id when it exists here, else by a digest the engine can pull.

    The same name is not enough: a dump of Redis 8 does not load on Redis 7 or Valkey.

    Args:
        recorded: the image in the facts of a manifest.
    """
    wanted = as_image(recorded)
    if image(cli.engine, wanted.image_id):
        return wanted.image_id
    for digest in wanted.digests:
        if cli.call("pull", "--quiet", digest, check=False, timeout=900).rc == 0:
            return digest
    raise SourceError(
        f"the image {wanted.image} ({wanted.image_id[:19]}) does not exist here and cannot be pulled by its digest. "
        "Load it into the engine, or back up the stack as it runs now"
    )


def throwaway_name(stack: str, source: str) -> str:
    """A name that no container has."""
    return f"onebox-rehearsal-{stack}-{source}-{secrets.token_hex(3)}".lower()


def password(container: Container, spec: SourceSpec, usual: str) -> str:
    if spec.password_file:
        try:
            with open(spec.password_file, encoding="utf-8") as file:
                return file.read().rstrip("\r\n")
        except OSError as error:
            raise SourceError(
                f"source {spec.name}: password_file {spec.password_file} cannot be read: {error.strerror}"
            ) from error
    if spec.password_variable:
        value = variable(container, spec.password_variable)
        if not value:
            raise SourceError(
                f"source {spec.name}: {container.name} has no variable {spec.password_variable} (password_variable)"
            )
        return value
    return variable(container, usual)


def variable(container: Container, name: str) -> str:
    """The value of a variable in a container, "" when it is not set."""
    for line in container.env:
        key, unused, value = line.partition("=")
        if key == name:
            return value
    return ""
