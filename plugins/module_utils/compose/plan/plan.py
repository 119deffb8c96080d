# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide the action for each service, with reasons. Reads and changes nothing: facts in, plan out."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.base import Driver
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import bound_files
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.digests import Content, Piece
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import compare, images, resources
from ansible_collections.onebox.stack.plugins.module_utils.compose.quadlet.render import unit_name
from ansible_collections.onebox.stack.plugins.module_utils.compose.state.records import Memory
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import Container
from ansible_collections.onebox.stack.plugins.module_utils.engine.times import epoch_of

KEEP, START, RESTART, CREATE, RECREATE, REBUILD = "keep", "start", "restart", "create", "recreate", "rebuild"
REMOVE_ORPHAN = "remove_orphan"
# The order in which stronger actions win.
_RANK = {KEEP: 0, START: 1, RESTART: 2, CREATE: 3, RECREATE: 4, REBUILD: 5}
_DOWNTIME = {RESTART: "restart", RECREATE: "recreate", REBUILD: "recreate"}

HASH_LABEL = "com.docker.compose.config-hash"
IMAGE_LABEL = "com.docker.compose.image"
VERSION_LABEL = "com.docker.compose.version"


@dataclass
class Row:
    """The plan for one service.

    Attributes:
        container_ids: the containers of the service; empty before the first deploy.
        ended: whether they are one-shot containers that exited with 0.
        built_id: the image of a rebuild, filled in after it.
    """

    service: str
    action: str = KEEP
    reasons: list[str] = field(default_factory=list)
    diff: compare.Diff = field(default_factory=dict)
    cascade_from: str = ""
    container_ids: tuple[str, ...] = ()
    ended: bool = False
    built_id: str = ""

    def raise_to(self, action: str, reason: str, cascade_from: str = "") -> None:
        """Add a reason; the stronger action wins."""
        if reason not in self.reasons:
            self.reasons.append(reason)
        if _RANK[action] > _RANK[self.action]:
            self.action = action
            self.cascade_from = cascade_from or self.cascade_from

    @property
    def replaces(self) -> bool:
        """Whether it creates new containers."""
        return self.action in (CREATE, RECREATE, REBUILD)

    def as_dict(self) -> dict[str, t.Any]:
        """As modules return it."""
        return {
            "service": self.service,
            "action": self.action,
            "reasons": list(self.reasons),
            "diff": self.diff,
            "downtime": _DOWNTIME.get(self.action, "none"),
            "cascade_from": self.cascade_from,
        }


@dataclass(frozen=True)
class Facts:
    """The facts of a host about one stack.

    Attributes:
        containers: the containers of the project, without one-off containers.
        images: reference or id -> ``inspect`` of a local image; absent or None when there is none.
        memory: the records of deploys about them.
        content: service -> the present digests of its files.
        stale: service -> destinations whose mount is no longer the directory on the host.
        outside: networks and volumes.
        names: name -> labels of every container of the engine.
        units: service -> digest of its quadlet.
        edited: services whose installed quadlet somebody edited.
    """

    containers: t.Sequence[Container]
    images: t.Mapping[str, t.Mapping[str, t.Any] | None]
    memory: Memory = field(default_factory=Memory)
    content: t.Mapping[str, Content] = field(default_factory=dict)
    stale: t.Mapping[str, t.Sequence[str]] = field(default_factory=dict)
    outside: resources.Found = field(default_factory=resources.Found)
    names: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    units: t.Mapping[str, str] = field(default_factory=dict)
    edited: t.Collection[str] = ()


def make(
    model: Model,
    facts: Facts,
    *,
    driver: Driver,
    remove_orphans: bool,
    networks: t.Collection[str] = (),
) -> list[Row]:
    """The plan for ``model``.

    Args:
        driver: the compose tool that will carry it out.
        remove_orphans: plan to remove containers of services that are no longer declared.
        networks: those of the compose file that are created again, together with the containers on them.
    """
    by_service: dict[str, list[Container]] = {}
    for container in facts.containers:
        by_service.setdefault(container.service, []).append(container)
    ids = {name: rows[0].id for name, rows in by_service.items()}
    rows: dict[str, Row] = {}
    for name, service in model.services.items():
        present = sorted(by_service.get(name, ()), key=lambda container: container.name)
        row = rows[name] = Row(name, container_ids=tuple(container.id for container in present))
        for container in present:
            _configuration(row, service, container, facts, driver, ids)
            _image(row, service, container, facts, driver)
            _content(row, service, container, facts)
            _liveness(row, service, container, driver)
        _context(row, service, present, facts)
        if present and set(resources.keys_of(service, model)) & set(networks):
            row.raise_to(RECREATE, "network_changed")
        if len(present) < service.scale:
            row.raise_to(CREATE, "missing")
        if len(present) > service.scale:
            row.raise_to(RECREATE, "config_hash")
        if facts.stale.get(name):
            row.raise_to(RESTART, "stale_mount")
        for container in present:
            _bound(row, service, container, facts)
        if row.reasons and row.action == KEEP:
            row.action = RESTART  # only now, so that each container of a service is compared
        if service.build is not None and _local(facts, service.image) is None:
            row.raise_to(REBUILD, "missing")
    _built_elsewhere(model, rows)
    _cascade(model, rows, facts.containers)
    if driver.starts_dependencies:
        _one_shots_again(model, rows)
    orphans = sorted(set(by_service) - set(model.services))
    made = list(rows.values())
    if remove_orphans:
        made += [
            Row(name, REMOVE_ORPHAN, ["missing"], container_ids=tuple(row.id for row in by_service[name]))
            for name in orphans
        ]
    return made


