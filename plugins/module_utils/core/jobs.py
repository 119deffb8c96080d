# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of systemd units and LaunchAgents. A value is data: its reader gets it unchanged, or it is refused here.

systemd has no common syntax for values. A percent sign begins a specifier in nearly all of them. Beyond that, a command
line knows quotes, escapes and variables, a list of paths knows quotes only, and other values know neither
(systemd.syntax(7), systemd.service(5), systemd.exec(5)). So :func:`unit` knows the rule of each key.
"""

from __future__ import annotations

import plistlib
import re
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown

# Text, a list, or pairs: the key decides, see ``unit``.
Value = t.Union[str, t.Sequence[str], t.Mapping[str, str]]
Setting = tuple[str, Value]
_Rule = t.Callable[[str, Value], list[str]]

# A line with one of these is not UTF-8 for systemd, which then ignores it: NUL, surrogates and noncharacters.
_NONCHARACTERS = "".join(f"\\U{plane:04x}fffe\\U{plane:04x}ffff" for plane in range(17))
_NO_TEXT = rf"\x00\ud800-\udfff\ufdd0-\ufdef{_NONCHARACTERS}"
_NOT_IN_WORD = re.compile(f"[{_NO_TEXT}]")
# systemd ends a line at a carriage return, too.
_NOT_IN_LINE = re.compile(rf"[\n\r{_NO_TEXT}]")
# Older versions drop a variable with a control character other than a tab or a newline.
_NOT_IN_VARIABLE = re.compile(rf"[\x01-\x08\x0b-\x1f\x7f{_NO_TEXT}]")
_NOT_IN_PROGRAM = re.compile(r"[\x01-\x1f\x7f\"'\\]")
# XML has no control characters, and its readers turn a carriage return into a newline.
_NOT_IN_PLIST = re.compile(rf"[\x01-\x08\x0b-\x1f{_NO_TEXT}]")
# One word of a command: in quotes, or without blanks.
_WORD = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:[^ \t"'\\]|\\.)+)(?:[ \t]+|$)""")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|(.))")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_NEEDS_QUOTES = re.compile(r"[\s\"';]")


class JobError(OneboxError):
    """A value cannot be written. The text names the key."""


class Quoted(str):
    """A word or path that is written in quotes even if systemd does not need them."""


def unit(sections: t.Mapping[str, t.Sequence[Setting]], comment: str = "") -> str:
    """The text of a unit, a service as well as a timer.

    Args:
        sections: the settings of each section, in the order of the file. The key decides what its value is:

            - ``ExecStart``, ``ExecStop``: the program's absolute path and its arguments, as a list.
            - ``RequiresMountsFor``, ``ReadWritePaths``: a list of absolute paths, each for one line. A path of
              ``ReadWritePaths`` can begin with ``-`` or ``+``, as in systemd.exec(5).
            - ``WorkingDirectory``: an absolute path.
            - ``Environment``: names and values of variables.
            - ``LoadCredential``: names of credentials and absolute paths, each pair for one line.
            - ``Description`` and ``#``, a comment: any text. It becomes one line: characters that cannot be printed
              become spaces.
            - Keys of the sections ``Container``, ``Network`` and ``Volume``, from which Podman makes a service: see
              podman-systemd.unit(5). ``Exec`` and ``PodmanArgs`` are lists of words, ``Environment`` and ``Label`` are
              names with values, and all others are a text or a list with a text for each line.
            - Every other known key: a word or more of systemd's own, as text, or as a list that is joined by spaces.

            A key without values is left out.
        comment: first line of the file.

    Raises:
        JobError: a key is not known, or its value cannot be written.
    """
    blocks = []
    for name, settings in sections.items():
        lines = [line for key, value in settings for line in _lines(key, value, name)]
        blocks.append("".join(f"{line}\n" for line in (f"[{name}]", *lines)))
    return (f"# {_one_line(comment)}\n" if comment else "") + "\n".join(blocks)


def command_of(text: str) -> list[str]:
    """The words of ``ExecStart`` in the text of a service, as the program gets them; empty without one.

    Raises:
        JobError: the line is not one that a release of this collection wrote.
    """
    found = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    if not found:
        return []
    words = []
    rest = found[1].strip()
    while rest:
        word = _WORD.match(rest)
        if not word:
            raise JobError("ExecStart: its quotes or escapes cannot be read.")
        rest = rest[word.end() :]
        words.append(_unquoted(word[0].rstrip()))
    return [word if number == 0 else word.replace("$$", "$") for number, word in enumerate(words)]


def _unquoted(word: str) -> str:
    inner = word[1:-1] if word[0] in "\"'" else word
    return _ESCAPE.sub(_unescaped, inner).replace("%%", "%")


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return _ESCAPES.get(found[1], found[1])
    return chr(int(found[0][2:], 16))


def plist(content: t.Mapping[str, t.Any], *, binary: bool = False) -> bytes:
    """A property list.

    Args:
        content: text, numbers, truth values, lists and mappings of them.
        binary: write the binary format, not XML.

    Raises:
        JobError: a value cannot be written to a property list. The text names its key, such as ``ProgramArguments[1]``.
    """
    _check_plist("", content)
    return plistlib.dumps(dict(content), fmt=plistlib.FMT_BINARY if binary else plistlib.FMT_XML)


