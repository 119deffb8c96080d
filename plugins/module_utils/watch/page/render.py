# Copyright (c) 2026, The onebox.stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: one HTML file for all hosts, without scripts and without anything loaded from elsewhere."""

from __future__ import annotations

import typing as t

from ansible_collections.onebox.stack.plugins.module_utils.watch.judge.verdicts import DAY, moment, one_line, span
from ansible_collections.onebox.stack.plugins.module_utils.watch.model import CRITICAL, SEVERITIES, Facts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page import charts
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.markup import (
    Html,
    chip,
    join,
    table,
    tag,
    trusted,
)
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.stack import stack
from ansible_collections.onebox.stack.plugins.module_utils.watch.page.style import CSS

# Even if a text were not escaped, a browser would run and load nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_WORST = ("critical", "none", "warning", "good")
_MOST = 80


def page(hosts: t.Mapping[str, Facts], at: float) -> str:
    """The whole file.

    Args:
        hosts: the document of each host; ``{"error": text}`` for a host that did not answer.
        at: seconds since 1970 of the page.
    """
    ordered = sorted(hosts.items(), key=lambda item: (_WORST.index(_state(item[1], at)[0]), item[0]))
    anchors = {name: f"host-{number}" for number, (name, _found) in enumerate(ordered, 1)}
    states = [_state(found, at)[0] for _name, found in ordered]
    bad = sum(1 for state in states if state in ("critical", "none"))
    title = f"Problems on {bad} of {_hosts(len(states))}" if bad else "All hosts are as promised"
    if bad == 0 and "warning" in states:
        title = f"Warnings on {states.count('warning')} of {_hosts(len(states))}"
    title = title if states else "No hosts"
    body = tag(
        "body",
        tag("a", "Skip to the hosts", href="#hosts", class_="skip"),
        tag(
            "header",
            tag("h1", title),
            tag("p", f"{_hosts(len(states))}, checked until {moment(at)} (UTC)", class_="soft"),
        ),
        tag(
            "main",
            tag(
                "nav",
                tag("ul", [_card(name, found, anchors[name], at) for name, found in ordered], class_="cards"),
                aria_label="Hosts",
            ),
            tag("div", [_host(name, found, anchors[name], at) for name, found in ordered], id="hosts"),
        ),
        tag(
            "footer",
            "Written by onebox.stack. Missing data counts as a finding. Commands run on the host or the controller.",
        ),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", title),
        tag("style", trusted(CSS)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _hosts(count: int) -> str:
    return f"{count} host" if count == 1 else f"{count} hosts"


def _state(found: Facts, at: float) -> tuple[str, str]:
    """The worst state of a host and its words. An old document counts as missing."""
    if found.get("error"):
        return "none", "no data"
    age = at - found["at"]
    if age > max(DAY, 6 * found["interval"]):
        return "none", f"no data for {span(age)}"
    counts = dict.fromkeys(SEVERITIES, 0)
    for row in found["findings"]:
        counts[row["severity"]] += not row["acknowledged"]
    words = ", ".join(f"{counts[each]} {each}" for each in SEVERITIES[:2] if counts[each])
    if counts[CRITICAL]:
        return "critical", words
    return ("warning", words) if words else ("good", "as promised")


def _card(name: str, found: Facts, anchor: str, at: float) -> Html:
    kind, words = _state(found, at)
    stacks = []
    for each in found.get("stacks") or ():
        running = [one for one in each["live"].get("containers") or () if one["status"] == "running"]
        state = "no data" if each["live"].get("error") else f"{len(running)} running"
        stacks.append(tag("div", f"{each['name']}: {state}"))
    worst = tag("div", one_line(_worst(found)), class_="worst") if _worst(found) else None
    inside = (tag("strong", name), chip(kind, words), worst, tag("div", stacks, class_="stacks") if stacks else None)
    return tag("li", tag("a", *inside, href=f"#{anchor}", class_=kind))


def _worst(found: Facts) -> str:
    """The first line of what is wrong with a host."""
    rows = [row for row in found.get("findings") or () if not row["acknowledged"] and row["severity"] in SEVERITIES[:2]]
    return str(found.get("error") or (rows[0]["what"] if rows else ""))


def _host(name: str, found: Facts, anchor: str, at: float) -> Html:
    kind, words = _state(found, at)
    head = tag("div", tag("h2", name, id=f"{anchor}-name"), chip(kind, words), class_="head")
    if found.get("error"):
        return _section(anchor, head, tag("p", one_line(str(found["error"]), 600)))
    now = found["at"]
    checked = tag("p", f"checked {moment(now)} in {found['seconds']:.1f} s", _uptime(found), class_="soft")
    launches = found["launches"]
    return _section(
        anchor,
        head,
        checked,
        _findings(found),
        [stack(each, now) for each in found["stacks"]],
        _facts(found),
        [
            tag("h3", "Filesystems"),
            tag("div", [charts.disk(row, now) for row in found["disks"][:_MOST]], class_="charts"),
        ]
        if found["disks"]
        else None,
        [tag("h3", "Launches"), tag("div", [charts.attempts(row, now) for row in launches], class_="charts")]
        if launches
        else None,
    )


def _section(anchor: str, *children: t.Any) -> Html:
    return tag("section", *children, id=anchor, class_="host", aria_labelledby=f"{anchor}-name")


def _uptime(found: Facts) -> str:
    return f", up for {span(found['uptime'])}" if found["uptime"] is not None else ""


def _findings(found: Facts) -> Html | None:
    items = []
    for row in found["findings"][:_MOST]:
        since = f"for {span(found['at'] - row['since'])}" + ("" if row["current"] else ", no new data")
        known = None
        if row["acknowledged"]:
            known = tag("p", f"Acknowledged until {row['acknowledged']}. {row['reason']}", class_="soft")
        items.append(
            tag(
                "li",
                tag(
                    "p",
                    chip(row["severity"], row["severity"]),
                    " ",
                    row["what"],
                    " ",
                    tag("span", since, class_="soft"),
                ),
                known,
                tag("code", row["fix"], class_="fix words" if row["fix"].startswith("add ") else "fix"),
                class_=row["severity"],
            )
        )
    if len(found["findings"]) > _MOST:
        items.append(tag("li", f"and {len(found['findings']) - _MOST} more"))
    return tag("ul", items, class_="findings", aria_label="Findings") if items else None


def _facts(found: Facts) -> Html | None:
    """Endpoints, clock and units in one table."""
    rows: list[list[t.Any]] = []
    for one in found["endpoints"]:
        if one.get("error"):
            rows.append([tag("code", one["url"]), chip("critical", "no data"), one_line(one["error"])])
            continue
        good = one["status"] and one["status"] < 500 and not one["certificate_error"]
        left = f"certificate for {span(one['expires'] - found['at'])}" if one["expires"] else ""
        words = one["certificate_error"] or one["why"] or left
        answer = f"HTTP {one['status']}" if one["status"] else "no answer"
        rows.append([tag("code", one["url"]), chip("good" if good else "critical", answer), one_line(words)])
    clock = found["clock"]
    state = {True: ("good", "synchronised"), False: ("warning", "not synchronised")}.get(
        clock.get("synchronised"), ("none", "not known")
    )
    # A clock that is not watched has no row.
    if clock.get("error") or clock.get("synchronised") is not None:
        rows.append(["clock", chip(*state), one_line(str(clock.get("error") or ""))])
    units = found["units"]
    if units.get("error"):
        rows.append(["units", chip("warning", "no data"), one_line(units["error"])])
    elif "failed" in units:
        broken = [*units["failed"], *units["stopped"]]
        rows.append(
            ["units", chip("critical" if broken else "good", f"{len(broken)} failed or stopped"), ", ".join(broken)]
        )
    if not rows:
        return None
    return join([tag("h3", "Host"), table("Endpoints, clock and units", ("What", "State", "Detail"), rows, "facts")])
