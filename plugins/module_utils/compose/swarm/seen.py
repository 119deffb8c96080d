# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inspect a stack on a Swarm without changing it: its model, its services, the plan, and problems."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import declaration, without_effect
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.config import texts_of
from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import BadStack
from ansible_collections.onebox.stack.plugins.module_utils.compose.files.staging import Staging
from ansible_collections.onebox.stack.plugins.module_utils.compose.inspect import Inspection
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan.published import by_digest
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.assess import assess
from ansible_collections.onebox.stack.plugins.module_utils.compose.portability.table import DROP, REFUSE
from ansible_collections.onebox.stack.plugins.module_utils.compose.render.parts import Stack
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import image_names, unpublished
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import wanted as wanting
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.cluster import Cluster
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.engine.swarm import SwarmService

# Larger files are data, and Swarm accepts no secret or config of that size.
_MOST_BYTES = 1 << 20
SPECS = "specs"
PUBLISHED = "published"


@dataclass
class Seen:
    """An inspected stack on a Swarm.

    Attributes:
        base: its model and files, and the facts of this host.
        live: its services in the Swarm.
        wanted: its services as they must be.
        notes: warnings.
        local: image as it is declared -> its name on all nodes, for images that no registry has.
        published: image by digest -> whether a registry had it when it was queried.
    """

    base: Inspection
    cluster: Cluster
    live: t.Mapping[str, SwarmService]
    wanted: wanting.Wanted
    rows: list[planning.Row]
    notes: list[str]
    local: t.Mapping[str, image_names.Named]
    published: t.Mapping[str, bool]


def see(run: Run, staging: Staging | None = None) -> Seen:
    """Inspect a stack.

    Args:
        staging: the staged files; without them, the deploy directory is read.

    Raises:
        BadStack: this host manages no Swarm, or the stack cannot run there.
        ComposeError, EngineError: the stack cannot be inspected.
    """
    request = run.request
    base = run.inspector.inspect(judge_builds=staging is not None, staging=staging)
    if base.engine is None:
        raise AssertionError("a stack without an engine is only inspected in check mode")
    cluster = Cluster(base.engine, run.world)
    problem = not_managed(cluster)
    if problem:
        raise BadStack(request.name, [problem])
    if base.model.problems:
        raise BadStack(request.name, list(base.model.problems))
    texts = texts_of(base.source.files)
    declared = {service.image for service in base.model.services.values()}
    images = {name: body for name, body in base.facts.images.items() if name in declared}
    state = state_file.load(request.state_folder)
    published = published_in(state)
    local = image_names.names(request.name, images, on_registries(published))
    stack = Stack(
        base.model,
        texts,
        {**by_digest(images, on_registries(published)), **{image: named.reference for image, named in local.items()}},
        _contents(base),
        {},
        cluster.hostname,
        (),
        cluster.node_id,
    )
    wanted = wanting.want(stack, images)
    live = cluster.services(request.name)
    rows, drifted = wanting.plan(wanted, live, state.get(SPECS) or {}, remove_orphans=request.remove_orphans)
    builds = {row.service: row.reasons for row in base.rows if row.action == planning.REBUILD}
    for row in rows:
        if row.service in builds:
            changed = "build_context_changed"
            row.raise_to(planning.REBUILD, changed if changed in builds[row.service] else "missing")
    notes = [
        f"service {name} was changed by others after the last deploy, for example with docker service update. A deploy "
        "restores it."
        for name in drifted
    ]
    dropped = [each for each in assess(base.model, texts, ("swarm",)).findings if each.fact.remains == DROP]
    notes += [
        f"{each.where}: Swarm ignores {each.fact.name} ({', '.join(each.uses)}). {each.fact.happens} "
        f"{each.fact.way_out}"
        for each in dropped
    ]
    return Seen(base, cluster, live, wanted, rows, notes, local, published)


def published_in(state: t.Mapping[str, t.Any]) -> dict[str, bool]:
    """Image by digest -> whether a registry had it when it was queried.

    The answer is kept, so that a registry that is down, or gets the image later, does not replace containers.
    """
    found = state.get(PUBLISHED)
    return found if isinstance(found, dict) else {}