def _one_shots_again(model: Model, rows: t.Mapping[str, Row]) -> None:
    # Compose starts a service together with the ended one-shot containers that it depends on.
    pending = [name for name, row in rows.items() if row.replaces or row.action == START]
    while pending:
        for dependency in model.services[pending.pop()].depends_on:
            row = rows.get(dependency.service)
            if row is not None and row.action == KEEP and row.ended:
                row.raise_to(START, "dependency_restart", cascade_from=dependency.service)
                pending.append(dependency.service)


def _configuration(
    row: Row,
    service: Service,
    container: Container,
    facts: Facts,
    driver: Driver,
    ids: t.Mapping[str, str],
) -> None:
    label = container.labels.get(HASH_LABEL)
    if driver.traits.hashes:
        if label is not None and driver.config_hash(service.raw, ids, driver.version) == label:
            return
        changed = compare.differences(service, container, facts.images.get(container.image_id))
        if not changed and label is not None and _other_version_agrees(service, container, driver, ids, label):
            row.raise_to(RECREATE, "compose_version_changed")
            return
        hidden = True  # Compose recreates even if the difference cannot be shown
    else:
        unit = f"{unit_name(container.project, service.name)}.service" if driver.traits.by_systemd else ""
        changed = compare.differences(service, container, facts.images.get(container.image_id), unit=unit)
        if service.name in facts.edited:
            changed["unit"] = {"before": "edited by hand", "after": "as the compose file declares"}
        if unit:
            hidden = facts.units.get(service.name, "") not in ("", container.labels.get(compare.DIGEST_LABEL))
        else:
            known = facts.memory.records.get(container.id)
            hidden = known is not None and known.digest != compare.digest(service)
    row.diff.update(changed)
    reasons = sorted({_reason(name, change) for name, change in changed.items()})
    for reason in reasons or (["config_hash"] if hidden else []):
        row.raise_to(RECREATE, reason)


def _other_version_agrees(
    service: Service, container: Container, driver: Driver, ids: t.Mapping[str, str], label: str
) -> bool:
    written = container.labels.get(VERSION_LABEL, "")
    numbers = tuple(int(part) for part in written.split("-")[0].split(".") if part.isdigit())
    return bool(numbers) and numbers != driver.version and driver.config_hash(service.raw, ids, numbers) == label


def _reason(name: str, change: t.Mapping[str, t.Any]) -> str:
    if name.startswith("environment."):
        return "env_changed"
    if name == "image":
        return "image_changed"
    if name.startswith("mounts.") and change["before"] and change["after"]:
        return "source_moved"
    return "config_hash"


def _image(row: Row, service: Service, container: Container, facts: Facts, driver: Driver) -> None:
    local = _local(facts, service.image)
    if local is None:
        return
    identity = images.identity(local)
    runs = container.image_id
    if driver.traits.labels_image:
        runs = container.labels.get(IMAGE_LABEL, runs)
    if runs != identity:
        row.raise_to(RECREATE, "image_changed")
        row.diff.setdefault("image_id", {"before": runs[:19], "after": identity[:19]})


def _content(row: Row, service: Service, container: Container, facts: Facts) -> None:
    content = facts.content.get(service.name)
    if content is None:
        return
    record = facts.memory.records.get(container.id)
    # A container that was started again since, by the engine or a user, read the files of that moment.
    read = record if record is not None and record.belongs_to(container) else None
    started = epoch_of(container.started_at)
    kinds = {f"{ref.collection}/{ref.name}": ref.kind for ref in service.files}
    for key, piece in content.files.items():
        bound = kinds.get(key) == "file"
        if bound and bound_files.reloads(service):
            continue
        known = read if bound else record
        if _changed(known.files if known else {}, key, piece, started):
            # A file is bound, so a restart reads it again. Everything else is copied when the container is created.
            action = RESTART if bound else RECREATE
            row.raise_to(action, "secret_changed" if key.startswith("secrets/") else "config_changed")
    for key, piece in content.code.items():
        if _changed(read.code if read else {}, key, piece, started):
            row.raise_to(RESTART, "code_bind_changed")


