# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the folder and the inventory of a project that runs already, so that a deploy finds nothing to change.

Improvements, such as backups and the start at boot, are comments: each is one line to change afterwards.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import NOT_SET
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.compose.running import bundle
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold import copy, propose, read, write
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold.scaffold import Made
from ansible_collections.onebox.stack.plugins.module_utils.core import files

_ENV = ".env"
_PRIVATE = 0o600


@dataclass(frozen=True)
class Order:
    """The request.

    Attributes:
        project: one project as stack_discover returns it.
        bundle: its files, as stack_discover returns them.
        host: the inventory host.
        stacks: directory with one folder for each stack.
        inventory: directory with ``host_vars``.
    """

    project: t.Mapping[str, t.Any]
    bundle: str
    host: str
    stacks: str
    inventory: str

    @property
    def name(self) -> str:
        return str(self.project["name"])


def adopt(order: Order, load: read.Load, check: bool) -> Made:
    """Write the folder and the inventory of a running project.

    Args:
        load: parses YAML.
        check: write nothing, and return what would be written.

    Raises:
        ComposeError: its files are not complete, or cannot be read.
        FileError: a file cannot be written.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", order.name):
        raise ComposeError(f"adopt: {order.name!r} is not a name for a stack.")
    shipped = _with_env(order, bundle.unpack(order.bundle))
    names = [str(each) for each in order.project["files"]]
    with tempfile.TemporaryDirectory(suffix=".onebox") as folder:
        for each in shipped:
            path = os.path.join(folder, each.path)
            files.make_directories(os.path.dirname(path), 0o700)
            files.replace(path, each.content, _PRIVATE, durable=False)
        _check_names(order, names, {each.path for each in shipped})
        profiles = _profiles(order, folder, names, load)
        origin = read.read(folder, order.name, order.project["working_dir"], load, names, profiles)
        sources = propose.Place(folder, f"/srv/{order.name}", lambda written: "")
        proposal = propose.propose(origin.model, sources, "public", {}, {})
    writer = copy.Writer(check)
    for each in shipped:
        private = each.path == _ENV
        reason = "variables and secrets: keep it out of version control" if private else f"runs on {order.host}"
        path = os.path.join(order.stacks, order.name, each.path)
        writer.write(path, each.content, _PRIVATE if private else each.mode, reason)
    text = _host_vars(order, origin, proposal, names, profiles)
    group = re.sub(r"[^a-z0-9_]", "_", order.name)
    place = os.path.join(order.inventory, "host_vars", order.host)
    path = os.path.join(place, f"{group}.yml") if os.path.isdir(place) else f"{place}.yml"
    writer.write(path, text.encode(), 0o644, "declares the stack as it runs now")
    needs = [{"what": what, "reason": reason} for what, reason in _needs(order, origin, shipped)]
    return Made(writer.written, needs, writer.changed)


def _with_env(order: Order, shipped: list[bundle.File]) -> list[bundle.File]:
    """The files, with an environment file of another name as ``.env``, which a deploy reads."""
    names = {each.path: each for each in shipped}
    other = names.get(str(order.project["env_file"]))
    if other is None or other.path == _ENV:
        return shipped
    rest = [each for each in shipped if each.path != _ENV]
    return [*rest, bundle.File(_ENV, _PRIVATE, other.content)]


def _check_names(order: Order, names: t.Sequence[str], shipped: t.Collection[str]) -> None:
    missing = [each for each in names if each not in shipped]
    if missing or not names:
        raise ComposeError(
            f"adopt: project {order.name} runs from {', '.join(missing) or 'an unknown compose file'}, which is not in "
            f"{order.project['folder']}. Copy its compose file there, or to this machine, and run new_stack.yml."
        )


def _profiles(order: Order, folder: str, names: t.Sequence[str], load: read.Load) -> list[str]:
    """The profiles of services that run."""
    running = {each["name"] for each in order.project["services"]}
    found = []
    for name in names:
        services = (load(files.read_text(os.path.join(folder, name))) or {}).get("services") or {}
        for service, body in services.items():
            if service in running and isinstance(body, dict):
                found += [str(each) for each in body.get("profiles") or ()][:1]
    return sorted(set(found))


def _host_vars(
    order: Order, origin: read.Origin, proposal: propose.Proposal, names: t.Sequence[str], profiles: t.Sequence[str]
) -> str:
    project = order.project
    source = write.relative_to_inventory(os.path.join(order.stacks, order.name), order.inventory)
    lines = [
        "---",
        write.comment(
            f"Stack {order.name}, adopted from {order.host} as {project['tool']} runs it. It is yours: edit it."
        ),
        f"compose_stack_name: {write.scalar(order.name)}",
        write.comment("The stack's folder on this machine."),
        f"compose_stack_source: {json.dumps(source)}",
        write.comment("The directory that its containers are from. With another one they are created again."),
        f"compose_stack_project_dir: {write.scalar(project['working_dir'])}",
        f"onebox_engine: {project['engine']}",
        write.comment("The compose tool that its containers are from."),
        f"compose_stack_provider: {project['provider']}",
    ]
    if not _usual(names):
        lines += [
            write.comment("In the order they are merged."),
            f"compose_stack_files: [{', '.join(map(write.scalar, names))}]",
        ]
    if profiles:
        lines.append(f"compose_stack_profiles: [{', '.join(map(write.scalar, profiles))}]")
    lines += write.exposure_lines("public", [_published(each) for each in proposal.ports])
    lines += _directories(order)
    lines += _boot(project)
    lines += _backups(proposal)
    return "\n".join(lines) + "\n"


def _usual(names: t.Sequence[str]) -> bool:
    """Whether a deploy finds these compose files by itself."""
    return bool(names) and names[0] in FILE_NAMES and all(each in OVERRIDE_NAMES for each in names[1:])


def _published(port: propose.Published) -> propose.Published:
    reason = port.reason if port.listed else f"other machines reach it now. {port.reason}"
    return propose.Published(port.service, port.row, True, reason)


def _directories(order: Order) -> list[str]:
    """The directories outside the deploy directory, as they are."""
    base = order.project["working_dir"].rstrip("/") + "/"
    rows = [
        each
        for each in order.project["data"]
        if each["kind"] == "bind" and each["folder"] and not f"{each['path']}/".startswith(base)
    ]
    lines = ["", write.comment("As they are on the host."), "data_dirs_directories:"] if rows else []
    for row in rows:
        made = propose.DataDirectory(
            row["path"], "config" if row["read_only"] else "data", row["uid"], row["gid"], row["mode"], ""
        )
        lines += [
            f"  {write.comment('service ' + ', '.join(row['services']) + '.')}",
            f"  - {write.directory_item(made)}",
        ]
    return lines


def _boot(project: t.Mapping[str, t.Any]) -> list[str]:
    return [
        "",
        write.comment(f"After a reboot: {project['reboot']['message']}."),
        "# To let a unit of systemd start the stack in order, after its disks are mounted, remove this line.",
        "compose_stack_boot: false",
    ]


def _backups(proposal: propose.Proposal) -> list[str]:
    lines = [""] if proposal.sources or proposal.not_backed_up else []
    lines += [write.comment(f"Not backed up: {text}.") for text in dict.fromkeys(proposal.not_backed_up)]
    if proposal.sources:
        lines += ["# Backups: remove the number signs, and site.yml sets them up, with a first backup and a rehearsal."]
        lines += ["# backups_sources:"]
        for source in proposal.sources:
            pairs = ", ".join(f"{key}: {write.scalar(value)}" for key, value in source.keys.items())
            lines.append(write.comment(f"  - {{ {pairs} }}").replace("# - ", "#   - "))
    return lines


def _needs(order: Order, origin: read.Origin, shipped: t.Sequence[bundle.File]) -> list[tuple[str, str]]:
    found = []
    base = order.project["working_dir"]
    for name, text in origin.unset.items():
        reason = text or "its tool had the value from its own environment"
        found.append((f"a value for {name} in compose_stack_env", reason))
    for service in origin.model.services.values():
        for bind in service.binds:
            if NOT_SET in bind.source:
                continue
            inside = bind.source == base or bind.source.startswith(f"{base}/")
            where = f"{bind.target} of service {service.name}"
            if bind.relative and not inside:
                found.append(
                    (f"{bind.source} instead of {bind.written} in the compose file", f"{where}: its containers stay")
                )
            elif inside and not bind.relative and not bind.read_only:
                short = f"./{os.path.relpath(bind.source, base)}"
                found.append(
                    (f"{short} instead of {bind.written} in the compose file", f"{where}: its containers stay")
                )
            elif bind.source == base and not bind.read_only:
                found.append((f"a directory below . for {where}", "the container can change the compose file"))
    if any(each.path == _ENV for each in shipped):
        path = os.path.join(order.stacks, order.name, _ENV)
        found.append((f"nothing now: {path} has the secrets", "keep it out of version control, or encrypt it"))
    return list(dict.fromkeys(found))
