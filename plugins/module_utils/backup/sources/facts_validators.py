# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The validators of facts in a manifest, by kind. They import no kind, because every kind reads manifests."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.compose import validate_facts as compose
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.directory import validate_facts as directory
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.mysql import validate_facts as mysql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.postgresql import validate_facts as postgresql
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.redis import validate_facts as redis
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.sqlite import validate_facts as sqlite
from ansible_collections.onebox.stack.plugins.module_utils.backup.sources.volume import validate_facts as volume

# Facts, the SHA-256 of each file of the source by its path, and the name of the field for messages.
Validator = t.Callable[[t.Mapping[str, t.Any], t.Mapping[str, str], str], None]
VALIDATORS: dict[str, Validator] = {
    "postgresql": postgresql.validate,
    "mysql": mysql.validate,
    "redis": redis.validate,
    "sqlite": sqlite.validate,
    "directory": directory.validate,
    "volume": volume.validate,
    "compose": compose.validate,
}
