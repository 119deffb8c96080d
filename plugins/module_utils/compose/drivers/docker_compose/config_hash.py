# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Compose's own ``config-hash``, reproduced, so that a plan costs one ``config`` call.

``pkg/compose/hash.go``: the SHA-256 of the service as Go marshals it, without the keys for its build and its scale.
The JSON of ``docker compose config`` has the same keys in the same order, which is why the order must be kept. Compared
with the labels real containers carry for Compose 2.26.1 and 2.40.3.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

# What Go's encoding/json escapes and Python's does not.
_GO_ESCAPES = (("&", "\\u0026"), ("<", "\\u003c"), (">", "\\u003e"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029"))
WITHOUT_DEPENDS_ON = (2, 29, 3)
_WITHOUT_PROFILES = (2, 30, 2)


def config_hash(service: t.Mapping[str, t.Any], container_ids: t.Mapping[str, str], version: t.Sequence[int]) -> str:
    """The hash Compose ``version`` would give this service.

    Args:
        service: the service of the resolved model, unescaped, keys in the order Compose printed them.
        container_ids: service name -> id of its running container, for ``network_mode: service:…``.
        version: Compose's version.
    """
    body = dict(service)
    for key in _dropped(tuple(version)):
        body.pop(key, None)
    if isinstance(body.get("deploy"), dict):
        body["deploy"] = {key: value for key, value in body["deploy"].items() if key != "replicas"}
    for key in ("network_mode", "ipc", "pid"):
        value = str(body.get(key) or "")
        if value.startswith("service:"):
            body[key] = "container:" + container_ids.get(value[len("service:") :], "?")
    if body.get("volumes_from"):
        body["volumes_from"] = [_from(row, container_ids) for row in body["volumes_from"]]
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
    for plain, escaped in _GO_ESCAPES:
        text = text.replace(plain, escaped)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _dropped(version: tuple[int, ...]) -> list[str]:
    names = ["build", "pull_policy", "scale"]
    if version >= WITHOUT_DEPENDS_ON:
        names.append("depends_on")
    if version >= _WITHOUT_PROFILES:
        names.append("profiles")
    return names


def _from(row: str, container_ids: t.Mapping[str, str]) -> str:
    if row.startswith("container:"):
        return row.split(":")[1]
    return container_ids.get(row.split(":")[0], row)
