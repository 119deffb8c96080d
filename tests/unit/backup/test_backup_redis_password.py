# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The password of a Redis in the command of its container, in the forms of public compose files."""

from __future__ import annotations

import pytest
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis.command_password import of_command


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["redis-server", "--requirepass", "s3 cret"], "s3 cret"),
        (["redis-server", "--appendonly", "yes"], ""),
        (["redis-server", "--requirepass"], ""),
        (["sh", "-c", "exec redis-server --requirepass s3cret --appendonly yes"], "s3cret"),
        (["sh", "-c", "redis-server --requirepass 's3 cret'"], "s3 cret"),
        (["sh", "-c", "redis-server --requirepass $PW"], "of-variable"),
        (["sh", "-c", 'redis-server --requirepass "${PW}"'], "of-variable"),
        (["sh", "-c", "redis-server --requirepass $OTHER"], ""),
        (["sh", "-c", "redis-server --requirepass it's"], "it's"),
        ([], ""),
    ],
)
def test_password_is_read_from_the_command(words: list[str], found: str) -> None:
    assert of_command(words, ["A=1", "PW=of-variable"]) == found
