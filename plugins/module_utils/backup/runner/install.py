# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the backup runner, the configuration of a stack, its directories and its units."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup import configuration
from ansible_collections.onebox.stack.plugins.module_utils.backup.errors import ConfigError, StoreError
from ansible_collections.onebox.stack.plugins.module_utils.backup.runner import cli
from ansible_collections.onebox.stack.plugins.module_utils.core import files, trees, zipapp
from ansible_collections.onebox.stack.plugins.module_utils.core.errors import OneboxError


def install(path: str, interpreter: str, check: bool) -> bool:
    """Install the runner at ``path``, mode 0755. Returns whether that changed, or would change, anything.

    Raises:
        StoreError: it cannot be built or written.
    """
    try:
        return zipapp.install(path, cli.__name__, interpreter, check=check)
    except OneboxError as error:
        raise StoreError(str(error)) from error


def write_config(path: str, data: t.Mapping[str, t.Any], check: bool) -> tuple[bool, str, str]:
    """Check a configuration and write it to ``path`` (mode 0600). Returns whether it changed, the old and the new text.

    Raises:
        ConfigError: it is invalid. Nothing was written.
    """
    configuration.parse(data)
    text = json.dumps(data, indent=2, sort_keys=True) + "\n"
    try:
        with open(path, encoding="utf-8") as file:
            before = file.read()
    except OSError:
        before = ""
    return _put(path, text.encode(), 0o600, check), before, text


def create_directories(data: t.Mapping[str, t.Any], check: bool) -> list[str]:
    """Create the state directory and a local repository, private. Returns those that were, or would be, created.

    A unit with write access to these alone cannot create them itself.
    """
    found = configuration.parse(data)
    directories = [found.state_dir] + [path for path in (found.repository.path,) if os.path.isabs(path)]
    missing = [path for path in directories if not os.path.isdir(path)]
    if not check:
        for path in directories:
            trees.private_dir(path)
    return missing


def put_files(files: t.Mapping[str, str], mode: int, check: bool) -> list[str]:
    """Write texts to absolute paths with ``mode``. Returns the paths that changed, or would.

    Raises:
        ConfigError: a path is not absolute.
    """
    for path in files:
        if not os.path.isabs(path):
            raise ConfigError(f"{path!r} must be an absolute path. Nothing was written")
    return [path for path, text in sorted(files.items()) if _put(path, text.encode(), mode, check)]


def _put(path: str, data: bytes, mode: int, check: bool) -> bool:
    if not check:
        files.make_directories(os.path.dirname(path), 0o755)
    return files.write_if_changed(path, data, mode, durable=True, check=check)
