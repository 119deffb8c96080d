# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of a manifest with every hostile value, each as the bytes that an attacker would store."""

from __future__ import annotations

import copy
import functools
import json
import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.backup.store import manifest

UP = "../" * 12
VALUES: tuple[t.Any, ...] = (
    None, True, -1, 10**40, 10**400, 1.5, 1e308, "", "x", ".", "..", "/", "a/b", "-v/:/x", "a\0b", "\ud800", "é" * 200,
    "x" * 70_000, "2026-01-01T00:00:00", "0001-01-01T00:00:00+14:00", [], [[]], [1, 2], ["x", None], {}, {"x": 1},
    f"{UP}srv/evil", "/srv/evil", "x/../../evil", "manifest.json", {"a": {"b": {"c": [None]}}},
)  # fmt: skip


def of(body: t.Mapping[str, t.Any], victim: str) -> t.Iterator[tuple[str, bytes]]:
    """A change, and the changed manifest. ``victim``: a directory outside that paths lead to."""
    hostile = [*VALUES, f"{victim}/new", f"{UP}{victim.lstrip('/')}/new", f"x/{UP}{victim.lstrip('/')}/new"]
    for way in ways(body):
        for value in hostile:
            yield f"{way} = {value!r:.40}", store(changed(body, way, functools.partial(put, value)))
        yield f"{way} missing", store(changed(body, way, remove))
        if isinstance(way[-1], str):
            for value in hostile:
                if isinstance(value, str):
                    yield f"{way} renamed to {value!r:.40}", store(changed(body, way, functools.partial(rename, value)))
        else:
            yield f"{way} twice", store(changed(body, way, twice))
    for way in ways(body):
        yield f"{way} as a duplicate key", duplicate(body, way)


def ways(value: t.Any, above: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """The path of each field."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield (*above, key)
        yield from ways(inner, (*above, key))


def put(value: t.Any, inner: t.Any, key: t.Any) -> None:
    inner[key] = value


def twice(inner: t.Any, key: t.Any) -> None:
    inner.append(inner[key])


def remove(inner: t.Any, key: t.Any) -> None:
    del inner[key]


def rename(new: t.Any, inner: t.Any, key: t.Any) -> None:
    inner[new] = inner.pop(key)


def changed(body: t.Mapping[str, t.Any], way: tuple[t.Any, ...], work: t.Callable[[t.Any, t.Any], t.Any]) -> t.Any:
    found = copy.deepcopy(dict(body))
    inner: t.Any = found
    for key in way[:-1]:
        inner = inner[key]
    work(inner, way[-1])
    return found


def store(body: t.Any) -> bytes:
    """The manifest with a new seal: a plain sha256, which an attacker can compute."""
    return manifest._seal(body)


def duplicate(body: t.Mapping[str, t.Any], way: tuple[t.Any, ...]) -> bytes:
    data = store(dict(body))
    if not isinstance(way[-1], str):
        return data.replace(b"[", b"[null,", 1)
    key = json.dumps(way[-1]).encode()
    return data.replace(key + b":", key + b":1," + key + b":", 1)
