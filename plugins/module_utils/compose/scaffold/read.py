# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a compose project of any origin without a compose tool: files, variables, services."""

from __future__ import annotations

import os
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model import interpolation
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import (
    NOT_SET,
    Model,
    env_files,
    from_config,
)
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.source import FILE_NAMES, OVERRIDE_NAMES
from ansible_collections.onebox.stack.plugins.module_utils.core import dotenv, files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError

ENV_EXAMPLES = (
    ".env.example",
    "env.example",
    "example.env",
    ".env.sample",
    "sample.env",
    ".env.template",
    ".env.dist",
    "default.env",
    ".env.default",
)
_NAME = re.compile(r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{)")
_OPEN_PORT = re.compile(r"\$\{\w+\}:\d+(?:/(?:tcp|udp))?")
_MOST_INCLUDES = 50
_LIST_KEYS = (
    "ports",
    "volumes",
    "env_file",
    "devices",
    "dns",
    "cap_add",
    "security_opt",
    "expose",
    "configs",
    "secrets",
)

Load = t.Callable[[str], t.Any]


@dataclass(frozen=True)
class OpenPort:
    """A published port whose number is the value of a variable that has none.

    Attributes:
        written: the port as in the compose file.
        local: it names no address, so that one can be put in front.
    """

    written: str
    local: bool


@dataclass
class Origin:
    """A compose project as its owner has it.

    Attributes:
        folder: where it is.
        names: its compose files, relative to the folder, in the order they are merged.
        model: its services, with the variables filled in; paths are those below ``project_dir``.
        document: the merged files before variables are filled in.
        values: variables of its environment file.
        values_from: the file they are from; "" when there is none.
        public: that file is an example.
        unset: variables without a value or default -> the message of the compose file.
        open_ports: service -> its ports whose number is a variable without a value.
        notes: what was left out, and why.
    """

    folder: str
    names: tuple[str, ...]
    model: Model
    document: dict[str, t.Any]
    values: dict[str, str]
    values_from: str
    public: bool
    unset: dict[str, str]
    open_ports: dict[str, list[OpenPort]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(
    path: str,
    name: str,
    project_dir: str,
    load: Load,
    chosen: t.Sequence[str] = (),
    profiles: t.Sequence[str] = (),
) -> Origin:
    """Read the project at ``path``, a folder or a compose file.

    Args:
        name: of the stack.
        project_dir: where the stack will be on its host; relative paths become paths below it.
        load: parses YAML.
        chosen: compose files, relative to the folder; without them the usual names are tried.
        profiles: services of these are read, too; without them, those of ``COMPOSE_PROFILES`` in the environment file.

    Raises:
        ComposeError: there is no compose file, or it cannot be understood.
    """
    folder, names = _find(path, chosen)
    notes: list[str] = []
    document: dict[str, t.Any] = {}
    for each in names:
        document = _merged(document, _document(folder, each, load, notes))
    values, values_from = _values(folder)
    profiles = profiles or interpolation.profiles_of(values) or interpolation.NO_PROFILE
    here = interpolation.used(document, interpolation.taken(document.get("services"), profiles))
    left = sorted(set(document.get("services") or {}) - set(here.get("services") or {}))
    if left:
        notes.append(f"services of profiles that are not enabled are left out: {', '.join(left)}")
    known = {**values, "COMPOSE_PROJECT_NAME": name}
    unset = interpolation.unset(here, known)
    _extended(here, folder, load, notes)
    filled = filled_in(here, {**{key: NOT_SET + key for key in unset}, **known})
    open_ports = _without_open_ports(filled, notes)
    model = from_config(filled, project=name, project_dir=project_dir, default_image=name + "-{service}", unset=unset)
    public = values_from not in ("", ".env")
    return Origin(folder, tuple(names), model, document, values, values_from, public, unset, open_ports, notes)


def _find(path: str, chosen: t.Sequence[str]) -> tuple[str, list[str]]:
    if os.path.isfile(path):
        return os.path.dirname(os.path.abspath(path)), [os.path.basename(path)]
    if not os.path.isdir(path):
        raise ComposeError(f"from: {path} does not exist on this machine. Name a folder or a compose file.")
    for each in chosen:
        if not os.path.isfile(os.path.join(path, each)):
            raise ComposeError(f"files: {os.path.join(path, each)} does not exist.")
    if chosen:
        return path, list(chosen)
    found = []
    for names in (FILE_NAMES, OVERRIDE_NAMES):
        found += [each for each in names if os.path.isfile(os.path.join(path, each))][:1]
    if not found or found[0] in OVERRIDE_NAMES:
        others = sorted(each for each in os.listdir(path) if re.search(r"compose.*\.ya?ml$", each))
        hint = f" Name one of these with files: {', '.join(others)}." if others else ""
        raise ComposeError(f"from: {path} has no compose file ({', '.join(FILE_NAMES)}).{hint}")
    return path, found


def _document(folder: str, name: str, load: Load, notes: list[str], depth: int = 0) -> dict[str, t.Any]:
    path = os.path.join(folder, name)
    try:
        document = load(files.read_text(path))
    except OneboxError:
        raise
    except Exception as error:
        raise ComposeError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict) or not isinstance(document.get("services") or {}, dict):
        raise ComposeError(f"{path}: is not a compose file: its top level is not a mapping with services.")
    found: dict[str, t.Any] = {}
    for row in document.pop("include", None) or ():
        written = row.get("path") if isinstance(row, dict) else row
        for each in written if isinstance(written, list) else [written]:
            inner = os.path.normpath(os.path.join(os.path.dirname(name), str(each)))
            if depth >= _MOST_INCLUDES or "$" in inner or not os.path.isfile(os.path.join(folder, inner)):
                notes.append(f"{name} includes {each}, which was not read")
                continue
            found = _merged(found, _document(folder, inner, load, notes, depth + 1))
    return _merged(found, document)


def _merged(before: t.Mapping[str, t.Any], after: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Two mappings as compose merges them: mappings key by key, lists of resources one after the other."""
    found = dict(before)
    for key, value in after.items():
        present = found.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            found[key] = _merged(present, value)
        elif isinstance(present, list) and isinstance(value, list) and key in _LIST_KEYS:
            found[key] = [*present, *(row for row in value if row not in present)]
        else:
            found[key] = value
    return found


def _extended(document: dict[str, t.Any], folder: str, load: Load, notes: list[str]) -> None:
    """Replace ``extends`` by what it names, one level after the other."""
    services = document.get("services") or {}
    for _round in range(_MOST_INCLUDES):
        waiting = [name for name, body in services.items() if isinstance(body, dict) and body.get("extends")]
        if not waiting:
            return
        for name in waiting:
            body = dict(services[name])
            rule = body.pop("extends")
            rule = {"service": rule} if isinstance(rule, str) else rule
            others = services
            file = str(rule.get("file") or "")
            if file and os.path.isfile(os.path.join(folder, file)):
                others = _document(folder, file, load, notes).get("services") or {}
            base = others.get(str(rule.get("service"))) if not file or others is not services else None
            if not isinstance(base, dict) or base is services[name]:
                notes.append(f"service {name} extends {rule}, which was not read")
                base = {}
            services[name] = _merged(base, body)


def _values(folder: str) -> tuple[dict[str, str], str]:
    for name in (".env", *ENV_EXAMPLES):
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            text = files.read_text(path)
            return dict(dotenv.parse(text, dotenv.DOCKER_COMPOSE, {}, path)), name
    return {}, ""


def filled_in(value: t.Any, values: t.Mapping[str, str]) -> t.Any:
    """A parsed document with its variables replaced, as the compose specification says."""
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, list):
        return [filled_in(row, values) for row in value]
    if isinstance(value, dict):
        return {key: filled_in(row, values) for key, row in value.items()}
    return value


def _filled(text: str, values: t.Mapping[str, str]) -> str:
    position = 0
    parts: list[str] = []
    while True:
        match = _NAME.search(text, position)
        if match is None:
            return "".join([*parts, text[position:]])
        parts.append(text[position : match.start()])
        position = match.end()
        if match[1]:
            parts.append(values.get(match[1], ""))
        elif match[0] == "$$":
            parts.append("$")
        else:
            inside, position = interpolation.braced(text, position)
            parts.append(_braces(inside, values))


def _braces(inside: str, values: t.Mapping[str, str]) -> str:
    match = re.match(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?(.*)", inside, re.DOTALL)
    if match is None:
        return ""
    name, operator, operand = match[1], match[2] or "", match[3]
    value = values.get(name)
    given = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return _filled(operand, values) if given else ""
    if operator.endswith("-") and not given:
        return _filled(operand, values)
    return value or ""


def _without_open_ports(document: dict[str, t.Any], notes: list[str]) -> dict[str, list[OpenPort]]:
    """Remove ports that a variable without a value names, and return those of the short form."""
    found: dict[str, list[OpenPort]] = {}
    for name, body in (document.get("services") or {}).items():
        rows = body.get("ports") if isinstance(body, dict) else None
        if not isinstance(rows, list):
            continue
        body["ports"] = [row for row in rows if NOT_SET not in str(row)]
        for row in rows:
            if isinstance(row, str) and NOT_SET in row:
                written = re.sub(re.escape(NOT_SET) + r"([A-Za-z_][A-Za-z0-9_]*)", r"${\1}", row)
                found.setdefault(name, []).append(OpenPort(written, bool(_OPEN_PORT.fullmatch(written))))
            elif NOT_SET in str(row):
                notes.append(f"service {name} publishes a port that a variable without a value names")
    return found


def missing_env_files(origin: Origin) -> dict[str, str]:
    """``env_file`` of a service that is not in the folder -> the example next to it, "" without one."""
    found: dict[str, str] = {}
    for body in (origin.document.get("services") or {}).values():
        for path, required in env_files((body or {}).get("env_file"), origin.folder):
            if "$" in path or not required or os.path.isfile(path):
                continue
            relative = os.path.relpath(path, origin.folder)
            head, name = os.path.split(relative)
            stem = name[: -len(".env")] if name.endswith(".env") else name
            candidates = [f"{name}.example", f"{name}.sample", f"{name}.template", f"{name}.dist", f"example{name}"]
            candidates += [f"{stem}.example.env", f"{stem}.sample.env", f"{stem.lstrip('.')}.env.example"]
            found[relative] = next(
                (
                    os.path.join(head, each)
                    for each in candidates
                    if os.path.isfile(os.path.join(origin.folder, head, each))
                ),
                "",
            )
    return found
