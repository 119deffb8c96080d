# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory must declare so that a refused stack deploys, as the block to paste into host_vars.

A problem carries its need: a mapping with ``variable`` (of the inventory), ``value`` (YAML) and ``reason``.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.compose.proposals.owner import Owner

PORTS, DIRECTORIES, ENV, COMMAND = "compose_stack_public_ports", "data_dirs_directories", "compose_stack_env", ""
CHECKS, SOURCES = "compose_stack_http_checks", "backups_sources"
# Lines of a block in a message. The result of the module has all.
MOST_LINES = 12
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_COMMAND = re.compile(r"(?:docker|podman) (?:network|volume) create [\w.-]+")

Need = dict[str, str]


def port(number: int, reason: str) -> Need:
    """A port that may be reached from other machines."""
    return {"variable": PORTS, "value": str(number), "reason": reason}


def directory(path: str, who: Owner, service: str) -> Need:
    """A directory that ``data_dirs`` creates."""
    quoted = path if _PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)
    pairs = [f"path: {quoted}"]
    if who.user:
        pairs += [f"owner: {json.dumps(who.user)}", f"group: {json.dumps(who.group or who.user)}"]
    if who.mode or not who.user:
        pairs.append(f"mode: {json.dumps(who.mode or '0755')}")
    return {"variable": DIRECTORIES, "value": f"{{ {', '.join(pairs)} }}", "reason": f"service {service}: {who.reason}"}


def check(url: str, reason: str) -> Need:
    """A URL that must answer after a deploy."""
    return {"variable": CHECKS, "value": f"{{ url: {json.dumps(url)} }}", "reason": reason}


def source(keys: t.Mapping[str, str], reason: str) -> Need:
    """A source of backups."""
    pairs = (f"{key}: {value if _PLAIN.fullmatch(value) else json.dumps(value)}" for key, value in keys.items())
    return {"variable": SOURCES, "value": f"{{ {', '.join(pairs)} }}", "reason": reason}


def of(problems: t.Iterable[Problem]) -> list[Need]:
    """The needs of all problems, each once. The first reason counts."""
    found: dict[tuple[str, str], Need] = {}
    for problem in problems:
        need = dict(problem.need) or _by_code(problem)
        if need:
            found.setdefault((need["variable"], need["value"]), need)
    return list(found.values())


def _by_code(problem: Problem) -> Need:
    if problem.code in ("unset_variable", "required_env"):
        asked = re.search(r"is not set \((.+)\)\. Set it in ", problem.message)
        reason = asked[1] if asked else "give it a value; a secret belongs into the vault"
        return {"variable": ENV, "value": f'{problem.where}: ""', "reason": reason}
    command = _COMMAND.search(problem.message) if problem.code in ("no_network", "no_volume") else None
    if command:
        return {"variable": COMMAND, "value": command[0], "reason": f"{problem.where} is external"}
    return {}


def block(needs: t.Sequence[Need]) -> list[str]:
    """The needs as lines of YAML for ``host_vars``. Commands become comments at the end."""
    lines = []
    ports = sorted((need for need in needs if need["variable"] == PORTS), key=lambda need: int(need["value"]))
    if ports:
        reasons = ", ".join(dict.fromkeys(need["reason"] for need in ports))
        lines.append(f"{PORTS}: [{', '.join(need['value'] for need in ports)}]  {_comment(reasons)}")
    for variable, mark in ((DIRECTORIES, "- "), (ENV, ""), (CHECKS, "- "), (SOURCES, "- ")):
        rows = [need for need in needs if need["variable"] == variable]
        lines += [f"{variable}:"] if rows else []
        lines += [f"  {mark}{need['value']}  {_comment(need['reason'])}" for need in rows]
    lines += [f"# on the host: {need['value']}  {_comment(need['reason'])}" for need in needs if not need["variable"]]
    return lines


def shown(needs: t.Sequence[Need], most: int = MOST_LINES) -> list[str]:
    """The block for a message: a heading and at most ``most`` lines, the last of which counts the rest."""
    lines = block(needs)
    if not lines:
        return []
    if len(lines) > most:
        rest = len(lines) - most + 1
        lines = [*lines[: most - 1], f"# and {rest} more lines: see needs in the result, or playbooks/plan.yml"]
    return ["Paste into host_vars of this host (add to the lists that are there):", *lines]


def listed(derived: t.Sequence[Need]) -> list[str]:
    """Derived values for the plan: a heading, and the lines that would declare them."""
    lines = block(derived)
    return (
        ["Derived from the compose file. To declare them, paste into host_vars of this host:", *lines] if lines else []
    )


def _comment(text: str) -> str:
    words = " ".join(text.split())
    return f"# {words[:100]}{'…' if len(words) > 100 else ''}"
