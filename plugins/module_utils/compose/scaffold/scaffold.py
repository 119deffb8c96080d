# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a stack of any compose project: its folder, its inventory, and a list of what only a person can bring."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import (
    checkout,
    copy,
    propose,
    read,
    values,
    write,
)
from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.paths import realpath
from ansible_collections.onebox.stack.plugins.module_utils.core.world import World
from ansible_collections.onebox.stack.plugins.module_utils.engine import discover
from ansible_collections.onebox.stack.plugins.module_utils.engine.client import Engine, EngineError

EXPOSURES = ("public", "lan", "loopback")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_OVERRIDE = "compose.override.yml"
_OWN_OVERRIDE = "compose.onebox.yml"
_SECRET_MODE = 0o600


@dataclass(frozen=True)
class Order:
    """The request.

    Attributes:
        origin: folder or compose file.
        stacks: directory with one folder for each stack.
        inventory: directory with ``host_vars``.
        project_dir: where the stack will be on its host.
        data_root: directory on the host for data whose source leads out of the folder.
        engine: the engine that shows images and running containers; "none" uses none.
    """

    origin: str
    name: str
    host: str
    stacks: str
    inventory: str
    project_dir: str
    data_root: str
    files: tuple[str, ...] = ()
    exposure: str = "public"
    engine: str = "auto"


@dataclass
class Made:
    """What was made. ``needs``: ``{what, reason}`` that only a person can bring."""

    files: list[copy.Written] = field(default_factory=list)
    needs: list[dict[str, str]] = field(default_factory=list)
    changed: bool = False


def scaffold(order: Order, load: read.Load, world: World, check: bool) -> Made:
    """Write the folder and the inventory of a stack.

    Args:
        load: parses YAML.
        check: write nothing, and return what would be written.

    Raises:
        ComposeError: the project cannot be read, or a name is not valid.
        FileError: a file cannot be written.
    """
    _checked(order)
    origin = read.read(order.origin, order.name, order.project_dir, load, order.files)
    shipped = copy.shipped(origin.folder, origin.model, world)
    images, processes = _at_engine(order, origin, world)
    above = checkout.Checkout(origin.folder, world)
    place = propose.Place(origin.folder, order.data_root, above.part)
    proposal = propose.propose(origin.model, place, order.exposure, images, processes)
    judged = _judged(origin)
    _password_variables(proposal, origin, judged)
    proposal.needs += [
        (f"nothing yet, but know this: {note}", "the proposal is made without it") for note in origin.notes
    ]
    proposal.needs += _open_values(origin, judged)
    writer = copy.Writer(check)
    folder = os.path.join(order.stacks, order.name)
    _write_files(writer, folder, origin.folder, shipped.names)
    _write_files(writer, os.path.join(folder, above.base), above.top, above.names)
    for name, reason in shipped.left.items():
        writer.keep(os.path.join(origin.folder, name), f"is not copied: {reason}")
    names = _write_folder(writer, folder, origin, order, proposal)
    _write_inventory(writer, folder, names, origin, order, proposal, judged)
    needs = [{"what": what, "reason": reason} for what, reason in dict.fromkeys(proposal.needs)]
    return Made(writer.written, needs, writer.changed)


def _checked(order: Order) -> None:
    if not _NAME.fullmatch(order.name):
        raise ComposeError(
            f"name: {order.name!r} is not a name for a stack. Use lower-case letters, digits, '_', '.' and '-', and "
            "begin with a letter or a digit."
        )
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", order.host):
        raise ComposeError(f"host: {order.host!r} is not a name for a host of the inventory.")
    target = realpath(os.path.join(order.stacks, order.name))
    if realpath(order.origin) == target:
        raise ComposeError(f"from: {order.origin} is the folder that would be written. Name the project's own folder.")


