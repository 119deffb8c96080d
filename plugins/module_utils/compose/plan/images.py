# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect local images, many at once."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError, PodmanCli

Images = dict[str, "t.Mapping[str, t.Any] | None"]


def look(engine: Engine, references: t.Iterable[str], world: World) -> Images:
    """``inspect`` of each of ``references`` (names or ids), None for each without a local image.

    A reference with an unset variable is omitted, because no engine accepts it.

    Raises:
        EngineError: the engine does not answer.
    """
    wanted = list(dict.fromkeys(reference for reference in references if reference and NOT_SET not in reference))
    if not isinstance(engine, PodmanCli):
        return dict(engine.images(wanted))
    if not wanted:
        return {}
    # Podman prints the images it found and fails for the others: one process for any number of images.
    try:
        result = world.run(["podman", "image", "inspect", *wanted], timeout=60.0, check=False)
        rows = json.loads(result.stdout or "[]")
    except (process.CommandError, ValueError) as error:
        raise EngineError(f"cannot inspect the images of podman: {error}") from error
    found: Images = dict.fromkeys(wanted)
    if len(rows) == len(wanted):
        found.update(zip(wanted, rows))
        return found
    for reference in wanted:
        found[reference] = next((row for row in rows if _is(row, reference)), None)
    return found


def _is(row: t.Mapping[str, t.Any], reference: str) -> bool:
    if str(row.get("Id", "")) == reference.replace("sha256:", ""):
        return True
    tagged = reference if ":" in reference.rsplit("/", 1)[-1] or "@" in reference else reference + ":latest"
    names = [*(row.get("RepoTags") or ()), *(row.get("RepoDigests") or ())]
    return any(name == tagged or name.endswith("/" + tagged) for name in names)


def identity(image: t.Mapping[str, t.Any] | None) -> str:
    """``sha256:…`` of an inspected image, "" for none."""
    found = str((image or {}).get("Id") or "")
    return found if ":" in found or not found else "sha256:" + found
