# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner as one file: a zip with a first line, which Python runs as it is.

The sources come through the import system, so that it works from a checkout and inside the archive Ansible sends to
the managed host. Beside each source lies its byte code: Python keeps none for a zip, and to compile all of it takes
longer than the rest of a run's beginning. Another version of Python passes it over. Byte code is not the same twice, so
a stamp of the sources says whether the program changed.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import marshal
import os
import typing as t
import zipfile

from ansible_collections.onebox.stack.plugins.module_utils.backup import declaration
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import DeclarationError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees

_PREFIX = "ansible_collections.onebox.stack.plugins.module_utils"
_MAIN = """import sys

from {package} import main

sys.exit(main())
"""
# The lowest date a zip can hold; a real one would make each build another file.
_DATE = (1980, 1, 1, 0, 0, 0)


def build(interpreter: str) -> bytes:
    """The runner's bytes. ``interpreter``: absolute path of the Python (3.9 or newer) that shall run it."""
    files = {"__main__.py": _MAIN.format(package=cli.__name__)}
    parts = _PREFIX.split(".")
    for depth in range(1, len(parts) + 1):
        files["/".join(parts[:depth]) + "/__init__.py"] = ""
    wanted = {cli.__name__}
    while wanted:
        name = wanted.pop()
        source, package = _source(name)
        path = name.replace(".", "/") + ("/__init__.py" if package else ".py")
        files[path] = source
        if not package:
            files.setdefault(name.rpartition(".")[0].replace(".", "/") + "/__init__.py", "")
        known = {place.replace("/", ".")[: -len(".py")] for place in files}
        wanted |= {other for other in _imports(name, source) if other not in known}
    # Without what the user's environment and other packages add to Python: it needs none, and each start would load it.
    first = f"#!{interpreter} -IS\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            data = files[path].encode()
            _add(archive, path, data)
            if path != "__main__.py":
                _add(archive, path + "c", _byte_code(path, data))
        stamp = hashlib.sha256(first + importlib.util.MAGIC_NUMBER)
        for path in sorted(files):
            stamp.update(f"{path}\0{files[path]}\0".encode())
        archive.comment = stamp.hexdigest().encode()
    return first + out.getvalue()


def _add(archive: zipfile.ZipFile, path: str, data: bytes) -> None:
    info = zipfile.ZipInfo(path, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)


def _byte_code(path: str, source: bytes) -> bytes:
    # By hash and not to be compared with the source (PEP 552): the times in this zip say nothing.
    flags = (1).to_bytes(4, "little")
    code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + code


def _stamp(data: bytes) -> bytes:
    """The stamp of a runner's bytes, b"" when they are none or damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.comment if archive.testzip() is None else b""
    except (zipfile.BadZipFile, EOFError, ValueError, OSError):
        return b""


def _source(name: str) -> tuple[str, bool]:
    spec = importlib.util.find_spec(name)
    loader = t.cast(t.Any, spec.loader if spec else None)
    text = loader.get_source(name) if loader is not None else None
    if text is None:
        raise StoreError(f"the source of {name} cannot be found; the runner cannot be installed from here")
    return text, bool(spec and spec.submodule_search_locations)


def _imports(name: str, source: str) -> set[str]:
    """Modules of the collection that the module ``name`` imports anywhere, also where it is first needed."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # What is imported may be a module itself, or something in it.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {other for other in names if other.startswith(_PREFIX + ".") and _is_module(other)}
    return found - {name}


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def install(path: str, interpreter: str, check: bool) -> bool:
    """Put the runner at ``path`` (mode 0755). Returns whether that changed, or would change, anything."""
    data = build(interpreter)
    try:
        with files.open_regular(path) as file:
            there = file.read()
    except OSError:
        there = b""
    first = data.index(b"\n")
    if there[:first] == data[:first] and _stamp(there) == _stamp(data):
        data = there
    return _put(path, data, 0o755, check)


def write_declaration(path: str, data: t.Mapping[str, t.Any], check: bool) -> tuple[bool, str, str]:
    """Check a declaration and put it at ``path`` (mode 0600). Returns whether it changed, the former and the new text.

    Raises:
        DeclarationError: it is wrong; nothing was written.
    """
    declaration.parse(data)
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except OSError:
        before = ""
    return _put(path, text.encode(), 0o600, check), before, text


def make_places(data: t.Mapping[str, t.Any], check: bool) -> list[str]:
    """Make the state directory and a repository on this machine, private. Returns those that were, or would be, made.

    A unit that may write to nothing else cannot make them itself.
    """
    found = declaration.parse(data)
    places = [found.state_dir] + [path for path in (found.repository.path,) if os.path.isabs(path)]
    missing = [path for path in places if not os.path.isdir(path)]
    if not check:
        for path in places:
            trees.private_dir(path)
    return missing


def put_files(files: t.Mapping[str, str], mode: int, check: bool) -> list[str]:
    """Write texts to absolute paths with ``mode``. Returns the paths that changed, or would.

    Raises:
        DeclarationError: a path is not absolute.
    """
    for path in files:
        if not os.path.isabs(path):
            raise DeclarationError(f"{path!r} must be an absolute path; nothing of it was written")
    return [path for path, text in sorted(files.items()) if _put(path, text.encode(), mode, check)]


def _put(path: str, data: bytes, mode: int, check: bool) -> bool:
    if not check:
        files.make_directories(os.path.dirname(path), 0o755)
    return files.write_if_changed(path, data, mode, durable=True, check=check)
