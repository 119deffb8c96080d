# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The negative control of a directory source."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory.model import DirectoryFacts
from ansible_collections.onebox.stack.plugins.module_utils.backup.store.manifest import Source
from ansible_collections.onebox.stack.plugins.module_utils.core import files

if t.TYPE_CHECKING:
    from ansible_collections.onebox.stack.plugins.module_utils.backup.selftest import SelfTest

ALTERED_FILE = "altered file"


def controls(test: SelfTest, source: Source) -> None:
    """Change the checksum of one file in the list: the restored file must differ from it."""
    staged = test.fetched(source)
    test.require_good(source, staged)
    path = os.path.join(staged, DirectoryFacts.from_dict(source.facts).list)
    with files.open_regular(path) as file, files.HashedFile(f"{path}.altered") as altered:
        done = False
        for line in file:
            row = json.loads(line)
            if row["type"] == "file" and not done:
                done = True
                row["sha256"] = "0" * 64
                line = json.dumps(row).encode() + b"\n"
            altered.write(line)
    if not done:
        test.skip(ALTERED_FILE)
        return
    os.replace(altered.path, path)
    test.control("one altered file", lambda: test.check(source, staged))
