# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytecode in the payload of a module.

A payload is a zip archive of source files, and Python never caches the bytecode of such files: the target compiles all
of them in every task. For ``compose_stack`` that takes longer than its work when nothing changes.

Python's zipimport reads ``name.pyc`` next to ``name.py`` if it has the magic number of the running Python, and
otherwise the source. A target with another Python runs as before.
"""

from __future__ import annotations

import base64
import compileall
import dataclasses
import io
import pathlib
import pickle
import py_compile
import tempfile
import zipfile

from ansible.executor import module_common

# What reading a file raises that is not a pickled payload of this release.
_OTHER_FORM = (AttributeError, EOFError, ImportError, IndexError, KeyError, TypeError, pickle.UnpicklingError)


def add(payload: pathlib.Path) -> None:
    """Add bytecode to a payload that ansible-core cached.

    Raises:
        OSError: the payload cannot be read or written.
        ValueError: this release of ansible-core caches payloads in another form.
    """
    try:
        cached = module_common._CachedModule.load(str(payload))
        archive = with_bytecode(base64.b64decode(cached.zip_data))
        dataclasses.replace(cached, zip_data=base64.b64encode(archive)).dump(str(payload))
    except _OTHER_FORM as error:
        raise ValueError(str(error)) from error


def with_bytecode(archive: bytes) -> bytes:
    """A copy of a zip archive with the bytecode of its Python files, for the Python that runs this.

    The bytecode is not compared with the source when it is imported (PEP 552): both are in one archive.

    Raises:
        OSError: no space for a temporary copy.
        ValueError: the bytes are not a zip archive.
    """
    changed = io.BytesIO(archive)
    if not zipfile.is_zipfile(changed):
        raise ValueError("the payload is not a zip archive")
    with zipfile.ZipFile(changed, "a") as content, tempfile.TemporaryDirectory(prefix="onebox-bytecode-") as folder:
        before = set(content.namelist())
        content.extractall(folder)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        # The names in tracebacks are relative to the archive.
        compileall.compile_dir(folder, maxlevels=99, quiet=2, legacy=True, stripdir=folder, invalidation_mode=mode)
        for path in sorted(pathlib.Path(folder).rglob("*.pyc")):
            name = path.relative_to(folder).as_posix()
            if name not in before:
                content.write(path, name, zipfile.ZIP_DEFLATED)
    return changed.getvalue()
