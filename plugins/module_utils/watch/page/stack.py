# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page's part about one stack: services, mounts, drift, backups, history."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import one_line, span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.calendar import calendar
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.markup import Html, chip, folded, table, tag
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.places import places

_MOST = 60
# Services and mounts that are shown though they are in order. The others are folded.
_FIRST = 8
_HISTORY = 12
# Letters of the name of a volume. One without a name of its own has 64.
_VOLUME = 40
_GOOD = ("good", "info")
_UNSURE = ("unverifiable", "not_running", "paused")


def stack(found: Facts, now: float) -> Html:
    """All of a stack."""
    live = found["live"]
    engine = live.get("engine") or {}
    words = " ".join(filter(None, (engine.get("name"), engine.get("version"))))
    return tag(
        "section",
        tag("h3", found["name"], tag("span", f" on {words}" if words else "", class_="soft")),
        services(live, now),
        mounts(found["mounts"], live),
        places(found["mounts"]),
        drift(found["plan"]),
        _backups(found, now),
        history(found["history"]),
    )


def services(live: Facts, now: float) -> Html | list[Html]:
    """A table of the containers, those with a problem first."""
    if live.get("error"):
        return tag("p", chip("critical", "no data"), " ", live["error"])
    found = sorted(live["containers"], key=lambda one: _state(one)[0] in _GOOD)
    if not found:
        return tag("p", chip("none", "no container"), " A deploy works on it." if live["deploying"] else "")
    broken = sum(1 for one in found if _state(one)[0] not in _GOOD)
    heads = ("Service", "State", "Running for", "Restarts", "Image built", "Ports", "Log")

    def drawn_table(rows: t.Sequence[t.Any]) -> Html:
        return table("Services", heads, [_service(one, now) for one in rows[:_MOST]], "services")

    shown = folded(found, max(broken, _FIRST), drawn_table, "more services, all in order")
    hidden = max(len(found) - max(broken, _FIRST), broken) - _MOST
    return [*shown, tag("p", f"and {hidden} more", class_="soft")] if hidden > 0 else shown


def _state(one: Facts) -> tuple[str, str]:
    """The kind and the words of a container's state."""
    if one["status"] == "running":
        kind = {"unhealthy": "critical", "starting": "warning"}.get(one["health"], "good")
        return kind, one["health"] or "running"
    if one["status"] == "exited" and one["exit_code"] == 0:
        return "info", "ended with 0"
    return "critical", f"{one['status']} ({one['exit_code']})"


def _service(one: Facts, now: float) -> list[t.Any]:
    log = one["log"]
    written = "" if log["size"] is None else f"{log['size'] / 1048576:.1f} MiB, "
    return [
        one["service"],
        chip(*_state(one)),
        span(now - one["started"]) if one["status"] == "running" and one["started"] else "–",
        one["restarts"],
        f"{span(now - one['image_created'])} ago" if one["image_created"] > 0 else "not known",
        [tag("code", port, class_="port") for port in one["ports"]] or "–",
        f"{written}{log['driver']}" + ("" if log["bounded"] else ", no limit"),
    ]


def mounts(found: Facts | None, live: Facts) -> Html | None:
    """Each host directory or volume with arrows to the containers it is in, coloured by verdict."""
    if found is None:
        return None if live.get("error") else tag("p", chip("none", "mounts not verified"), " A deploy works on it.")
    if found.get("error"):
        return tag("div", tag("h4", "Mounts"), tag("p", chip("critical", "no data"), " ", found["error"]))
    by_source: dict[tuple[str, str], list[Facts]] = {}
    for row in found["rows"][: 4 * _MOST]:
        by_source.setdefault((row["type"], row["source"]), []).append(row)
    if not by_source:
        return None
    # Broken ones first.
    ordered = sorted(by_source.items(), key=lambda item: all(row["verdict"] == "ok" for row in item[1]))
    proven = sum(1 for row in found["rows"] if row["verdict"] == "ok")
    items = [
        tag(
            "li",
            tag(
                "div",
                tag("span", (source if kind != "volume" else source[:_VOLUME]) or "no source", class_="path"),
                tag("small", "volume" if kind == "volume" else "on the host"),
                class_="source",
            ),
            tag("ul", [_target(row) for row in rows], class_="targets"),
            class_="mount",
        )
        for (kind, source), rows in ordered
    ]
    head = tag("h4", f"Mounts: {proven} of {len(found['rows'])} proven")
    broken = sum(1 for _source, rows in ordered if any(row["verdict"] != "ok" for row in rows))
    return tag("div", head, folded(items, max(broken, _FIRST), drawn, "more sources of mounts, all proven"))


