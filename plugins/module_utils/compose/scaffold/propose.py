# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Propose the inventory of a compose project: ports, directories and backup sources, each with its reason."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import Bind, PortRow
from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals import owner, paths
from ansible_collections.onebox.stack.plugins.module_utils.engine import databases

# Ports that a service has for the outside, with the protocol's name.
_FOR_OUTSIDE = {
    22: "SSH",
    25: "SMTP",
    53: "DNS",
    80: "HTTP",
    110: "POP3",
    143: "IMAP",
    443: "HTTPS",
    465: "SMTP",
    587: "SMTP",
    853: "DNS over TLS",
    993: "IMAP",
    995: "POP3",
    1883: "MQTT",
    4190: "Sieve",
    8883: "MQTT",
    25565: "Minecraft",
}
_DATABASE_PORTS = (1433, 2379, 3306, 5432, 5672, 6379, 7687, 8086, 9042, 9200, 11211, 27017)
_MEDIA = re.compile(
    r"media|movies?|films?|tv|series|music|photos?|pictures?|images|downloads?|torrents?|books?|librar(?:y|ies)|videos?"
    r"|audio|podcasts|usenet|incoming|shared?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Published:
    """A port: ``listed`` in ``compose_stack_public_ports``, or else bound to loopback by the override."""

    service: str
    row: PortRow
    listed: bool
    reason: str


@dataclass(frozen=True)
class DataDirectory:
    """An entry of ``data_dirs_directories``."""

    path: str
    kind: str
    user: str
    group: str
    mode: str
    reason: str


@dataclass(frozen=True)
class BackupSource:
    """An entry of ``backups_sources``: its keys in order, and the reason."""

    keys: t.Mapping[str, str]
    reason: str


@dataclass
class Proposal:
    """What the inventory is to declare.

    Attributes:
        made: data directories below the deploy directory, which a deploy creates.
        moved: service -> binds that get another source, with the source and the reason.
        contexts: service -> its build context in the stack's folder, and the reason.
        needs: what a person must bring: ``(what, reason)``.
        networks: external networks.
        unknown: variables without a value on which the paths of directories depend.
    """

    ports: list[Published] = field(default_factory=list)
    directories: list[DataDirectory] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)
    moved: dict[str, list[tuple[Bind, str, str]]] = field(default_factory=dict)
    contexts: dict[str, tuple[str, str]] = field(default_factory=dict)
    sources: list[BackupSource] = field(default_factory=list)
    not_backed_up: list[str] = field(default_factory=list)
    needs: list[tuple[str, str]] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


Images = t.Mapping[str, t.Optional[t.Mapping[str, t.Any]]]


@dataclass(frozen=True)
class Place:
    """Where the sources of a project are.

    Attributes:
        folder: the project's folder on this machine, in which shipped sources are.
        data_root: directory on the host for data whose source leads out of the folder.
        part: the path that a part of the checkout above the folder gets in the stack's folder; "" when it has none.
    """

    folder: str
    data_root: str
    part: t.Callable[[str], str]


def propose(
    model: Model,
    place: Place,
    exposure: str,
    images: Images,
    processes: t.Mapping[str, str],
) -> Proposal:
    """Propose the declaration for a model.

    Args:
        exposure: see ``compose_stack_exposure``.
        images: reference -> the image, None when it is not here.
        processes: service -> ``uid:gid`` of its running container.
    """
    found = Proposal()
    for service in model.services.values():
        found.ports += [_published(service, row, exposure) for row in service.ports if not row.loopback]
        who = owner.of_service(service, images.get(service.image), processes.get(service.name, ""))
        for bind in service.binds:
            _bind(found, model, service, bind, who, place)
        _context(found, service, place)
        _database(found, service)
    _directory_sources(found, model)
    for key, body in (model.raw.get("networks") or {}).items():
        outside = (body or {}).get("external")
        if outside:
            # The old form has the name below external.
            found.networks.append((outside.get("name") if isinstance(outside, dict) else body.get("name")) or key)
    for key, body in (model.raw.get("volumes") or {}).items():
        if (body or {}).get("external"):
            name = (body or {}).get("name") or key
            found.needs.append(
                (f"docker volume create {name}", f"volume {key} is external: restore it, or create it empty")
            )
    return found


def _published(service: Service, row: PortRow, exposure: str) -> Published:
    if exposure == "loopback":
        return Published(service.name, row, False, "onebox_exposure is loopback")
    if row.host_ip not in ("", "0.0.0.0", "::"):
        return Published(service.name, row, True, f"the compose file names the address {row.host_ip}")
    if exposure == "lan":
        return Published(service.name, row, True, "onebox_exposure is lan")
    if row.target in _DATABASE_PORTS:
        return Published(service.name, row, False, "a database or queue: only this host and its containers need it")
    name = _FOR_OUTSIDE.get(row.published) or _FOR_OUTSIDE.get(row.target if row.protocol == "udp" else -1)
    if name:
        return Published(service.name, row, True, f"{name} is meant for other machines")
    if row.protocol == "udp":
        return Published(service.name, row, True, "UDP cannot be reached through an SSH tunnel")
    return Published(
        service.name, row, False, "no port for the public by its number: reach it through a tunnel or a proxy"
    )


