# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the declaration of a stack before it is changed. All problems are reported at once."""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.checks import binds, exposure, ports
from ansible_collections.onebox.stack.plugins.module_utils.compose.drivers.docker_compose.model import (
    no_env_file,
    unset_problems,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET, Model, Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import PortRow
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import Source, moved
from ansible_collections.onebox.stack.plugins.module_utils.compose.plan import plan as planning
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.engine.model import (
    CONFIG_FILES_LABEL,
    WORKING_DIR_LABEL,
    Container,
)

# With less free space, a database or a log stops within minutes.
_LEAST_FREE = 64 << 20
# Problems that an earlier step of the same playbook may solve: check mode creates no directories and no secrets.
MADE_BEFORE = ("no_source", "no_file", "no_secret", "no_network", "no_volume")
_BUILT_OUTSIDE = (
    "The build context leads out of the deploy directory {}. Copy it into the folder of the stack, and name its new "
    "path, or let playbooks/new_stack.yml do so, with from= a folder of the Git checkout"
)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True)
class Rules:
    """The rules of the user for a compose file.

    Attributes:
        required_env: variables of the stack's environment file that must have a value.
        public_ports: ports of the host that may be reached from other machines.
        exposure: what a published port without an address means, see :mod:`checks.exposure`.
        derive: missing directories that binds name are created, and missing external networks.
    """

    required_env: tuple[str, ...] = ()
    public_ports: tuple[int, ...] = ()
    exposure: str = exposure.PUBLIC
    derive: bool = False


def declared(model: Model, source: Source, rules: Rules, images: binds.Images | None = None) -> list[Problem]:
    """Problems that the files alone show. ``images`` show the owners that missing directories need."""
    problems = _required_env(model, source, rules)
    if source.env_file:
        problems += _private(source)
    written = {each.path for each in binds.missing_directories(model, source, False, images or {})}
    for service in model.services.values():
        problems += binds.problems(service, source, rules.derive, images or {}, written)
        problems += _files(service, source)
        problems += exposure.problems(service, rules.exposure, rules.public_ports)
    problems += _twice(model)
    problems += _full([source.project_dir, *_written_to(model)])
    known = [*model.problems, *unset_problems(model.unset, source)]
    return [*known, *(each for each in problems if NOT_SET not in each.where + each.message)]


def _required_env(model: Model, source: Source, rules: Rules) -> list[Problem]:
    values = model.variables
    place = source.named(source.env_file) or os.path.join(source.project_dir, ".env")
    advice = "Give it a value in compose_stack_env"
    if_empty = f"{advice}, or remove it from compose_stack_required_env if it may be empty"
    return [
        Problem("required_env", name, f"is required by this stack and empty in {place}. {if_empty}")
        if name in values
        else Problem("required_env", name, f"is required by this stack and missing in {place}. {advice}")
        for name in rules.required_env
        if not values.get(name)
    ]


def _private(source: Source) -> list[Problem]:
    path = source.named(source.env_file)
    mode = stat.S_IMODE(os.stat(source.env_file).st_mode)
    if mode & 0o077:
        return [
            Problem(
                "env_file_mode", path, f"has mode {mode:04o}, so others can read the secrets. Type: chmod 0600 {path}"
            )
        ]
    return []


def _files(service: Service, source: Source) -> t.Iterator[Problem]:
    where = f"service {service.name}"
    for path, required in service.env_files:
        if required and not os.path.isfile(source.place(path)):
            yield no_env_file(service.name, path)
    for ref in service.files:
        if ref.kind == "file" and not os.path.exists(source.place(ref.value)):
            yield Problem(
                "no_file" if moved(ref.value, source.project_dir, "") == ref.value else "not_shipped",
                where,
                f"its {ref.collection[:-1]} {ref.name} is read from {ref.value}, which does not exist",
            )
    if service.build is not None:
        yield from _build(service, where, source)


def _build(service: Service, where: str, source: Source) -> t.Iterator[Problem]:
    build = service.build or {}
    context, place = str(build.get("context") or ""), source.place
    if "://" in context or build.get("dockerfile_inline"):
        return
    advice = "" if _below(context, source.project_dir) else f". {_BUILT_OUTSIDE.format(source.project_dir)}"
    if not os.path.isdir(place(context)):
        yield Problem("no_context", where, f"its build context {context} is not a directory{advice}")
        return
    dockerfile = os.path.normpath(os.path.join(context, str(build.get("dockerfile") or "Dockerfile")))
    if not os.path.isfile(place(dockerfile)):
        if not build.get("dockerfile") and os.path.isfile(place(os.path.join(context, "Containerfile"))):
            return
        yield Problem("no_dockerfile", where, f"its Dockerfile {dockerfile} does not exist{advice}")
        return
    if not _below(dockerfile, context):
        message = (
            f"its Dockerfile {dockerfile} is outside of its build context {context}. Not every builder supports that"
        )
        yield Problem("dockerfile_outside", where, message)
    beside = os.path.join(os.path.dirname(dockerfile), ".dockerignore")
    if os.path.dirname(dockerfile) != context and os.path.isfile(place(beside)):
        message = (
            f"{beside} has no effect. A .dockerignore counts only at the root of the context, {context}. Move it there"
        )
        yield Problem("dockerignore_elsewhere", where, message)


def _below(path: str, directory: str) -> bool:
    return f"{path}{os.sep}".startswith(directory.rstrip(os.sep) + os.sep)


