# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative control of a Redis source."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.model import RedisFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

EMPTY_RDB = "empty RDB"


def controls(test: SelfTest, source: Source) -> None:
    """Restore an RDB without keys."""
    path = RedisFacts.from_dict(source.facts).path
    test.restored(source, f"{path} is an empty RDB", {path: _empty})


def _empty(path: str) -> None:
    # A valid RDB without a key: header of version 9, end of file, checksum 0 (= not checked).
    os.unlink(path)
    files.write_new(path, b"REDIS0009\xff" + b"\0" * 8, durable=False)
