# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the inventory and the override of a new stack as YAML in which each line says why it is there."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import Service
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.short_syntax import PortRow
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold.propose import (
    DataDirectory,
    Proposal,
    Published,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold.read import OpenPort
from ansible_collections.onebox.stack.plugins.module_utils.compose.scaffold.values import Judged

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def scalar(value: str) -> str:
    """A text as a YAML scalar that Ansible does not take for a template."""
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return f"!unsafe {quoted}" if re.search(r"\{[{%#]", value) else quoted


def comment(text: str) -> str:
    """One line of a comment: whatever the origin has in its names cannot end it."""
    return "# " + " ".join(text.split())


def vault_name(stack: str, name: str) -> str:
    """The variable of the vault that holds the value of a variable of the stack."""
    return re.sub(r"[^a-z0-9_]", "_", f"vault_{stack}_{name}".lower())


def host_vars(
    stack: str,
    source: str,
    origin: str,
    env: t.Mapping[str, Judged],
    proposal: Proposal,
    exposure: str,
    required: t.Sequence[str],
) -> str:
    """The text of ``host_vars/<host>.yml``.

    Args:
        source: value of ``compose_stack_source``.
        origin: what it was made from, for the comment at the top.
        env: the variables of the stack's environment file.
        required: those that must have a value.
    """
    lines = ["---", comment(f"Stack {stack}, proposed from {origin}. It is yours: check it, edit it, keep it.")]
    lines += [
        f"compose_stack_name: {scalar(stack)}",
        comment("The stack's folder on this machine."),
        f"compose_stack_source: {json.dumps(source)}",
    ]
    lines += exposure_lines(exposure, proposal.ports)
    lines += _directories(proposal)
    reasons = {
        "External networks, which other stacks use, too": proposal.networks,
        "The paths of some directories depend on variables without a value": list(dict.fromkeys(proposal.unknown)),
    }
    if any(reasons.values()):
        lines += ["", *(comment(f"{reason}: {', '.join(names)}.") for reason, names in reasons.items() if names)]
        lines += [
            "# A deploy creates them if they do not exist, and directories that are missing.",
            "onebox_defaults: derive",
        ]
    lines += _env(stack, env, required)
    lines += _backups(proposal)
    if proposal.needs:
        lines += ["", "# What only you can bring:"]
        lines += [comment(f"- {what}: {reason}.") for what, reason in dict.fromkeys(proposal.needs)]
    return "\n".join(lines) + "\n"


def exposure_lines(exposure: str, ports: t.Sequence[Published]) -> list[str]:
    """The exposure and the listed ports, with their reasons."""
    lines = ["", comment(_EXPOSURES[exposure]), f"onebox_exposure: {exposure}"]
    listed: dict[int, list[str]] = {}
    for port in ports:
        if port.listed and exposure == "public":
            listed.setdefault(port.row.published, []).append(
                f"{port.row.published}/{port.row.protocol} of service {port.service}: {port.reason}"
            )
    if listed:
        lines += [comment(f"{'; '.join(dict.fromkeys(reasons))}.") for reasons in list(listed.values())[:40]]
        lines.append(f"compose_stack_public_ports: [{', '.join(map(str, sorted(listed)))}]")
    return lines


_EXPOSURES = {
    "public": "Other machines reach the ports listed here. The override binds the others to 127.0.0.1.",
    "lan": "Ports without an address are for the local network. On a host with a public address, write public.",
    "loopback": "Nothing is published beyond this host: the override binds each port to 127.0.0.1.",
}


def _directories(proposal: Proposal) -> list[str]:
    lines = [""] if proposal.directories or proposal.made else []
    lines += [comment(f"{path}: {reason}.") for path, reason in proposal.made.items()]
    if proposal.directories:
        lines.append("data_dirs_directories:")
        for each in proposal.directories:
            lines += [f"  {comment(each.reason + '.')}", f"  - {directory_item(each)}"]
    return lines


def directory_item(each: DataDirectory) -> str:
    """An entry of ``data_dirs_directories``."""
    pairs = [("path", json.dumps(each.path) if "{{" in each.path else scalar(each.path)), ("class", each.kind)]
    if each.user:
        pairs += [("owner", json.dumps(each.user)), ("group", json.dumps(each.group or each.user))]
    # Without an owner as an engine would create it, since any user may be the one.
    mode = each.mode or ("" if each.user else "0755")
    pairs += [("mode", json.dumps(mode))] if mode else []
    return "{ " + ", ".join(f"{key}: {value}" for key, value in pairs) + " }"


def _env(stack: str, env: t.Mapping[str, Judged], required: t.Sequence[str]) -> list[str]:
    if not env:
        return []
    lines = [
        "",
        comment("Becomes the stack's .env. Values named vault_… are in the file of secrets."),
        "compose_stack_env:",
    ]
    for name, judged in env.items():
        if judged.reason:
            lines.append(f"  {comment(judged.reason + '.')}")
        if judged.secret:
            lines.append(f'  {name}: "{{{{ {vault_name(stack, name)} }}}}"')
            continue
        if judged.open:
            lines.append(f"  {comment('Fill it in: the compose file needs it, and it has no value.')}")
        lines.append(f"  {name}: {scalar(judged.value)}")
    if required:
        lines += [
            comment("The compose file has no default for these. Remove those that may be empty."),
            f"compose_stack_required_env: [{', '.join(required)}]",
        ]
    return lines


def _backups(proposal: Proposal) -> list[str]:
    lines = [""] if proposal.sources or proposal.not_backed_up else []
    lines += [comment(f"Not backed up: {text}.") for text in dict.fromkeys(proposal.not_backed_up)]
    if not proposal.sources:
        return lines
    lines.append("backups_sources:")
    for source in proposal.sources:
        pairs = ", ".join(f"{key}: {scalar(value)}" for key, value in source.keys.items())
        lines += [f"  {comment(source.reason + '.')}", f"  - {{ {pairs} }}"]
    return lines


def secrets(stack: str, env: t.Mapping[str, Judged], file: str) -> str:
    """The text of the file of secrets, "" when there is none."""
    lines = []
    for name, judged in env.items():
        if judged.secret:
            lines += [
                comment(f"{name}: {judged.reason}."),
                f"{vault_name(stack, name)}: {scalar(judged.value) if judged.value else json.dumps('')}",
            ]
    if not lines:
        return ""
    head = [comment(f"Secrets of stack {stack}. Encrypt this file: ansible-vault encrypt {file}")]
    return "\n".join(["---", *head, *lines]) + "\n"


def override(
    stack: str,
    services: t.Mapping[str, Service],
    proposal: Proposal,
    open_ports: t.Mapping[str, t.Sequence[OpenPort]],
) -> str:
    """The text of the generated compose file, "" when none is needed.

    Args:
        open_ports: service -> ports whose number is not known, which are bound to loopback where possible.
    """
    bound: dict[str, list[Published]] = {}
    for port in proposal.ports:
        if not port.listed:
            bound.setdefault(port.service, []).append(port)
    lines = []
    unknown = {name for name, rows in open_ports.items() if any(row.local for row in rows)}
    for name in sorted({*bound, *unknown, *proposal.moved, *proposal.contexts}):
        lines.append(f"  {scalar(name)}:")
        if name in bound or name in unknown:
            lines += _ports(services[name], bound.get(name, ()), open_ports.get(name, ()))
        if name in proposal.contexts:
            path, reason = proposal.contexts[name]
            lines += [f"    {comment(reason + '.')}", f"    build: {{ context: {scalar(path)} }}"]
        for number, (bind, path, reason) in enumerate(proposal.moved.get(name, ())):
            lines += [] if number else ["    volumes:"]
            lines.append(f"      {comment(reason + '.')}")
            lines.append(f"      - {json.dumps(f'{path}:{bind.target}' + (':ro' if bind.read_only else ''))}")
    if not lines:
        return ""
    head = [comment(f"Generated for stack {stack}: the compose file next to it stays as its owner wrote it.")]
    return "\n".join([*head, "services:", *lines]) + "\n"


def _ports(service: Service, bound: t.Sequence[Published], unknown: t.Sequence[OpenPort]) -> list[str]:
    reasons = [f"{port.row.published or 'a free port'} on 127.0.0.1: {port.reason}" for port in bound]
    reasons += [f"{port.written} on 127.0.0.1: its number is not known here" for port in unknown if port.local]
    local = {port.row for port in bound}
    rows = [_port(row, row in local) for row in service.ports]
    rows += [f"127.0.0.1:{port.written}" if port.local else port.written for port in unknown]
    lines = [f"    {comment(reason + '.')}" for reason in dict.fromkeys(reasons)]
    return [*lines, "    ports: !override", *(f"      - {json.dumps(row)}" for row in rows)]


def _port(row: PortRow, local: bool) -> str:
    address = "127.0.0.1" if local else f"[{row.host_ip}]" if ":" in row.host_ip else row.host_ip
    published = str(row.published) if row.published else ""
    text = (
        f"{address}:{published}:{row.target}"
        if address
        else f"{published}:{row.target}"
        if published
        else str(row.target)
    )
    return text if row.protocol == "tcp" else f"{text}/{row.protocol}"


def hosts(host: str, group: str) -> str:
    """The text of a new ``hosts.yml``."""
    lines = [
        "---",
        comment("One host runs one stack. Add ansible_host and ansible_user if it is not this computer."),
    ]
    return (
        "\n".join(
            [
                *lines,
                "all:",
                "  hosts:",
                f"    {scalar(host)}:",
                "  children:",
                f"    {group}:",
                "      hosts:",
                f"        {scalar(host)}:",
            ]
        )
        + "\n"
    )


def relative_to_inventory(path: str, inventory: str) -> str:
    """A path as a template that holds wherever the project is checked out."""
    return "{{ inventory_dir }}/" + os.path.relpath(path, inventory)
