# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The services of a stack as they must be in the Swarm, and the plan to get there."""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.images import Images
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import File, Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import render
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import SwarmService

_COMPOSE_LABELS = "com.docker.compose."
# Digests of the parts of a service, from which a later run plans.
PARTS_LABEL = "onebox.parts"
_SETTINGS = "settings"
_REASONS = {
    "image": "image_changed",
    "environment": "env_changed",
    "secrets": "secret_changed",
    "configs": "config_changed",
    "networks": "network_changed",
    "volumes": "volume_changed",
}


@dataclass(frozen=True)
class Wanted:
    """A rendered stack.

    Attributes:
        files: the stack file and the files that it names.
        parts: service -> part -> digest.
        environment: service -> its variables.
        images: service -> its image.
        pins: service -> nodes that its placement constraints name.
    """

    files: tuple[File, ...] = field(repr=False)
    parts: t.Mapping[str, t.Mapping[str, str]]
    environment: t.Mapping[str, t.Mapping[str, str]] = field(repr=False)
    images: t.Mapping[str, str]
    pins: t.Mapping[str, t.Sequence[str]]


def want(stack: Stack, known: Images) -> Wanted:
    """Render a stack for a Swarm that exists.

    Args:
        stack: with ``node_id``.
        known: reference -> ``inspect`` of a local image.

    Raises:
        RenderError: the stack cannot be rendered.
    """
    document, files = render.build(stack)
    texts = {each.path: each.content for each in files}
    parts, environment, pins = {}, {}, {}
    for name, body in document["services"].items():
        labels = {**_of_compose(known.get(stack.model.services[name].image)), **_mapping(body.get("labels"))}
        if labels:
            body["labels"] = labels
        kept = "".join(texts.get(path[2:], "") for path in body.get("env_file") or ())
        parts[name] = _parts(document, body, kept)
        environment[name] = {**body.get("environment", {}), **_variables(kept)}
        section = body.setdefault("deploy", {})
        constraints = (section.get("placement") or {}).get("constraints") or ()
        pins[name] = [row.partition("==")[2].strip() for row in constraints if row.startswith("node.")]
        parts_label = {PARTS_LABEL: json.dumps(parts[name], sort_keys=True)}
        section["labels"] = {**_mapping(section.get("labels")), **parts_label}
    images = {name: str(body["image"]) for name, body in document["services"].items()}
    main = File(render.NAME, render.dump(stack, document))
    return Wanted((main, *files), parts, environment, images, pins)


def plan(
    wanted: Wanted, live: t.Mapping[str, SwarmService], specs: t.Mapping[str, str], *, remove_orphans: bool
) -> tuple[list[planning.Row], list[str]]:
    """The plan, with reasons, and the services that others changed.

    Args:
        live: the services in the Swarm.
        specs: service -> digest of its specification after the last deploy.
    """
    rows, drifted = [], []
    for name, parts in wanted.parts.items():
        row = planning.Row(name)
        rows.append(row)
        if name not in live:
            row.raise_to(planning.CREATE, "missing")
            continue
        found = live[name]
        deployed = _deployed(found)
        for part in sorted({*parts, *deployed}):
            if parts.get(part) != deployed.get(part):
                row.raise_to(planning.RECREATE, _REASONS.get(part, "config_hash"))
                row.diff.update(_diff(part, wanted, found))
        if row.action == planning.KEEP and name in specs and specs[name] != found.digest:
            row.raise_to(planning.RECREATE, "config_hash")
            drifted.append(name)
    if remove_orphans:
        rows += [planning.Row(name, planning.REMOVE_ORPHAN) for name in sorted(set(live) - set(wanted.parts))]
    return rows, drifted


def _deployed(service: SwarmService) -> dict[str, str]:
    """Part -> digest, as it was deployed; empty for a service that others deployed."""
    try:
        found = json.loads(service.labels.get(PARTS_LABEL) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _diff(part: str, wanted: Wanted, found: SwarmService) -> dict[str, dict[str, t.Any]]:
    name = found.name
    if part == "image":
        return {"image": {"before": found.container_spec.get("Image"), "after": wanted.images[name]}}
    if part != "environment":
        return {part: {"before": _deployed(found).get(part), "after": wanted.parts[name].get(part)}}
    before = _variables("\n".join(found.container_spec.get("Env") or ()))
    after = wanted.environment[name]
    return {
        f"environment.{key}": {"before": before.get(key), "after": after.get(key)}
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    }


def _parts(document: t.Mapping[str, t.Any], body: t.Mapping[str, t.Any], kept: str) -> dict[str, str]:
    values: dict[str, t.Any] = {
        "image": body["image"],
        "environment": [body.get("environment"), kept],
    }
    for kind in ("secrets", "configs"):
        declared = document.get(kind) or {}
        values[kind] = [[row, (declared.get(row["source"]) or {}).get("name")] for row in body.get(kind) or ()]
    for key in ("networks", "volumes", "ports"):
        values[key] = [body.get(key), document.get(key) if key != "ports" else None]
    values[_SETTINGS] = {key: value for key, value in body.items() if key not in values and key != "env_file"}
    return {key: _digest(value) for key, value in values.items()}


def _of_compose(image: t.Mapping[str, t.Any] | None) -> dict[str, str]:
    """Labels that empty those of an image that docker compose built. Its containers would count as those of compose."""
    labels = ((image or {}).get("Config") or {}).get("Labels") or {}
    return {name: "" for name in sorted(labels) if name.startswith(_COMPOSE_LABELS)}


def _digest(value: t.Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _mapping(value: t.Any) -> dict[str, str]:
    """Labels, which are a mapping or a list."""
    if isinstance(value, t.Mapping):
        return {str(key): str(text) for key, text in value.items()}
    return {str(row).partition("=")[0]: str(row).partition("=")[2] for row in value or ()}


def _variables(text: str) -> dict[str, str]:
    rows = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name: value for name, _equals, value in rows}