def _bound(row: Row, service: Service, container: Container, facts: Facts) -> None:
    """Configuration that the process has not read. A container with a stronger action reads it when it starts."""
    if row.action not in (KEEP, REBUILD) or service.name not in facts.content:
        return
    record = facts.memory.records.get(container.id)
    read = record.code if record is not None and record.belongs_to(container) else {}
    started = epoch_of(container.started_at)
    for source, piece in facts.content[service.name].bound.items():
        if _changed(read, source, piece, started):
            row.reasons += [piece.reason] if piece.reason not in row.reasons else []
            row.diff[f"files.{source}"] = {"before": "as the process read it", "after": "changed"}


def _context(row: Row, service: Service, present: t.Sequence[Container], facts: Facts) -> None:
    context = facts.content[service.name].context if service.name in facts.content else None
    if context is None or not (present or service.scale):
        return
    # Also the image that would be started next: an interrupted rollback leaves the previous image under the name, and a
    # removed stack leaves its images.
    local = _local(facts, service.image)
    found = {images.identity(local): local}
    found.update((container.image_id, facts.images.get(container.image_id)) for container in present)
    for identity, image in found.items():
        created = epoch_of(str((image or {}).get("Created") or ""))
        if identity and _changed(facts.memory.builds, identity, context, created):
            row.raise_to(REBUILD, "build_context_changed")


def _changed(known: t.Mapping[str, str], key: str, piece: Piece, since: float) -> bool:
    """Whether the digest differs from the recorded one or, without a record, anything is newer than ``since``."""
    if key in known:
        return known[key] != piece.digest
    return piece.newest > since


def _local(facts: Facts, reference: str) -> t.Mapping[str, t.Any] | None:
    return facts.images.get(reference)


def _liveness(row: Row, service: Service, container: Container, driver: Driver) -> None:
    if container.running and container.status != "paused":
        return
    if container.status in ("restarting", "stopping", "removing"):
        return  # the health gate waits for it
    if container.status == "exited" and service.one_shot and container.exit_code == 0:
        row.ended = True
        return  # it is complete
    # A container that never ran has no data, so a new one loses nothing.
    never_ran = container.status in ("created", "configured", "initialized")
    row.raise_to(RECREATE if never_ran and not driver.traits.starts_created else START, "not_running")


def _built_elsewhere(model: Model, rows: t.Mapping[str, Row]) -> None:
    # A worker that runs the image of another service needs the new one as well.
    for name, service in model.services.items():
        if rows[name].action != REBUILD:
            continue
        for other in model.services.values():
            if (
                other.build is None
                and compare.same_image(other.image, service.image)
                and rows[other.name].container_ids
            ):
                rows[other.name].raise_to(RECREATE, "image_changed", cascade_from=name)


def _cascade(model: Model, rows: t.Mapping[str, Row], containers: t.Sequence[Container]) -> None:
    owner = {container.id: container.service for container in containers}
    needs: dict[str, set[str]] = {name: set(service.namespaces) for name, service in model.services.items()}
    for container in containers:
        # Podman refuses to remove a container that another one was created to require.
        for other in container.raw.get("Dependencies") or ():
            if container.service in needs and owner.get(other):
                needs[container.service].add(owner[other])
    for _unused in model.services:
        for name, parents in needs.items():
            for parent in parents:
                source = rows.get(parent)
                if source is None or rows[name].replaces:
                    continue
                if source.action in (RECREATE, REBUILD):
                    rows[name].raise_to(RECREATE, "parent_recreated", cascade_from=parent)
                elif source.action in (START, RESTART) and rows[name].action == KEEP and not rows[name].ended:
                    # Its namespace ends with the process of the owner.
                    rows[name].raise_to(RESTART, "dependency_restart", cascade_from=parent)
    for name, service in model.services.items():
        for dependency in service.depends_on:
            source = rows.get(dependency.service)
            if source is None or source.action in (KEEP, START, CREATE) or rows[name].replaces:
                continue
            if dependency.restart:
                rows[name].raise_to(RESTART, "dependency_restart", cascade_from=dependency.service)


def changes(rows: t.Iterable[Row]) -> list[str]:
    """The changes of a run, as text."""
    return [f"{row.service} ({row.action})" for row in rows if row.action != KEEP]
