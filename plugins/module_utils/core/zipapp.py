# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a program as one file: a zip with a first line that names Python, which runs it without the collection.

Sources come through the import system, so that a build works from a checkout and inside the archive that Ansible sends
to a managed host. The zip also holds their byte code: Python caches none for a zip, and compiling takes longer than
the rest of a start. Another version of Python ignores it. Two builds of the same sources are the same bytes since
Python 3.11. Before, the byte code of sets differs, so programs are compared by a stamp, see :func:`same`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import marshal
import os
import re
import sys
import typing as t
import zipfile

from ansible_collections.onebox.stack.plugins.module_utils.core import files
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.core.text import shown

# A part of the stamp: another number replaces every installed program once.
_LAYOUT = b"3"
_MAIN = "import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"
# Ansible makes these packages, each time from another source. A program needs them empty.
_ANSIBLE_PACKAGES = "ansible_collections.onebox.stack.plugins.module_utils"
# The lowest date of a zip. With the date of the build, no two programs would be the same.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o755


class ZipappError(OneboxError):
    """A program cannot be built. The text names the module and the reason."""


def build(main_module: str, interpreter: str) -> bytes:
    """The content of the program.

    It holds ``main_module`` and every module of the same top-level package that is imported anywhere in it, also inside
    a function. All else must be in the standard library: Python runs the program without the user's environment and
    without site-packages (``-IS``).

    Args:
        main_module: full name of a module whose function ``main()`` returns the exit code.
        interpreter: absolute path of the Python (3.9 or newer) that runs the program.

    Raises:
        ZipappError: a module cannot be found or is not in the standard library, or the interpreter's path cannot be
            written into the first line.
    """
    if not os.path.isabs(interpreter) or re.search(r"\s", interpreter):
        raise ZipappError(f"interpreter: {shown(interpreter)} is not an absolute path without spaces. Give one.")
    first = f"#!{interpreter} -IS\n".encode()
    sources = {"__main__.py": _MAIN.format(module=main_module), **_sources(main_module)}
    stamp = hashlib.sha256(_LAYOUT + first + importlib.util.MAGIC_NUMBER)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(sources):
            data = sources[path].encode()
            stamp.update(path.encode() + b"\0" + data + b"\0")
            _add(archive, path, data, zipfile.ZIP_DEFLATED)
            if path != "__main__.py":
                # Python reads it twice at each start.
                _add(archive, path + "c", _byte_code(path, data), zipfile.ZIP_STORED)
        archive.comment = stamp.hexdigest().encode()
    return first + out.getvalue()


def same(one: bytes, other: bytes) -> bool:
    """Whether two files are the same program: built from the same sources, for and by the same Python, and intact."""
    if one == other:
        return True
    return one.partition(b"\n")[0] == other.partition(b"\n")[0] and _stamp(one) == _stamp(other) != b""


def install(path: str, main_module: str, interpreter: str, *, check: bool) -> bool:
    """Install the program at ``path`` with mode 0755. Returns whether that changed, or would change, anything.

    Raises:
        ZipappError: as :func:`build`.
        FileError: the file cannot be written.
    """
    data = build(main_module, interpreter)
    try:
        with files.open_regular(path) as stream:
            installed = stream.read()
    except OSError:
        installed = b""
    if same(installed, data):
        data = installed
    if not check:
        files.make_directories(os.path.dirname(path), 0o755)
    return files.write_if_changed(path, data, _MODE, durable=True, check=check)


def _add(archive: zipfile.ZipFile, path: str, data: bytes, compression: int) -> None:
    info = zipfile.ZipInfo(path, _DATE)
    info.compress_type = compression
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)


def _byte_code(path: str, source: bytes) -> bytes:
    # By hash, and never compared with the source (PEP 552): the dates in this zip have no meaning.
    flags = (1).to_bytes(4, "little")
    code = marshal.dumps(compile(source, path, "exec", dont_inherit=True))
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + code


def _stamp(data: bytes) -> bytes:
    """The stamp of a program, b"" for anything else and for a damaged one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.comment if archive.testzip() is None else b""
    except (zipfile.BadZipFile, EOFError, ValueError, OSError):
        return b""


def _sources(main_module: str) -> dict[str, str]:
    """Path in the zip and source of a module, of everything it imports, and of their packages."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [main_module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        source = _source(name)
        if source is None:
            raise ZipappError(f"{name}: its source cannot be found here. Install from a complete collection.")
        text, is_package = source
        found[name.replace(".", "/") + ("/__init__.py" if is_package else ".py")] = text
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += _imports(name, name if is_package else parent, text)
    return found


def _source(name: str) -> tuple[str, bool] | None:
    """Source of a module and whether it is a package; None when there is no such module, or only its byte code."""
    if f"{_ANSIBLE_PACKAGES}.".startswith(f"{name}."):
        return "", True
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        return None
    is_package = spec.submodule_search_locations is not None
    # A package without __init__.py has no loader, or one without a source.
    loader = t.cast(t.Any, spec.loader)
    text = loader.get_source(name) if loader is not None else None
    return (text or "", is_package) if text is not None or is_package else None


def _imports(name: str, package: str, source: str) -> t.Iterator[str]:
    """Full names of the modules that a module imports and a program must hold."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _belongs(name, alias.name))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, package, node)
            if not _belongs(name, base):
                continue
            yield base
            # A name imported from a package is a module, or a name in its __init__.py.
            if (_source(base) or ("", False))[1]:
                yield from (full for full in (f"{base}.{alias.name}" for alias in node.names) if _source(full))


def _absolute(name: str, package: str, node: ast.ImportFrom) -> str:
    relative = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(relative, package)
    except ImportError as error:
        raise ZipappError(f"{name}: line {node.lineno} imports from {relative}, above its package.") from error


def _belongs(name: str, imported: str) -> bool:
    """Whether an imported module is one of the program's own, not one of the standard library.

    Raises:
        ZipappError: it is neither. Python 3.9 cannot list its standard library; there the program fails when it runs.
    """
    root = imported.partition(".")[0]
    if root == name.partition(".")[0]:
        return True
    standard = getattr(sys, "stdlib_module_names", None)
    if standard is not None and root not in standard:
        raise ZipappError(f"{name}: imports {imported}, which is not in Python's standard library.")
    return False