def _check_plist(where: str, value: t.Any) -> None:
    if isinstance(value, str):
        _check(where, value, _NOT_IN_PLIST)
    elif isinstance(value, t.Mapping):
        for key, one in value.items():
            inner = f"{where}.{key}" if where else str(key)
            if not isinstance(key, str):
                raise JobError(f"{inner}: this key is not text. Quote it.")
            _check(inner, key, _NOT_IN_PLIST)
            _check_plist(inner, one)
    elif isinstance(value, (list, tuple)):
        for number, one in enumerate(value):
            _check_plist(f"{where}[{number}]", one)
    elif isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise JobError(f"{where}: the number does not fit into 64 bits. Set a smaller one.")
    elif not isinstance(value, float):
        raise JobError(f"{where}: {type(value).__name__} cannot be written to a property list. Remove it.")


def _lines(key: str, value: Value, section: str) -> list[str]:
    if key == "#":
        return [f"# {_one_line(_text(key, value))}"]
    rule = _words if key in _WORDS else _RULES.get(key)
    if section in _QUADLET:
        rule = _QUADLET_RULES.get(key, _each_line) if key in _QUADLET[section] else None
    if rule is None:
        raise JobError(f"{key}: the collection cannot write this key of a unit. Remove it.")
    return [f"{key}={text}" for text in rule(key, value)]


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise JobError(f"{where}: must be text, not {type(value).__name__}.")
    return value


def _list(key: str, value: Value) -> list[str]:
    if isinstance(value, (str, t.Mapping)):
        raise JobError(f"{key}: must be a list, not {type(value).__name__}.")
    return [_text(f"{key}: item {number}", one) for number, one in enumerate(value, 1)]


def _pairs(key: str, value: Value, name: str) -> list[tuple[str, str]]:
    if not isinstance(value, t.Mapping):
        raise JobError(f"{key}: must be names with values, not {type(value).__name__}.")
    for one in value:
        if not re.fullmatch(name, _text(key, one)):
            raise JobError(f"{key}: {shown(one)} is not a valid name. Choose another.")
    return [(one, _text(f"{key}: {one}", text)) for one, text in value.items()]


def _check(where: str, text: str, unwritable: re.Pattern[str]) -> None:
    found = unwritable.search(text)
    if found:
        raise JobError(f"{where}: the character U+{ord(found[0]):04X} cannot be written here. Remove it.")


def _one_line(text: str) -> str:
    line = "".join(one if one.isprintable() else " " for one in text).strip()
    return line + "\\" if _continues(line) else line


def _continues(line: str) -> bool:
    """Whether systemd would join a line with the next one. It has no escape for the backslash at its end."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def _description(key: str, value: Value) -> list[str]:
    return [_one_line(_text(key, value)).replace("%", "%%")]


def _command(key: str, value: Value) -> list[str]:
    words = _list(key, value)
    if not words:
        raise JobError(f"{key}: the program is missing. Set one.")
    for number, word in enumerate(words, 1):
        _check(f"{key}: word {number}", word, _NOT_IN_WORD)
    program, *arguments = words
    if not program.startswith("/") or program.endswith("/"):
        raise JobError(f"{key}: {shown(program)} is not the absolute path of a program.")
    if _NOT_IN_PROGRAM.search(program):
        raise JobError(f"{key}: systemd cannot run a program of the name {shown(program)}. Rename it.")
    # The path of the program is the one word without variables.
    written = [_quoted(word, _escaped).replace("$", "$$") for word in arguments]
    return [" ".join([_quoted(program, _escaped), *written])]


def _environment(key: str, value: Value) -> list[str]:
    pairs = _pairs(key, value, "[A-Za-z_][A-Za-z0-9_]*")
    for name, text in pairs:
        _check(f"{key}: {name}", text, _NOT_IN_VARIABLE)
    return [" ".join(_quoted(f"{name}={text}", _escaped) for name, text in pairs)] if pairs else []


def _credentials(key: str, value: Value) -> list[str]:
    return [f"{name}:{_line_of_path(key, path)}" for name, path in _pairs(key, value, r"[A-Za-z0-9_.-]+")]


def _paths(key: str, value: Value) -> list[str]:
    paths = _list(key, value)
    for path in paths:
        _check_path(key, path)
    return [_quoted(path, str) for path in paths]


def _writable_paths(key: str, value: Value) -> list[str]:
    paths = _list(key, value)
    for path in paths:
        _check_path(key, re.sub("^[-+]+", "", path))
    return [_quoted(path, str) for path in paths]


def _directory(key: str, value: Value) -> list[str]:
    return [_line_of_path(key, _text(key, value))]


def _line_of_path(key: str, path: str) -> str:
    """A path that is the rest of a line, in which systemd does not interpret quotes or escapes."""
    _check_path(key, path)
    if path.endswith((" ", "\t")) or _continues(path):
        raise JobError(f"{key}: {shown(path)} ends in a blank or a backslash, which systemd drops. Rename it.")
    return path.replace("%", "%%")


def _check_path(key: str, path: str) -> None:
    _check(f"{key}: {shown(path)}", path, _NOT_IN_LINE)
    if not path.startswith("/"):
        raise JobError(f"{key}: {shown(path)} is not an absolute path.")
    if ".." in path.split("/"):
        raise JobError(f"{key}: systemd ignores {shown(path)}. Set the path without '..'.")


def _words(key: str, value: Value) -> list[str]:
    """Words of systemd's own: names of units, spans of time, calendars, capabilities."""
    words = [value] if isinstance(value, str) else _list(key, value)
    for word in words:
        if not word or word != word.strip() or not word.isprintable() or "%" in word or _continues(word):
            raise JobError(f"{key}: {shown(word)} is not a value that systemd knows.")
        if not isinstance(value, str) and " " in word:
            raise JobError(f"{key}: {shown(word)} is more than one word. Set a list of words.")
    return [" ".join(words)] if words else []