def _full(places: t.Sequence[str]) -> t.Iterator[Problem]:
    seen = set()
    for place in places:
        try:
            info, device = os.statvfs(place), os.stat(place).st_dev
        except OSError:
            continue  # another check reports that it does not exist
        free = info.f_bavail * info.f_frsize
        # Pseudo file systems such as /proc have no blocks.
        if info.f_blocks and device not in seen and free < _LEAST_FREE:
            message = f"only {free >> 20} MiB are free on its file system. Free some space first"
            yield Problem("disk_full", place, message)
        seen.add(device)


def platforms(model: Model, images: t.Mapping[str, t.Mapping[str, t.Any] | None], machine: str) -> list[Problem]:
    """Images for another processor than ``machine`` (as in ``uname -m``), unless their service sets a platform."""
    here = _MACHINES.get(machine, machine)
    return [
        Problem(
            "wrong_platform",
            f"service {service.name}",
            f"image {service.image} is for {image.get('Architecture')}, and this host is {here}. Use the image for "
            f"{here}, or set platform if the host can emulate it",
        )
        for service in model.services.values()
        for image in [images.get(service.image) or {}]
        if not service.platform and image.get("Architecture") and image.get("Architecture") != here
    ]


def _twice(model: Model) -> t.Iterator[Problem]:
    taken: list[tuple[str, ports.Listener]] = []
    for service in model.services.values():
        for row in service.ports:
            if row.published:
                for name, listener in taken:
                    if ports.clashes(listener, row.host_ip, row.published, row.protocol):
                        yield Problem(
                            "port_twice",
                            f"service {service.name}, port {row.published}",
                            f"is published by service {name}, too. Publish another port",
                        )
                taken.append((service.name, ports.Listener(row.host_ip, row.published, row.protocol, "")))


def foreign(project: str, project_dir: str, containers: t.Sequence[Container]) -> list[Problem]:
    """Containers of a project with this name that were deployed from another directory: two stacks with one name.

    Compose itself would silently replace them.
    """
    ours = realpath(project_dir)
    found: dict[str, list[str]] = {}
    for container in containers:
        theirs = container.labels.get(WORKING_DIR_LABEL, "")
        if not theirs:
            continue
        if realpath(theirs) != ours:
            found.setdefault(theirs, []).append(container.name)
        elif container.labels.get(CONFIG_FILES_LABEL) == "-":
            found.setdefault("standard input", []).append(container.name)
    return [
        Problem(
            "foreign_project_dir",
            f"project {project}",
            f"containers {', '.join(sorted(names))} of this name were deployed from {place}, not from {project_dir}. "
            "Give this stack another name, or remove the other stack first, or set adopt to take over its containers",
        )
        for place, names in sorted(found.items())
    ]


def occupied(
    model: Model,
    rows: t.Sequence[planning.Row],
    own: t.Sequence[Container],
    others: t.Callable[[], t.Sequence[Container]],
    listening: t.Sequence[ports.Listener],
    owner: t.Callable[[str], tuple[int, str]],
) -> list[Problem]:
    """Ports that services about to be created need and that something else uses.

    Args:
        own: the present containers of the project, whose ports the stack may use.
        others: returns every container of the engine. It is called only when a clash needs a name.
        listening: the host's listening sockets.
        owner: the process behind a socket's inode.
    """
    mine = {(row.host_port, row.protocol) for container in own if container.running for row in container.ports}
    problems = []
    for row in rows:
        service = model.services.get(row.service)
        if service is None or not (row.replaces or row.action == planning.START):
            continue
        for port in service.ports:
            if not port.published or (port.published, port.protocol) in mine:
                continue
            hit = next(
                (place for place in listening if ports.clashes(place, port.host_ip, port.published, port.protocol)),
                None,
            )
            asleep = _asleep(port, others(), {container.id for container in own}) if hit is None else ""
            if asleep:
                message = f"belongs to {asleep}, which uses it when it runs again. Publish another port"
                problems.append(Problem("port_taken", f"service {service.name}, port {port.published}", message))
            if hit is not None:
                who = _who(hit, port.published, others, owner, {container.id for container in own})
                problems.append(
                    Problem(
                        "port_taken",
                        f"service {service.name}, port {port.published}",
                        f"is already in use by {who}. Stop it, or publish another port",
                    )
                )
    return problems


def _asleep(port: PortRow, others: t.Sequence[Container], own: t.Container[str]) -> str:
    for container in others:
        if container.id in own or container.running or container.restart_policy in ("", "no"):
            continue
        for row in container.ports:
            listener = ports.Listener(row.host_ip, row.host_port, row.protocol, "")
            if ports.clashes(listener, port.host_ip, port.published, port.protocol):
                return f"container {container.name}" + (f" of stack {container.project}" if container.project else "")
    return ""


def _who(
    hit: ports.Listener,
    port: int,
    others: t.Callable[[], t.Sequence[Container]],
    owner: t.Callable[[str], tuple[int, str]],
    own: t.Container[str],
) -> str:
    for container in others():
        if container.id not in own and container.running and any(row.host_port == port for row in container.ports):
            project = f" of stack {container.project}" if container.project else ""
            return f"container {container.name}{project}"
    pid, name = owner(hit.inode)
    return f"process {name} (pid {pid})" if pid else "a process of another user"


def _written_to(model: Model) -> list[str]:
    """The bind sources that a service of the stack writes to."""
    binds = [bind for service in model.services.values() for bind in service.binds]
    return sorted({bind.source for bind in binds if not bind.read_only})


def sources_of(model: Model) -> list[str]:
    """Every bind source of the stack, once."""
    return sorted({bind.source for service in model.services.values() for bind in service.binds})


def written_to(model: Model) -> list[str]:
    """Bind sources that a container of the stack can write to, once."""
    binds = (bind for service in model.services.values() for bind in service.binds)
    return sorted({bind.source for bind in binds if not bind.read_only})
