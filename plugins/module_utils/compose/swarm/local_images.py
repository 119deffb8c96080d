# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that no registry has: build them, name them, and report those that other nodes of the Swarm need."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import images, published
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.compose.result import Result
from ansible_collections.onebox.stack.plugins.module_utils.compose.run import Run
from ansible_collections.onebox.stack.plugins.module_utils.compose.state import state_file
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.image_tags import Tagger
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.releases import Release
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm import image_layers, image_names
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.cluster import Cluster
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.image_names import Named
from ansible_collections.onebox.stack.plugins.module_utils.compose.swarm.seen import (
    PUBLISHED,
    Seen,
    on_registries,
    published_in,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import process
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine


def build(run: Run, seen: Seen) -> bool:
    """Build the images that are missing, or whose build context changed. Returns whether there are any.

    Raises:
        ComposeError: a build failed.
    """
    base = seen.base
    services = [row.service for row in base.rows if row.action == planning.REBUILD]
    if not services or base.engine is None:
        return False
    with run.inspector.timings.step("build"):
        try:
            run.commands(base.tool, base.engine, base.source, {}).build(services)
        except ComposeError as error:
            raise ComposeError(f"stack {run.request.name} was not touched: {error}") from error
        found = images.look(base.engine, [base.model.services[name].image for name in services], run.world)
    builds = dict(base.facts.memory.builds)
    for name in services:
        identity = images.identity(found.get(base.model.services[name].image))
        context = base.facts.content[name].context
        if identity and context is not None:
            builds.pop(identity, None)  # so that the newest comes last
            builds[identity] = context.digest
    kept = dataclasses.replace(base.facts.memory, builds=builds).as_dict()["builds"]
    state_file.save(run.request.state_folder, {**state_file.load(run.request.state_folder), "builds": kept})
    return True


def query(run: Run, seen: Seen) -> bool:
    """Query registries for images whose digest proves nothing, once for each. Returns whether there are any.

    An image that a deploy built is not on a registry.

    Raises:
        FileError: the answers cannot be kept.
    """
    base = seen.base
    if base.engine is None:
        return False
    known = {image: base.facts.images.get(image) for image in seen.local}
    built = base.facts.memory.builds
    names = {
        name
        for image, name in published.computed(known).items()
        if name not in seen.published and images.identity(known[image]) not in built
    }
    if not names:
        return False
    with run.inspector.timings.step("registries"):
        answers = published.query(base.engine, sorted(names), run.world)
    # An image of containerd's store has its digest as its id.
    kept = {row["id"] for release in run.releases.sets() for row in release.images.values()}
    kept |= {images.identity(body) for body in base.facts.images.values()}
    earlier = {name: has for name, has in seen.published.items() if name.partition("@")[2] in kept}
    state = state_file.load(run.request.state_folder)
    state_file.save(run.request.state_folder, {**state, PUBLISHED: {**earlier, **answers}})
    return True


def tag(run: Run, seen: Seen) -> None:
    """Give the local images of a stack their names on this host.

    Raises:
        ComposeError: the engine refused one.
    """
    if seen.base.engine is None:
        return
    tagger = Tagger(seen.base.engine, run.world)
    for image, named in seen.local.items():
        if named.reference not in ((seen.base.facts.images.get(image) or {}).get("RepoTags") or ()):
            tagger.tag(named.id, named.reference)


def tag_release(run: Run, engine: Engine, release: Release, result: Result) -> None:
    """Give the local images of a release their names on this host, and add them to a result.

    Raises:
        ComposeError, EngineError: the engine refused one.
    """
    known = images.look(engine, [row["id"] for row in release.images.values()], run.world)
    found = {row["reference"]: known.get(row["id"]) for row in release.images.values()}
    known_published = on_registries(published_in(state_file.load(run.request.state_folder)))
    local = image_names.names(run.request.name, found, known_published).values()
    for named in local:
        Tagger(engine, run.world).tag(named.id, named.reference)
    _report(run, engine, local, local, result)


def describe(run: Run, seen: Seen, result: Result) -> None:
    """Add the images that other nodes need to a result. A service that is bound to this node needs none elsewhere."""
    here = {seen.cluster.node_id, seen.cluster.hostname}
    services = seen.base.model.services
    needed = [
        seen.local[services[name].image]
        for name, pins in seen.wanted.pins.items()
        if services[name].image in seen.local and not here & set(pins)
    ]
    if seen.base.engine is None:
        raise AssertionError("a deploy needs an engine")
    _report(run, seen.base.engine, needed, seen.local.values(), result)


def must_be_sent(seen: Seen, result: Result) -> bool:
    """Whether a deploy would start containers of an image that other nodes may not have."""
    needed = {row["reference"] for row in result.node_images or ()}
    return any(seen.wanted.images.get(row.service) in needed and row.action != planning.KEEP for row in seen.rows)


def prune(run: Run, cluster: Cluster, result: Result) -> None:
    """Remove from this host the images that neither the stack nor a release has."""
    words = ("--filter", f"reference={image_names.pattern(run.request.name)}", "--format", "{{.Repository}}:{{.Tag}}")
    try:
        listed = cluster.docker("image", "ls", *words).stdout.split()
        earlier = {name for name in listed if image_names.is_of(run.request.name, name)}
        earlier -= set(result.node_images_kept or ())
        if earlier:
            # Ended containers of Swarm still have these images, and never start again.
            cluster.docker("image", "rm", "--force", *sorted(earlier))
    except process.CommandError as error:
        result.warnings.append(f"an earlier image of the stack was not removed: {error}")


def _report(run: Run, engine: Engine, needed: t.Iterable[Named], local: t.Iterable[Named], result: Result) -> None:
    kept = image_names.of_releases(run.request.name, run.releases.sets())
    wanted = sorted(set(needed))
    bodies = images.look(engine, [each.id for each in wanted], run.world)
    layers = {name: image_layers.layers(engine, body) for name, body in bodies.items() if body}
    result.node_images = [{**each._asdict(), "layers": list(map(list, layers.get(each.id, ())))} for each in wanted]
    result.node_images_kept = sorted(kept | {each.reference for each in local})