def _quoted(word: str, escape: t.Callable[[str], str]) -> str:
    """A word as systemd splits a line: a percent sign doubled, in quotes where it needs them."""
    mark = "'" if '"' in word and "'" not in word else '"'
    text = "".join(f"\\{one}" if one in ("\\", mark) else escape(one) for one in word).replace("%", "%%")
    return mark + text + mark if isinstance(word, Quoted) or not word or _NEEDS_QUOTES.search(word) else text


def _escaped(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _arguments(key: str, value: Value) -> list[str]:
    """Words that Podman's generator copies into a command line."""
    words = _list(key, value)
    for number, word in enumerate(words, 1):
        _check(f"{key}: word {number}", word, _NOT_IN_WORD)
    return [" ".join(_quoted(word, _escaped).replace("$", "$$") for word in words)] if words else []


def _each_pair(key: str, value: Value) -> list[str]:
    return [line for name, text in _pairs(key, value, r"[^\s=\"'\\]+") for line in _arguments(key, [f"{name}={text}"])]


def _each_line(key: str, value: Value) -> list[str]:
    """Texts that Podman's generator copies without interpreting quotes or escapes."""
    lines = [value] if isinstance(value, str) else _list(key, value)
    for line in lines:
        _check(f"{key}: {shown(line)}", line, _NOT_IN_LINE)
        if not line or line != line.strip() or line[0] in "\"'" or line[-1] in "\"'" or _continues(line):
            raise JobError(
                f"{key}: {shown(line)} cannot be written, because Podman would drop its first or last character."
            )
    return [line.replace("%", "%%").replace("$", "$$") for line in lines]


_QUADLET_RULES: dict[str, _Rule] = {
    "Environment": _each_pair,
    "Exec": _arguments,
    "Label": _each_pair,
    "PodmanArgs": _arguments,
}
# The keys of Podman 4.4 for which the collection has a use, by section.
_QUADLET: dict[str, frozenset[str]] = {
    "Container": frozenset(
        {
            *_QUADLET_RULES,
            *("AddCapability", "AddDevice", "ContainerName", "DropCapability", "EnvironmentFile", "Image", "Network"),
            *("Notify", "PublishPort", "Secret", "Tmpfs", "User", "Volume"),
        }
    ),
    "Network": frozenset({"Driver", "Gateway", "IPRange", "Internal", "Label", "NetworkName", "PodmanArgs", "Subnet"}),
    "Volume": frozenset({"Label", "PodmanArgs", "VolumeName"}),
}
_RULES: dict[str, _Rule] = {
    "Description": _description,
    "Environment": _environment,
    "ExecStart": _command,
    "ExecStop": _command,
    "LoadCredential": _credentials,
    "ReadWritePaths": _writable_paths,
    "RequiresMountsFor": _paths,
    "WorkingDirectory": _directory,
}
_WORDS: frozenset[str] = frozenset(
    {
        "After",
        "CapabilityBoundingSet",
        "FixedRandomDelay",
        "IOSchedulingClass",
        "LimitCORE",
        "LockPersonality",
        "Nice",
        "NoNewPrivileges",
        "OnActiveSec",
        "OnBootSec",
        "OnCalendar",
        "OnUnitActiveSec",
        "OnUnitInactiveSec",
        "Persistent",
        "PrivateDevices",
        "PrivateMounts",
        "PrivateTmp",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHome",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "ProtectProc",
        "ProtectSystem",
        "RandomizedDelaySec",
        "Requires",
        "Restart",
        "RestartSec",
        "RemainAfterExit",
        "RestrictAddressFamilies",
        "RestrictNamespaces",
        "RestrictRealtime",
        "StartLimitIntervalSec",
        "SystemCallArchitectures",
        "SystemCallErrorNumber",
        "SystemCallFilter",
        "TimeoutStartSec",
        "TimeoutStopSec",
        "Type",
        "UMask",
        "WantedBy",
        "Wants",
    }
)