def _at_engine(order: Order, origin: read.Origin, world: World) -> tuple[propose.Images, dict[str, str]]:
    """The images that are here, and ``uid:gid`` of the services that run here."""
    if order.engine == "none":
        return {}, {}
    try:
        engine = discover.find(order.engine, None, world=world)
        images = engine.images([service.image for service in origin.model.services.values()])
        return {name: image for name, image in images.items() if image is not None}, _processes(engine, order.name)
    except EngineError:
        return {}, {}


def _processes(engine: Engine, project: str) -> dict[str, str]:
    found = {}
    for container in engine.containers(project):
        with contextlib.suppress(OSError):
            if container.running and container.pid:
                with open(f"/proc/{container.pid}/status", encoding="utf-8", errors="replace") as stream:
                    text = stream.read()
                uid, gid = (re.search(rf"(?m)^{key}:\s+\d+\s+(\d+)", text) for key in ("Uid", "Gid"))
                if uid and gid:
                    found[container.service] = f"{uid[1]}:{gid[1]}"
    return found


def _judged(origin: read.Origin) -> dict[str, values.Judged]:
    positions = values.positions(origin.document)
    wanted: dict[str, str | None] = {
        **origin.values,
        **dict.fromkeys(name for name in origin.unset if name not in origin.values),
    }
    return {name: values.judge(name, value, positions.get(name, ""), origin.public) for name, value in wanted.items()}


def _password_variables(proposal: propose.Proposal, origin: read.Origin, judged: t.Mapping[str, values.Judged]) -> None:
    """Name the variable of the password in each source for a Redis whose container has it."""
    for number, source in enumerate(proposal.sources):
        body = (origin.document.get("services") or {}).get(source.keys.get("service", "")) or {}
        words = {key: body.get(key) for key in ("command", "entrypoint")}
        service = origin.model.services.get(source.keys.get("service", ""))
        held = service.environment if service is not None else {}
        secret = [name for name in interpolation.mentioned(words) if name in judged and judged[name].secret]
        if source.keys["kind"] == "redis" and len(secret) == 1 and secret[0] in held:
            keys = {**source.keys, "password_variable": secret[0]}
            proposal.sources[number] = propose.BackupSource(keys, source.reason)


def _open_values(origin: read.Origin, judged: t.Mapping[str, values.Judged]) -> list[tuple[str, str]]:
    found = []
    for name, each in judged.items():
        if each.open:
            text = origin.unset.get(name) or "the compose file has no default for it"
            found.append((f"a value for {name} in compose_stack_env", text))
        elif each.secret and not each.value:
            found.append((f"a value for {name}, or leave it empty when the application does", each.reason))
    return found


def _write_files(writer: copy.Writer, folder: str, origin: str, names: t.Iterable[str]) -> None:
    for name in names:
        path = os.path.join(origin, name)
        mode = 0o755 if os.stat(path).st_mode & 0o100 else 0o644
        with files.open_regular(path) as stream:
            writer.write(os.path.join(folder, name), stream.read(), mode, f"comes with the stack, from {path}")


def _write_folder(
    writer: copy.Writer,
    folder: str,
    origin: read.Origin,
    order: Order,
    proposal: propose.Proposal,
) -> tuple[str, ...]:
    """Write missing environment files and the override. Returns the compose files to name in the inventory, if any."""
    for name, example in read.missing_env_files(origin).items():
        if name == ".env" or name.startswith(".."):
            continue
        if example:
            with files.open_regular(os.path.join(origin.folder, example)) as stream:
                reason = f"a service reads it, and only its example {example} is there: check the values"
                writer.write(os.path.join(folder, name), stream.read(), _SECRET_MODE, reason)
        else:
            proposal.needs.append((f"the file {name} in {folder}", "a service reads its variables from it"))
    open_ports = {} if order.exposure == "lan" else origin.open_ports
    text = write.override(order.name, origin.model.services, proposal, open_ports)
    usual = not order.files and not os.path.isfile(order.origin)
    has_own = any(name in OVERRIDE_NAMES for name in origin.names) or not usual
    if text:
        reason = "changes what the inventory cannot, and leaves the compose file as it is"
        writer.write(os.path.join(folder, _OWN_OVERRIDE if has_own else _OVERRIDE), text.encode(), 0o644, reason)
    if has_own and (text or not usual):
        return (*origin.names, *((_OWN_OVERRIDE,) if text else ()))
    return ()


