# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the volume of a source: by the labels that compose sets, or by its declared name, never by a similar name."""

from __future__ import annotations

import os

from ansible_collections.onebox.stack.plugins.module_utils.backup.containers import Cli
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import SourceError
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.specs import SourceSpec
from ansible_collections.onebox.stack.plugins.module_utils.core import trees
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine import membership
from ansible_collections.onebox.stack.plugins.module_utils.engine.resources import Volume

KEY_LABEL = "com.docker.compose.volume"


def project_of(volume: Volume) -> str:
    """The compose project, or the stack on a Swarm, that created the volume; "" for none."""
    return membership.project_of(volume.labels)


def key_of(volume: Volume) -> str:
    """The name of the volume in the compose file of its project, "" for a volume of no project."""
    project = project_of(volume)
    if not project:
        return ""
    # podman-compose and a Swarm set no label for it. Without one, only compose's own form of the name counts.
    named = volume.name[len(project) + 1 :] if volume.name.startswith(f"{project}_") else ""
    return volume.labels.get(KEY_LABEL) or named


def existing(cli: Cli, stack: str, spec: SourceSpec) -> Volume | None:
    """The volume of a source, None when the engine has none.

    Raises:
        SourceError: it belongs to another project, there are several, or the engine does not answer.
    """
    if spec.volume_name:
        found = _known(cli, spec.volume_name)
        owner = project_of(found) if found else ""
        if owner and owner != stack:
            raise SourceError(
                f"source {spec.name}: the volume {spec.volume_name} belongs to the project {owner}, not to {stack}. "
                "Correct the source's option volume_name"
            )
        return found
    same = [row for row in _every(cli) if project_of(row) == stack and key_of(row) == spec.volume]
    if len(same) > 1:
        raise SourceError(
            f"source {spec.name}: project {stack} has several volumes {spec.volume}: "
            f"{', '.join(sorted(row.name for row in same))}. Name one with the option volume_name instead of volume"
        )
    return same[0] if same else None


def find(cli: Cli, stack: str, spec: SourceSpec) -> Volume:
    """The volume of a source.

    Raises:
        SourceError: as :func:`existing`, or there is none; the text names those that there are.
    """
    found = existing(cli, stack, spec)
    if found:
        return found
    if spec.volume_name:
        raise SourceError(
            f"source {spec.name}: {cli.engine.name} has no volume {spec.volume_name}. Correct the source's option "
            "volume_name, or deploy the stack"
        )
    elsewhere = _elsewhere(cli, stack, f"{stack}_{spec.volume}")
    if elsewhere:
        raise SourceError(
            f"source {spec.name}: project {stack} has no volume {spec.volume} on this host, {elsewhere}. Data is "
            "backed up on the node that has it"
        )
    every = _every(cli)
    own = sorted(key_of(row) or row.name for row in every if project_of(row) == stack)
    others = sorted(f"{row.name} of project {project_of(row)}" for row in every if key_of(row) == spec.volume)
    has = f"its volumes are {', '.join(own)}" if own else "it has none"
    more = f". Other projects have one: {', '.join(others)}" if others else ""
    raise SourceError(
        f"source {spec.name}: project {stack} has no volume {spec.volume} in {cli.engine.name}, {has}{more}. Correct "
        "the source's option volume, or deploy the stack"
    )


def create(cli: Cli, stack: str, spec: SourceSpec, recorded: str) -> Volume:
    """Create the volume of a source for a restore, as compose would.

    Args:
        recorded: the name in the set.

    Raises:
        SourceError: the engine refused, or has another volume of that name.
    """
    name = spec.volume_name or recorded
    other = _known(cli, name)
    if other:
        raise SourceError(
            f"source {spec.name}: the volume {name} of the set exists and is not volume {spec.volume} of project "
            f"{stack}. To restore into it, set the source's option volume_name to {name}"
        )
    words = ["--label", f"{membership.PROJECT_LABELS[0]}={stack}", "--label", f"{KEY_LABEL}={spec.volume}"]
    if cli.engine.name == "podman":
        words += ["--label", f"{membership.PROJECT_LABELS[1]}={stack}"]
    cli.call("volume", "create", *(words if spec.volume else ()), name)
    made = _known(cli, name)
    if made is None:
        raise SourceError(f"source {spec.name}: {cli.engine.name} created no volume {name}")
    return made


def directory(volume: Volume, spec: SourceSpec) -> str:
    """The directory of a volume on this host, without links.

    Raises:
        SourceError: it has none that can be read here.
    """
    what = f"source {spec.name}: the volume {volume.name}"
    if not volume.mountpoint:
        raise SourceError(f"{what} has no directory on this host (driver {volume.driver}). Back up its server instead")
    if not os.path.isdir(volume.mountpoint):
        raise SourceError(
            f"{what} is not in a directory of this host ({volume.mountpoint}): the engine runs in a virtual machine or "
            "elsewhere. Run the backup there, or keep the data in a directory and use kind: directory"
        )
    device = volume.options.get("device", "")
    if (device or volume.options.get("type")) and not trees.is_mount_point(volume.mountpoint):
        raise SourceError(
            f"{what} is a mount of {device or volume.options['type']} that exists only while a container uses it. "
            "Start the stack, or back up that directory with kind: directory"
        )
    return realpath(volume.mountpoint)


def _elsewhere(cli: Cli, stack: str, name: str) -> str:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError
    from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import whereabouts_of_volume

    try:
        return whereabouts_of_volume(cli.engine, stack, name)
    except EngineError as error:
        raise SourceError(str(error)) from error


def _every(cli: Cli) -> list[Volume]:
    from ansible_collections.onebox.stack.plugins.module_utils.engine.client import EngineError

    try:
        return cli.engine.all_volumes()
    except EngineError as error:
        raise SourceError(str(error)) from error


def _known(cli: Cli, name: str) -> Volume | None:
    return next((row for row in _every(cli) if row.name == name), None)
