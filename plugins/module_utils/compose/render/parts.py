# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The common parts of all renderings of a stack."""

from __future__ import annotations

import hashlib
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.onebox.stack.plugins.module_utils.compose.errors import ComposeError
from ansible_collections.onebox.stack.plugins.module_utils.compose.model.model import FileRef, Model, Service

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


class RenderError(ComposeError):
    """The stack cannot be rendered. The text names the service and the way out."""


@dataclass(frozen=True)
class File:
    """A rendered file. ``path`` is relative to the directory of the rendering."""

    path: str
    content: str = field(repr=False)


@dataclass(frozen=True)
class Stack:
    """A stack to render.

    Attributes:
        model: the resolved stack.
        texts: the text of each compose file, by its path.
        digests: image -> the same image by digest, where it is known.
        contents: the bytes of each file of a secret or a config, by path.
        modes: "directory", "file" or "" (missing) for each bind source.
        node: name of the host that has the data.
        notes: lines for the top of the main file.
        node_id: id of that host's node, for a stack that is deployed to an existing Swarm at once. A host that was
            installed again has another id, so that no service starts there without its data.
    """

    model: Model
    texts: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    digests: t.Mapping[str, str] = field(default_factory=dict)
    contents: t.Mapping[str, bytes] = field(default_factory=dict, repr=False)
    modes: t.Mapping[str, str] = field(default_factory=dict)
    node: str = ""
    notes: tuple[str, ...] = ()
    node_id: str = ""

    def image(self, service: Service) -> str:
        """The image of a service, by digest if it is known."""
        return self.digests.get(service.image, service.image)

    def content(self, ref: FileRef, service: Service) -> bytes:
        """The content of a secret or config.

        Raises:
            RenderError: it is not known.
        """
        if ref.kind == "content":
            return ref.value.encode()
        if ref.kind == "environment" and ref.value in self.model.variables:
            return self.model.variables[ref.value].encode()
        if ref.kind == "file" and ref.value in self.contents:
            return self.contents[ref.value]
        kind = ref.collection.rstrip("s")
        what = {
            "file": f"cannot read {ref.value}. Create the file, or run the module as a user that may read it",
            "environment": f"the variable {ref.value} is not set. Set it in the environment file",
        }
        reason = what.get(ref.kind, "it is kept outside of the compose file. Declare it with file")
        raise RenderError(f"service {service.name}, {kind} {ref.name}: {reason}.")


def divide_environment(stack: Stack, service: Service) -> tuple[dict[str, str], dict[str, str]]:
    """The variables of a service that its compose file shows, and all others.

    A value that comes from an environment file can be a secret. A value that the compose file contains in one line with
    its name is not.
    """
    return divide(stack, {name: value for name, value in service.environment.items() if value is not None})


def divide(stack: Stack, pairs: t.Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The pairs that the compose file shows, and all others."""
    lines = [line for text in stack.texts.values() for line in text.splitlines()]
    shown: dict[str, str] = {}
    kept: dict[str, str] = {}
    for name, value in pairs.items():
        public = not value or any(_declares(line, name, value) for line in lines)
        (shown if public else kept)[name] = value
    return shown, kept


def split_environment(stack: Stack, service: Service) -> tuple[dict[str, str], str]:
    """As :func:`divide_environment`, with the second part as the text of an environment file.

    Raises:
        RenderError: a value has a line break, which no environment file can hold.
    """
    shown, kept = divide_environment(stack, service)
    return shown, lines_of(service, "variable", kept)


def lines_of(service: Service, what: str, values: t.Mapping[str, str]) -> str:
    """The text of a file of variables or labels.

    Args:
        what: "variable" or "label", for the message.

    Raises:
        RenderError: a value has a line break, which such a file cannot hold.
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise RenderError(
                f"service {service.name}, {what} {name}: its value has a line break, and environment files hold only "
                "single lines. Move the value into a secret or a config."
            )
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _declares(line: str, name: str, value: str) -> bool:
    match = re.search(rf"(?<![\w-]){re.escape(name)}[\"']?\s*[:=]\s*(.*)", line)
    return bool(match and "$" not in match[1] and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", match[1]))


def digest(content: bytes) -> str:
    """A short hash for a name: the same content always has the same name."""
    return hashlib.sha256(content).hexdigest()[:12]


def size(text: t.Any) -> int:
    """A size such as ``64m`` in bytes.

    Raises:
        ValueError: it is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(text).strip().lower())
    if not match or match[2].rstrip("i") not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 64m")
    return int(float(match[1]) * _UNITS[match[2].rstrip("i")])


def memory(service: Service, kind: str) -> str:
    """The memory limit (kind ``limits``) or reservation of a service; "" without one."""
    resources = ((service.raw.get("deploy") or {}).get("resources") or {}).get(kind) or {}
    key = "mem_limit" if kind == "limits" else "mem_reservation"
    found = resources.get("memory") or service.raw.get(key) or ""
    return str(size(found)) if found else ""


def cpus(service: Service, kind: str) -> str:
    """The CPU limit or reservation of a service; "" without one."""
    resources = ((service.raw.get("deploy") or {}).get("resources") or {}).get(kind) or {}
    found = resources.get("cpus") or (service.raw.get("cpus") if kind == "limits" else "") or ""
    return str(found)


def scratch(service: Service) -> t.Iterator[tuple[str, int]]:
    """Each tmpfs of a service: its path, and its size in bytes or 0."""
    rows = service.raw.get("tmpfs") or ()
    for row in [rows] if isinstance(rows, str) else rows:
        path, _colon, options = str(row).partition(":")
        found = re.search(r"(?:^|,)size=([^,]+)", options)
        yield path, size(found[1]) if found else 0
    for mount in service.raw.get("volumes") or ():
        if isinstance(mount, dict) and mount.get("type") == "tmpfs":
            yield str(mount.get("target")), size((mount.get("tmpfs") or {}).get("size") or 0)
    if service.raw.get("shm_size"):
        yield "/dev/shm", size(service.raw["shm_size"])  # noqa: S108 (a path in a container)


def has_data(service: Service) -> bool:
    """Whether the service writes to a volume or a directory of the host."""
    return bool(service.named_volumes) or any(not row.read_only for row in service.binds)
