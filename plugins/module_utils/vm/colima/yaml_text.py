# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit some keys of a colima.yaml line by line, so that all comments are kept.

A Mac without additional packages does not have a YAML library. This is not a YAML parser either: it knows the format
that Colima writes (top-level keys, scalars, one list of mounts). If it cannot parse a key that it has to change, it
refuses with the line.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.onebox.stack.plugins.module_utils.vm.errors import MachineError

_KEY = re.compile(r"^(?P<key>[A-Za-z][\w-]*):(?P<rest>\s.*|)$")
_SCALAR = re.compile(
    r"""^(?P<gap>\s*)(?P<value>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^#\s][^#]*?|)(?P<tail>\s*(?:\s#.*)?)$"""
)
_ITEM = re.compile(r"^(?P<indent>\s*)-\s+(?P<key>\w+):(?P<rest>\s.*|)$")
_FIELD = re.compile(r"^(?P<indent>\s+)(?P<key>\w+):(?P<rest>\s.*|)$")
_PLAIN = re.compile(r"^[A-Za-z0-9_./~$-][A-Za-z0-9_./~$ -]*$")
MOUNT_FIELDS = ("location", "mountPoint", "writable")


@dataclass(frozen=True)
class Mount:
    """One entry of ``mounts``; an empty ``mount_point`` means the same path in the VM."""

    location: str
    writable: bool = False
    mount_point: str = ""


@dataclass
class _Entry:
    mount: Mount
    first: int  # the line of its dash
    writable_line: int  # -1: not written
    last: int
    indent: str


class Document:
    """The text of one file.

    Raises:
        MachineError: the text has a construct that this editor does not know.
    """

    def __init__(self, text: str, path: str) -> None:
        self.path = path
        self.lines = text.split("\n")
        self._at: dict[str, int] = {}
        for number, line in enumerate(self.lines):
            if line.startswith("\t"):
                raise self._refuse(number, "is indented with a tab")
            if line.rstrip() in ("---", "...") and number and any(self._at):
                raise self._refuse(number, "begins a second document")
            match = _KEY.match(line.rstrip("\r"))
            if not match:
                continue
            if match.group("key") in self._at:
                raise self._refuse(number, "repeats a key")
            self._at[match.group("key")] = number

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def _refuse(self, number: int, why: str) -> MachineError:
        return MachineError(
            f"{self.path} line {number + 1} {why}, which this module cannot edit: "
            f"{self.lines[number].strip()!r}. Write it as colima does (colima template), or change it yourself."
        )

    def scalar(self, key: str) -> str | None:
        """The value of a top-level key without quotes; None if the key is missing or has no value."""
        if key not in self._at:
            return None
        number = self._at[key]
        match = self._parts(number)
        return _unquote(match.group("value")) or None

    def _parts(self, number: int) -> re.Match[str]:
        rest = self.lines[number].rstrip("\r").split(":", 1)[1]
        match = _SCALAR.match(rest)
        if not match or (match.group("value") or " ")[0] in "&*!|>{[" and match.group("value") != "[]":
            raise self._refuse(number, "has a value that is not a plain scalar")
        return match

    def set_scalar(self, key: str, value: str) -> None:
        """Write a value and keep the comment after it. A missing key is added at the end."""
        if key not in self._at:
            while self.lines and not self.lines[-1].strip():
                self.lines.pop()
            self.lines += [f"{key}: {value}", ""]
            self._at[key] = len(self.lines) - 2
            return
        number = self._at[key]
        tail = self._parts(number).group("tail").rstrip()
        self.lines[number] = f"{key}: {value}" + (f" {tail.lstrip()}" if tail else "")

    def mounts(self) -> list[Mount] | None:
        """The mounts as written: an empty list is Colima's default (the home directory), None is "no mounts"."""
        return None if self._mounts_null() else [entry.mount for entry in self._entries()]

    def _mounts_null(self) -> bool:
        if "mounts" not in self._at:
            return False
        value = self._parts(self._at["mounts"]).group("value")
        return value in ("null", "~") or (not value and not self._entries())

    def _entries(self) -> list[_Entry]:
        if "mounts" not in self._at:
            return []
        start = self._at["mounts"]
        value = self._parts(start).group("value")
        if value not in ("", "[]", "null", "~"):
            raise self._refuse(start, "has mounts on one line")
        if value:
            return []
        found: list[_Entry] = []
        fields: dict[str, str] = {}
        for number in range(start + 1, len(self.lines)):
            line = self.lines[number].rstrip("\r")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            item = _ITEM.match(line)
            field = item or _FIELD.match(line)
            if not line.startswith((" ", "-")):
                break
            if field is None or field.group("key") not in MOUNT_FIELDS or not (item or found):
                raise self._refuse(number, "is not a known part of a mount")
            if item:
                found.append(_Entry(Mount(""), number, -1, number, item.group("indent")))
                fields = {}
            entry = found[-1]
            scalar = _SCALAR.match(field.group("rest"))
            if not scalar or not scalar.group("value") or scalar.group("value")[0] in "&*!|>{[":
                raise self._refuse(number, "has a value that is not a plain scalar")
            fields[field.group("key")] = _unquote(scalar.group("value"))
            if field.group("key") == "writable":
                if fields["writable"].lower() not in ("true", "false"):
                    raise self._refuse(number, "must be true or false")
                entry.writable_line = number
            entry.last = number
            entry.mount = Mount(
                fields.get("location", ""), fields.get("writable", "").lower() == "true", fields.get("mountPoint", "")
            )
        return found

    def add_mount(self, mount: Mount) -> None:
        """Add a mount after the last one. The list replaces the value ``[]``."""
        entries = self._entries()
        indent = entries[-1].indent if entries else "  "
        new = [f"{indent}- location: {_quote(mount.location)}"]
        if mount.mount_point:
            new.append(f"{indent}  mountPoint: {_quote(mount.mount_point)}")
        new.append(f"{indent}  writable: {'true' if mount.writable else 'false'}")
        if entries:
            place = entries[-1].last + 1
        else:
            self.set_scalar("mounts", "")
            self.lines[self._at["mounts"]] = (
                self.lines[self._at["mounts"]].replace("mounts: ", "mounts:", 1).replace("mounts:#", "mounts: #", 1)
            )
            place = self._at["mounts"] + 1
        self.lines[place:place] = new
        self._at = {key: at + (len(new) if at >= place else 0) for key, at in self._at.items()}

    def set_writable(self, location: str, writable: bool) -> None:
        """Change one mount's ``writable``. The mount must exist."""
        entry = next(one for one in self._entries() if one.mount.location == location)
        word = "true" if writable else "false"
        if entry.writable_line >= 0:
            line = self.lines[entry.writable_line]
            self.lines[entry.writable_line] = re.sub(r"(writable:\s*)[\"']?\w+[\"']?", rf"\g<1>{word}", line)
            return
        self.lines.insert(entry.last + 1, f"{entry.indent}  writable: {word}")
        self._at = {key: at + (1 if at > entry.last else 0) for key, at in self._at.items()}


def _unquote(text: str) -> str:
    if text[:1] == text[-1:] == '"' and len(text) > 1:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text[:1] == text[-1:] == "'" and len(text) > 1:
        return text[1:-1].replace("''", "'")
    return text.strip()


def _quote(text: str) -> str:
    return text if _PLAIN.match(text) and text != "~" else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def number(text: str | None) -> float | None:
    """A number of the file, None without one."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def shown(value: float | None) -> t.Any:
    """2.0 as 2, 2.5 as 2.5."""
    return int(value) if value is not None and value == int(value) else value