def _bind(found: Proposal, model: Model, service: Service, bind: Bind, who: owner.Owner, place: Place) -> None:
    where = f"service {service.name}, {bind.target}"
    inside = bind.source == model.project_dir or bind.source.startswith(model.project_dir + "/")
    if NOT_SET in bind.source:
        name = bind.source.split(NOT_SET, 1)[1].split("/")[0]
        found.unknown.append(name)
        found.needs.append((f"a value for {name}", f"{where}: its source depends on it"))
    elif bind.source == model.project_dir and bind.relative:
        _whole_folder(found, service, bind)
    elif bind.relative and inside:
        relative = os.path.relpath(bind.source, model.project_dir)
        here = os.path.exists(os.path.join(place.folder, relative))
        if not here and not bind.read_only and not paths.looks_like_file(bind.written):
            found.made.setdefault(
                bind.source, f"{where}: data in the stack's folder; the deploy creates it and never removes it"
            )
        elif not here and bind.source not in _written(model):
            _not_shipped(found, service, bind, who, place, relative)
    elif bind.relative:
        _outside(found, service, bind, who, place)
    elif paths.of_the_host(bind.source):
        return
    elif paths.looks_like_file(bind.source) and _in_the_folder(bind.source, place.folder):
        # The instructions of such projects say to copy it there by hand.
        name = _in_the_folder(bind.source, place.folder)
        reason = (
            f"{name} comes with the project: it is deployed with the stack, and not copied to {bind.source} by hand"
        )
        found.moved.setdefault(service.name, []).append((bind, f"./{name}", reason))
    elif paths.looks_like_file(bind.source):
        found.needs.append((f"the file {bind.source} on the host", f"{where}: it must exist before the first deploy"))
    else:
        _directory(found, _on_the_host(bind), bind, service, who)


def _whole_folder(found: Proposal, service: Service, bind: Bind) -> None:
    """The stack's folder as a source: a container that writes to it could change the compose file."""
    targets = [*(each.target for each in service.binds), *(target for _name, target in service.named_volumes)]
    if bind.read_only:
        return
    if any(target.startswith(bind.target.rstrip("/") + "/") for target in targets):
        # The engine could not create the directory for the other mount.
        reason = f"{bind.written} is the whole folder of the stack, and another mount is in {bind.target}"
        found.needs.append((f"a folder for {bind.target} of service {service.name} in the compose file", reason))
    else:
        reason = f"{bind.written} is the whole folder of the stack: the container must not change the compose file"
        found.moved.setdefault(service.name, []).append((replace(bind, read_only=True), ".", reason))


def _not_shipped(found: Proposal, service: Service, bind: Bind, who: owner.Owner, place: Place, relative: str) -> None:
    """A relative source that no service writes to and that is not in the folder."""
    names = (os.path.basename(relative), os.path.basename(bind.target))
    if not paths.looks_like_file(bind.written) and any(map(_MEDIA.fullmatch, names)):
        _moved_to_data(found, service, bind, who, place, "it is a media directory by its name")
    else:
        found.needs.append(
            (f"the file {relative}", f"service {service.name}, {bind.target}: it does not come with the stack")
        )


def _moved_to_data(found: Proposal, service: Service, bind: Bind, who: owner.Owner, place: Place, reason: str) -> None:
    new = os.path.join(place.data_root, os.path.basename(bind.source.rstrip("/")) or "data")
    found.moved.setdefault(service.name, []).append((bind, new, f"{bind.written}: {reason}"))
    found.needs.append((f"the content of {bind.written} at {new}", f"service {service.name}, {bind.target}: {reason}"))
    if not paths.looks_like_file(bind.written):
        _directory(found, new, bind, service, who)


def _outside(found: Proposal, service: Service, bind: Bind, who: owner.Owner, place: Place) -> None:
    """A relative source that leads out of the folder: a part of the checkout, or else data."""
    part = place.part(bind.written)
    if part:
        reason = f"{bind.written} leads out of the stack's folder: a copy of that part of the checkout is in {part}"
        found.moved.setdefault(service.name, []).append((bind, f"./{part}", reason))
        return
    _moved_to_data(found, service, bind, who, place, "its source leads out of the stack's folder")


def _context(found: Proposal, service: Service, place: Place) -> None:
    """A build context that leads out of the folder."""
    build = service.raw.get("build")
    written = str((build.get("context") if isinstance(build, dict) else build) or ".")
    if "://" in written or NOT_SET in written or os.path.normpath(written).split("/")[0] != "..":
        return
    part = place.part(written)
    if part:
        reason = f"{written} leads out of the stack's folder: a copy of that part of the checkout is in {part}"
        found.contexts[service.name] = (f"./{part}", reason)
    else:
        what = f"the build context {written} of service {service.name} in the stack's folder"
        found.needs.append(
            (what, "it leads out of the folder, and Git has no file there: copy it, and name its new path")
        )