def _write_inventory(
    writer: copy.Writer,
    folder: str,
    names: tuple[str, ...],
    origin: read.Origin,
    order: Order,
    proposal: propose.Proposal,
    judged: t.Mapping[str, values.Judged],
) -> None:
    group = re.sub(r"[^a-z0-9_]", "_", order.name)
    vault = os.path.join(order.inventory, "group_vars", f"{group}.yml")
    secrets = write.secrets(order.name, judged, vault)
    if secrets:
        _write_secrets(writer, vault, secrets, judged, order.name)
        _write_hosts(writer, order, group, proposal)
    source = write.relative_to_inventory(folder, order.inventory)
    required = [name for name, each in judged.items() if each.open]
    text = write.host_vars(order.name, source, origin.folder, judged, proposal, order.exposure, required)
    if names:
        text += f"\n{write.comment('In the order they are merged.')}\n"
        text += f"compose_stack_files: [{', '.join(map(write.scalar, names))}]\n"
    place = os.path.join(order.inventory, "host_vars", order.host)
    path = os.path.join(place, f"{group}.yml") if os.path.isdir(place) else f"{place}.yml"
    writer.write(path, text.encode(), 0o644, "declares the stack: check it before the first deploy")


def _write_secrets(
    writer: copy.Writer, path: str, text: str, judged: t.Mapping[str, values.Judged], stack: str
) -> None:
    """Write the secrets, or those that an existing file lacks: random values are generated once."""
    reason = "holds the secrets: encrypt it with ansible-vault"
    if not os.path.lexists(path):
        writer.write(path, text.encode(), _SECRET_MODE, reason)
        return
    try:
        present = files.read_text(path)
    except OneboxError:
        present = ""
    if present.startswith("$ANSIBLE_VAULT"):
        writer.keep(path, "is encrypted, so it stays. It needs " + _names(judged, stack, ""))
        return
    missing = _names(judged, stack, present)
    beside = f"{path}.new"
    if missing and not os.path.exists(beside):
        writer.write(path, text.encode(), _SECRET_MODE, f"has no {missing}")
    else:
        writer.keep(path, "is there and stays" + (f". It needs {missing}: see {beside}" if missing else ""))


def _names(judged: t.Mapping[str, values.Judged], stack: str, present: str) -> str:
    known = set(re.findall(r"(?m)^([A-Za-z_][A-Za-z0-9_]*):", present))
    names = [write.vault_name(stack, name) for name, each in judged.items() if each.secret]
    return ", ".join(name for name in names if name not in known)


def _write_hosts(writer: copy.Writer, order: Order, group: str, proposal: propose.Proposal) -> None:
    """Put the host into the group whose variables are the secrets."""
    path = os.path.join(order.inventory, "hosts.yml")
    present = files.read_text(path) if os.path.isfile(path) else ""
    if not present and not any(name.startswith("hosts") for name in _listed(order.inventory)):
        writer.write(
            path, write.hosts(order.host, group).encode(), 0o644, "puts the host into the group of its secrets"
        )
    elif not re.search(rf"(?m)^\s+{re.escape(group)}:\s*(?:#.*)?$", present):
        block = f"all: {{children: {{{group}: {{hosts: {{{order.host}: }}}}}}}}"
        proposal.needs.append(
            (
                f"host {order.host} in group {group} of the inventory ({block})",
                "the secrets are in group_vars of that group",
            )
        )


def _listed(folder: str) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []
