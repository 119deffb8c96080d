# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data map on the page: each place where data lies, with arrows to the paths of the services that keep it there."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import one_line
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.markup import Html, chip, tag

_MOST = 120
_LIES = {
    "bind": "on the host",
    "volume": "volume",
    "anonymous": "volume without a name",
    "layer": "in the container itself",
    "tmpfs": "in memory (tmpfs)",
    "memory": "in memory, nothing is written",
}
_WORDS = {
    "persistent": "kept",
    "lost_at_down": "lost at down",
    "lost_at_recreate": "lost at recreate",
    "declared_unused": "mounted, unused",
}


def places(found: Facts | None) -> Html | None:
    """The map of a stack. None without evidence of data, which a mount alone is not."""
    rows = [row for row in (found or {}).get("places") or () if _is_data(row)][:_MOST]
    if not rows:
        return None
    by_place: dict[tuple[str, str], list[Facts]] = {}
    for row in sorted(rows, key=lambda row: not row["at_risk"]):
        by_place.setdefault((row["lies"], _place(row)), []).append(row)
    risky = sum(1 for row in rows if row["at_risk"])
    words = f", {risky} of {len(rows)} would be lost" if risky else f": all {len(rows)} are kept"
    items = [
        tag(
            "li",
            tag("div", tag("span", place, class_="path"), tag("small", _LIES.get(lies, lies)), class_="source"),
            tag("ul", [_target(row) for row in targets], class_="targets"),
            class_="mount",
        )
        for (lies, place), targets in by_place.items()
    ]
    return tag("div", tag("h4", f"Where data lies{words}"), tag("ul", items, class_="mounts"))


def _is_data(row: Facts) -> bool:
    return row["verdict"] != "persistent" or bool(row["database"]) or bool(set(row["evidence"]) - {"mount"})


def _place(row: Facts) -> str:
    if row["lies"] in ("volume", "anonymous"):
        return str(row["volume"][:24] or row["source"])
    return str(row["source"] if row["lies"] == "bind" else row["container"])


def _target(row: Facts) -> Html:
    kind = "good"
    if row["verdict"] != "persistent":
        kind = "critical" if row["fails"] else "warning" if row["at_risk"] else "none"
    words: list[t.Any] = [tag("strong", row["service"] or row["container"]), " "]
    words += [tag("span", row["path"] or "all keys", class_="path")]
    words += [tag("small", row["database"])] if row["database"] else []
    words += [tag("small", one_line(row["message"], 600))] if row["message"] else []
    state = _WORDS.get(row["verdict"], row["verdict"])
    return tag(
        "li",
        tag("span", tag("span", "holds the data of", class_="hide"), class_="arrow"),
        tag("div", tag("span", words), chip(kind, state), class_="inside"),
        class_=f"target {kind}",
    )