def _written(model: Model) -> set[str]:
    """Missing directories that a deploy creates, because a service writes to them."""
    binds = (bind for service in model.services.values() for bind in service.binds)
    return {bind.source for bind in binds if not bind.read_only and not paths.looks_like_file(bind.written)}


def _in_the_folder(path: str, folder: str) -> str:
    """The file of the project whose path ends as ``path`` does, relative to ``folder``; "" without one."""
    parts = path.strip("/").split("/")
    ends = ("/".join(parts[first:]) for first in range(len(parts)))
    return next((end for end in ends if os.path.isfile(os.path.join(folder, end))), "")


def _on_the_host(bind: Bind) -> str:
    # The home of the user on the host, not of the one on this machine.
    return (
        "{{ ansible_facts['user_dir'] }}" + bind.written[1:].rstrip("/")
        if bind.written.startswith("~")
        else bind.source
    )


def _directory(found: Proposal, path: str, bind: Bind, service: Service, who: owner.Owner) -> None:
    kind = "log" if re.search(r"/logs?(?:/|$)", bind.target) else "config" if bind.read_only else "data"
    made = DataDirectory(
        path, kind, who.user, who.group, who.mode, f"service {service.name}, {bind.target}: {who.reason}"
    )
    for number, present in enumerate(found.directories):
        if present.path == path:
            if not present.user and who.user:
                found.directories[number] = made
            return
    found.directories.append(made)


def _database(found: Proposal, service: Service) -> None:
    if not databases.is_database(service.image):
        return
    image = service.image.partition("@")[0].rpartition("/")[2].lower()
    keys = {"name": service.name, "service": service.name}
    if re.search("postgres|timescale|pgvector", image):
        found.sources.append(
            BackupSource({**keys, "kind": "postgresql"}, f"image {service.image} is PostgreSQL: a dump, rehearsed")
        )
    elif re.search("redis|valkey", image):
        words = " ".join([*(service.command or ()), *(service.entrypoint or ())])
        note = ", with the password of its command" if "requirepass" in words else ""
        found.sources.append(BackupSource({**keys, "kind": "redis"}, f"image {service.image} is Redis{note}"))
    elif re.search("mariadb|mysql", image):
        found.sources.append(
            BackupSource({**keys, "kind": "mysql"}, f"image {service.image} is MariaDB or MySQL: a dump, rehearsed")
        )
    else:
        found.not_backed_up.append(
            f"service {service.name} runs {service.image}: no source kind dumps it. "
            "Copied files of a running database may not restore"
        )


def sources(model: Model, data: t.Mapping[str, str]) -> Proposal:
    """A proposal of backup sources alone.

    Args:
        data: directories that hold data -> the reason.
    """
    found = Proposal(made=dict(data))
    for service in model.services.values():
        _database(found, service)
    _directory_sources(found, model)
    return found


def _directory_sources(found: Proposal, model: Model) -> None:
    """Sources for writable directories that no database source covers."""
    covered = {source.keys["service"] for source in found.sources}
    for service in model.services.values():
        if service.name in covered or databases.is_database(service.image):
            continue
        for bind in service.binds:
            known = bind.source in found.made or any(each.path == bind.source for each in found.directories)
            if bind.read_only or not known or any(source.keys.get("path") == bind.source for source in found.sources):
                continue
            last = os.path.basename(bind.source)
            if _MEDIA.fullmatch(last) or _MEDIA.fullmatch(os.path.basename(bind.target)):
                found.not_backed_up.append(
                    f"{bind.source}: a media directory by its name. Add a source if there is no other copy"
                )
                continue
            name = _free_name(found, f"{service.name}-{last}" if last != service.name else last)
            found.sources.append(
                BackupSource(
                    {"name": name, "kind": "directory", "path": bind.source},
                    f"data of service {service.name} ({bind.target})",
                )
            )
        for volume, target in service.named_volumes:
            _volume_source(found, service, volume, target)


def _volume_source(found: Proposal, service: Service, volume: str, target: str) -> None:
    if not volume:
        found.not_backed_up.append(
            f"an anonymous volume of service {service.name} ({target}): it is lost with its container. Give it a name"
        )
    elif _MEDIA.fullmatch(volume) or _MEDIA.fullmatch(os.path.basename(target)):
        found.not_backed_up.append(f"volume {volume}: media by its name. Add a source if there is no other copy")
    elif not any(source.keys.get("volume") == volume for source in found.sources):
        keys = {"name": _free_name(found, volume), "kind": "volume", "volume": volume}
        found.sources.append(BackupSource(keys, f"data of service {service.name} ({target})"))


def _free_name(found: Proposal, wanted: str) -> str:
    name = re.sub(r"[^a-z0-9-]+", "-", wanted.lower()).strip("-") or "data"
    taken = {source.keys["name"] for source in found.sources}
    return next(each for each in (name, *(f"{name}-{number}" for number in range(2, 1000))) if each not in taken)
