# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse compose files that podman-compose (1.3 to 1.6) cannot deploy, or deploys differently than declared."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation as variables
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import pairs
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import Problem

_BRACED = re.compile(r"\$\{[^{}]*\}")
_ESCAPED = re.compile(r"\$(\$\{[^{}]*\})")


def unsupported(path: str, data: t.Mapping[str, t.Any], values: t.Mapping[str, str]) -> t.Iterator[Problem]:
    """Parts that podman-compose omits, resolves wrongly, or resolves only after it has printed its model.

    Args:
        path: the compose file.
        data: the file, parsed.
        values: variables the file may use.
    """
    services = data.get("services")
    secrets = data.get("secrets") if isinstance(data.get("secrets"), dict) else {}
    from_environment = {
        name for name, body in (secrets or {}).items() if isinstance(body, dict) and "environment" in body
    }
    renamed = {
        name
        for name, body in (secrets or {}).items()
        if isinstance(body, dict) and body.get("external") and body.get("name", name) != name
    }
    for name, body in services.items() if isinstance(services, dict) else ():
        if not isinstance(body, dict):
            continue
        found = []
        if "extends" in body:
            found.append("extends cannot be planned with podman-compose. Merge the service by hand")
        if body.get("configs"):
            found.append("podman-compose ignores configs. Mount the file read-only")
        named = body.get("secrets")
        rows = named if isinstance(named, list) else []
        used = {str(row.get("source")) if isinstance(row, dict) else str(row) for row in rows}
        if used & from_environment:
            found.append("podman-compose cannot read secrets from the environment. Use a file")
        if used & renamed:
            found.append("podman-compose passes Podman's secrets to a service only under their own names. Remove name")
        for variable in sorted(_borrowed(body, values)):
            found.append(
                f"podman-compose replaces ${{{variable}}} with the value in the service's own environment, and not "
                f"with its default. Set {variable} in the stack's environment file"
            )
        for text in found:
            message = f"{text}, or use docker compose on podman's socket"
            yield Problem("unsupported", f"{path}: service {name}", message)


# Keys with a boolean. In other keys, Docker Compose uses the word as it is written.
_BOOLEANS = frozenset(
    [
        "attach",
        "attachable",
        "create_host_path",
        "disable",
        "enable_ipv4",
        "enable_ipv6",
        "external",
        "http_proxy",
        "ignore",
        "init",
        "internal",
        "nocopy",
        "no_cache",
        "oom_kill_disable",
        "privileged",
        "pull",
        "read_only",
        "recursive",
        "required",
        "restart",
        "stdin_open",
        "tty",
    ]
)


def misread(
    path: str, odd: t.Iterable[tuple[tuple[str, ...], str, str]], data: t.Mapping[str, t.Any]
) -> t.Iterator[Problem]:
    """Unquoted words that podman-compose reads differently than Docker Compose.

    Args:
        path: the compose file.
        odd: see :class:`interpreter.Parsed`.
        data: the part of the file that is used.
    """
    for where, text, kind in odd:
        service = where[1] if len(where) > 1 and where[0] == "services" else ""
        if where[0].startswith("x-") or (service and service not in (data.get("services") or {})):
            continue
        if kind == "bool":
            # The restart policy of a service is a word, restart in depends_on a boolean.
            policy = where[-1] == "restart" and "depends_on" not in where
            if where[-1] in _BOOLEANS and not policy:
                continue
            what = f"Python's {text.lower() in ('true', 'yes', 'on', 'y')}"
        else:
            what = "a number in base 60"
        place = f"service {service}, {'.'.join(where[2:])}" if service else ".".join(where)
        yield Problem("unquoted", f"{path}: {place}", f'podman-compose reads {text} as {what}. Quote it: "{text}"')


def _borrowed(service: t.Mapping[str, t.Any], values: t.Mapping[str, str]) -> set[str]:
    """Variables with a default that only the service's own environment sets."""
    written = service.get("environment")
    own = pairs(written) if isinstance(written, (dict, list)) else {}
    found = set()
    for text in variables.strings(service):
        for name, operator, operand in variables.wanted(text):
            if name not in own or name in values or operator not in ("-", ":-", "+", ":+"):
                continue
            # With its own name, or with the same default there, the value is the same.
            itself = text in (own[name], f"{name}={own[name]}")
            if not itself and own[name] != f"${{{name}{operator}{operand}}}":
                found.add(name)
    return found


def left_over(answer: t.Any, texts: t.Iterable[str], version: str) -> t.Iterator[Problem]:
    """One problem for each variable that podman-compose did not replace in its model.

    Args:
        answer: its model, parsed.
        texts: the compose files, whose escaped variables must not be replaced.
        version: the version of podman-compose.
    """
    meant = {found for text in texts for found in _ESCAPED.findall(text)}
    for where, text in _places(answer, ()):
        left = [found for found in _BRACED.findall(text) if found not in meant]
        if left:
            message = (
                f"podman-compose {version} does not replace {', '.join(left)}. Write the value, set the variable in "
                "the stack's environment file, or use podman-compose 1.6, or docker compose on podman's socket"
            )
            yield Problem("unsupported", ".".join(where), message)


def _places(value: t.Any, where: tuple[str, ...]) -> t.Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*where, str(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _places(inner, where)


def default_network(resolved: t.Mapping[str, t.Any]) -> str:
    """The network of a service that names none in podman-compose: the only declared network, or ``default``."""
    declared = list(resolved.get("networks") or {})
    own = resolved.get("x-podman")
    if not declared or "default" in declared or (isinstance(own, dict) and own.get("default_net_behavior_compat")):
        return "default"
    return str(declared[0]) if len(declared) == 1 else ""
