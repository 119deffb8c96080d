# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check as one executable file: a zip with a first line, which Python runs as it is.

The sources come through the import system, so that it works from a checkout and inside the archive Ansible sends to
the managed host. Same sources, same bytes: the file only changes when the program does.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import tempfile
import typing as t
import zipfile

from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError
from ansible_collections.onebox.stack.plugins.module_utils.mounts import cli

_PREFIX = "ansible_collections.onebox.stack.plugins.module_utils"
_MAIN = f"import sys\n\nfrom {cli.__name__} import main\n\nsys.exit(main())\n"
# The lowest date a zip can hold; a real one would make each build another file.
_DATE = (1980, 1, 1, 0, 0, 0)


class BundleError(OneboxError):
    """The file cannot be made or written. The text says where and what to do."""


def build(interpreter: str) -> bytes:
    """The program's bytes. ``interpreter``: absolute path of the Python (3.9 or newer) that shall run it."""
    files = {"__main__.py": _MAIN}
    waiting = [cli.__name__]
    while waiting:
        name = waiting.pop()
        path = name.replace(".", "/") + ".py"
        if path in files:
            continue
        files[path] = _source(name)
        waiting += _imports(name)
        while "." in name:  # an empty package on each level
            name = name.rpartition(".")[0]
            files[name.replace(".", "/") + "/__init__.py"] = ""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            info = zipfile.ZipInfo(path, _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[path])
    return f"#!{interpreter}\n".encode() + out.getvalue()


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    loader = t.cast(t.Any, spec.loader if spec else None)
    text = loader.get_source(name) if loader is not None else None
    if text is None:
        raise BundleError(f"the source of {name} cannot be found, so the check cannot be installed from here")
    return str(text)


def _imports(name: str) -> list[str]:
    """Modules of the collection (not packages) that the loaded module ``name`` took something from."""
    found = set()
    for value in vars(sys.modules[name]).values():
        other = value.__name__ if isinstance(value, type(sys)) else getattr(value, "__module__", None)
        if isinstance(other, str) and other.startswith(_PREFIX + ".") and not hasattr(sys.modules[other], "__path__"):
            found.add(other)
    return sorted(found - {name})


def install(path: str, interpreter: str, check: bool) -> bool:
    """Have the program at ``path``, mode 0755. Returns whether that changed anything, or would.

    Raises:
        BundleError: it cannot be written.
    """
    data = build(interpreter)
    try:
        with open(path, "rb") as stream:
            if stream.read() == data and os.stat(path).st_mode & 0o7777 == 0o755:
                return False
    except OSError:
        pass  # not there, or not readable: then it is written
    if check:
        return True
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=".onebox-", dir=folder)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        os.chmod(scratch, 0o755)
        os.replace(scratch, path)
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror}; give another path, or become its owner") from error
    return True


def remove(path: str, check: bool) -> bool:
    """Have no program at ``path``. Returns whether that changed anything, or would. Raises :class:`BundleError`."""
    if not os.path.lexists(path):
        return False
    if not check:
        try:
            os.unlink(path)
        except OSError as error:
            raise BundleError(f"cannot remove {path}: {error.strerror}; become its owner") from error
    return True