def on_registries(published: t.Mapping[str, bool]) -> set[str]:
    """The images by digest that a registry had."""
    return {name for name, has in published.items() if has}


def not_managed(cluster: Cluster) -> Problem | None:
    """Why this host cannot deploy to a Swarm; None when it can."""
    if cluster.manages:
        return None
    message = (
        "this host does not manage a Swarm. Run the role onebox.stack.swarm, and deploy on one of its managers"
        if cluster.state == "inactive"
        else f"this host is in a Swarm (state {cluster.state}), but does not manage it. Deploy on one of its managers"
    )
    return Problem("no_swarm", "compose_stack_target", message)


def problems(run: Run, seen: Seen) -> list[Problem]:
    """All reasons to refuse the deploy."""
    base = seen.base
    found = declaration.declared(base.model, base.source, run.request.rules, base.facts.images)
    texts = texts_of(base.source.files)
    found += [
        Problem("not_in_swarm", each.where, f"{each.fact.name}: {each.fact.happens} {each.fact.way_out}")
        for each in assess(base.model, texts, ("swarm",)).findings
        # The deploy builds the images, and the role sends them to the nodes.
        if each.fact.remains == REFUSE and each.fact.name != "build"
    ]
    if base.facts.containers:
        names = ", ".join(row.name for row in base.facts.containers)
        message = (
            f"the compose stack still has containers on this host ({names}), and two stacks must not write to the same "
            "data. Remove them first: compose_stack_state=absent with compose_stack_target=host. Its data stays"
        )
        found.append(Problem("compose_runs", f"stack {run.request.name}", message))
    found += unpublished.problems(base.model.services, run.request)
    return [*found, *_moved_data(run, seen)]


def _moved_data(run: Run, seen: Seen) -> t.Iterator[Problem]:
    """Services whose data lies on another node. A deploy here would start them with empty directories."""
    if run.request.adopt:
        return
    here = {seen.cluster.node_id: seen.cluster.hostname}
    nodes = {**seen.cluster.nodes(), **here}
    for name, service in seen.live.items():
        declared = seen.base.model.services.get(name)
        if declared is None or not (declared.binds or declared.named_volumes) or not service.pins:
            continue
        accepted = {*seen.wanted.pins[name], *(here.get(pin, "") for pin in seen.wanted.pins[name])}
        if not accepted & set(service.pins):
            where = ", ".join(nodes.get(pin, f"{pin}, which has left the Swarm") for pin in service.pins)
            message = (
                f"its data lies on the node {where}, and this host would start it without. Deploy on that node. If it "
                "is lost, restore the data on this host from its backup, and set compose_stack_adopt=true"
            )
            yield Problem("data_elsewhere", f"service {name}", message)


def describe(run: Run, seen: Seen, result: Result) -> None:
    """Add plan, images and warnings to a result of the inspection."""
    result.plan = [{**row.as_dict(), "diff": run.secrecy.diff(row.diff)} for row in seen.rows]
    result.orphans = sorted(set(seen.live) - set(seen.wanted.parts))
    result.images = [
        {"service": name, "tag": seen.base.model.services[name].image, "id": image}
        for name, image in sorted(seen.wanted.images.items())
    ]
    result.health = []
    # Keys that only Swarm carries out.
    here = without_effect.warnings(seen.base.model, seen.base.tool)
    result.warnings = [each for each in result.warnings if each not in here]
    result.warnings += [each for each in seen.notes if each not in result.warnings]


def _contents(base: Inspection) -> dict[str, bytes]:
    """The content of each file of a secret or a config, also of a staged one."""
    found = {}
    for service in base.model.services.values():
        for path in (each.value for each in service.files if each.kind == "file"):
            place = base.source.place(path)
            try:
                if os.path.getsize(place) <= _MOST_BYTES:
                    with open(place, "rb") as stream:
                        found[path] = stream.read()
            except OSError:
                continue  # the rendering reports the secret or config that it lacks
    return found