def drawn(items: t.Sequence[t.Any]) -> Html:
    """A list of sources with their targets."""
    return tag("ul", list(items), class_="mounts")


def _target(row: Facts) -> Html:
    verdict = row["verdict"]
    kind = "good" if verdict == "ok" else "warning" if verdict in _UNSURE else "critical"
    message = tag("small", one_line(row["message"])) if verdict != "ok" and row["message"] else None
    return tag(
        "li",
        tag("span", tag("span", "is mounted at", class_="hide"), class_="arrow"),
        tag(
            "div",
            tag("span", tag("strong", row["service"]), " ", tag("span", row["destination"], class_="path"), message),
            chip(kind, "proven" if verdict == "ok" else verdict),
            class_="inside",
        ),
        class_=f"target {kind}",
    )


def drift(found: Facts | None) -> Html | None:
    """What a deploy would change, with the difference."""
    if found is None:
        return None
    if found.get("error"):
        return tag("div", tag("h4", "Drift"), tag("p", chip("warning", "no data"), " ", found["error"]))
    if not found["rows"] and not found["problems"]:
        return tag("p", chip("good", "no drift"), " A deploy would change nothing.", class_="note")
    rows = []
    for row in found["rows"][:_MOST]:
        changes = [
            tag(
                "p",
                tag(
                    "code",
                    key,
                    ": ",
                    tag("del", f"− {_side(value, 'before')}"),
                    " ",
                    tag("ins", f"+ {_side(value, 'after')}"),
                ),
            )
            for key, value in sorted((row["diff"] or {}).items())[:_MOST]
        ]
        title = f"{row['service']}: {row['action']} ({', '.join(map(str, row['reasons'] or ()))})"
        rows.append(tag("details", tag("summary", title), changes or tag("p", "No values differ."), open=""))
    rows += [tag("p", chip("warning", "refused"), " ", one_line(row["message"])) for row in found["problems"][:_MOST]]
    return tag("div", tag("h4", "Drift: a deploy would change"), rows)


def _side(value: t.Any, side: str) -> str:
    if not isinstance(value, dict):
        return one_line(str(value))
    return one_line(str(value.get(side, "")), 400)


def _backups(found: Facts, now: float) -> Html | None:
    drawn = calendar(found, now)
    if drawn is None:
        return None
    offsite = (found["backup"] or {}).get("offsite")
    words = None
    if offsite:
        lag = offsite["lag"]
        state = "complete" if lag == 0 else "not known" if lag is None else f"{lag} sets behind"
        kind = "good" if lag == 0 and not offsite["error"] else "critical"
        words = tag("p", "Off-site copy: ", chip(kind, state), " ", one_line(offsite["error"]))
    return tag("div", tag("h4", "Backups"), drawn, words)


def history(entries: t.Sequence[Facts]) -> Html | None:
    """The last deploys, rollbacks and restarts, newest first."""
    if not entries:
        return None
    rows = []
    for entry in list(entries)[::-1][:_HISTORY]:
        planned = entry.get("plan")
        plan: dict[str, t.Any] = planned if isinstance(planned, dict) else {}
        actions = ", ".join(
            f"{name}: {' '.join(map(str, words))}" for name, words in plan.items() if isinstance(words, list)
        )
        ok = bool(entry.get("ok"))
        result = "rolled back" if entry.get("rolled_back") else _done(entry) if ok else "failed"
        why = one_line(str(entry.get("message") or ""))
        rows.append(
            [
                str(entry.get("at") or "").replace("T", " "),
                chip("good" if ok else "critical", result),
                entry.get("user") or "–",
                one_line(actions),
                why,
            ]
        )
    return table("History", ("When", "Result", "Who", "Services", "Message"), rows, "history")


def _done(entry: Facts) -> str:
    words = {"present": "deployed", "absent": "taken down"}
    return words.get(str(entry.get("state")), str(entry.get("state") or "").replace("_", " "))
